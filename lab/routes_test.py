#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The relay's routes, for real: Dovecot over LMTP, a server that breaks LMTP off, submission servers (D12, S1).

Run as: lab/lab run lab/routes_test.py.  Listens itself where a server has to be wrong.
"""

import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

sys.dont_write_bytecode = True

import certs    # noqa: E402
import fakes    # noqa: E402
import report   # noqa: E402
from daemon import Relay, wait_until    # noqa: E402

NAME = "mx.ee-311.test"         # some host of the lab; Postfix has port 25 only
USER, PASSWORD = "relay@submit.test", "correct horse"
FROM = "tester@ee-311.test"

# Dovecot 2.3; DOVECOT_24 says the same in the words of 2.4.
DOVECOT = """protocols = lmtp
base_dir = {run}
state_dir = {run}/state
log_path = {folder}/dovecot.log
listen = 127.0.0.1
ssl = no
mail_location = maildir:{folder}/mail/%n
first_valid_uid = 0
first_valid_gid = 0
default_internal_user = dovecot
default_login_user = dovenull
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/home/%n allow_all_users=yes
}}
service lmtp {{
  unix_listener {folder}/lmtp {{
    mode = 0600
  }}
  inet_listener lmtp {{
    address = 127.0.0.1
    port = 2003
  }}
}}
service stats {{
  chroot =
}}
"""

DOVECOT_24 = """dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
protocols = lmtp
base_dir = {run}
state_dir = {run}/state
log_path = {folder}/dovecot.log
listen = 127.0.0.1
ssl = no
mail_driver = maildir
mail_path = {folder}/mail/%{{user|username}}
first_valid_uid = 0
first_valid_gid = 0
default_internal_user = dovecot
default_login_user = dovenull
passdb static {{
  fields {{
    nopassword = yes
  }}
}}
userdb static {{
  fields {{
    uid = {uid}
    gid = {gid}
    home = {folder}/home/%{{user|username}}
  }}
  allow_all_users = yes
}}
service lmtp {{
  unix_listener {folder}/lmtp {{
    mode = 0600
  }}
  inet_listener lmtp {{
    listen = 127.0.0.1
    port = 2003
  }}
}}
service stats {{
  chroot =
}}
"""


class Test:
    def __init__(self, folder):
        self.folder, self.passed, self.failed = folder, 0, 0
        self.log = fakes.Log(folder / "servers.log")

    def add(self, what, wrong):
        self.passed += not wrong
        self.failed += bool(wrong)
        if wrong:
            print(f"FAIL route: {what}: {wrong}", flush=True)

    def relay(self, name, port, **destinations):
        return Relay(name, port, **{k.replace("_", "."): v for k, v in destinations.items()}).start()


def letter(word):
    return f"From: <{FROM}>\r\nTo: <x@ee-311.test>\r\nSubject: {word}\r\n\r\n.dots\r\nhello\r\n"


def fates(relay, queue_id, n):
    """{recipient: (event, reason)}, when n are there."""
    def look():
        got = {e["to"]: (e["event"], e["reason"]) for e in relay.events()
               if e.get("event") in ("sent", "deferred", "failed") and e.get("id") == queue_id and "to" in e}
        return got if len(got) == n else None
    return wait_until(look, 20) or {}


def in_mailbox(folder, name, word):
    return [p for p in (folder / "mail" / name).glob("new/*") if word.encode() in p.read_bytes()]


def dovecot(test):
    """A real LMTP server, over its socket and over loopback."""
    if not shutil.which("dovecot"):
        test.add("dovecot", "no dovecot: install dovecot-lmtpd")
        return
    folder = test.folder
    run = folder / "run"
    run.mkdir()
    conf = folder / "dovecot.conf"
    version = subprocess.run(["dovecot", "--version"], capture_output=True, text=True).stdout.split()[0]
    text = DOVECOT if version.startswith("2.3") else DOVECOT_24
    conf.write_text(text.format(folder=folder, run=run, uid=os.getuid() or 65534, gid=os.getgid() or 65534))
    for name in ("mail", "home"):
        (folder / name).mkdir()
        os.chmod(folder / name, 0o777)
    os.chmod(folder, 0o755)
    server = subprocess.Popen(["dovecot", "-F", "-c", str(conf)], stdin=subprocess.DEVNULL)
    try:
        if not wait_until((folder / "lmtp").exists, 15):
            test.add("dovecot", f"did not start: {(folder / 'dovecot.log').read_text()[-500:]}")
            return
        relay = Relay("routes-lmtp", 2710, **{"destination.socket.test.route": f"lmtp:unix:{folder}/lmtp",
                                              "destination.socket.test.level": "dane-only",
                                              "destination.loop.test.route": "lmtp:[127.0.0.1]:2003",
                                              "destination.nobody.test.route": f"lmtp:unix:{folder}/nobody"}).start()
        for name, domain in (("socket", "socket.test"), ("loop", "loop.test")):
            word = f"lmtp-{name}"
            id_ = relay.send([f"ada{name}@{domain}", f"bob{name}@{domain}"], letter(word), sender=FROM)
            got = fates(relay, id_, 2)
            test.add(f"{name}: both sent", [] if {f[0] for f in got.values()} == {"sent"} else [got, relay.log_text()[-800:]])
            for who in (f"ada{name}", f"bob{name}"):
                found = in_mailbox(folder, who, word)
                ok = len(found) == 1 and b"\n.dots" in found[0].read_bytes() and \
                    found[0].read_bytes().startswith(f"Return-Path: <{FROM}>".encode())
                test.add(f"{name}: in the mailbox of {who}", [] if ok else [found])
        again = relay.send("adasocket@socket.test", letter("lmtp-again"), sender=FROM)
        fates(relay, again, 1)
        tries = [e for e in relay.events("try", id=again)]
        test.add("the connection is used again (T9)", [] if tries and tries[-1].get("reused") == "yes" and
                 tries[-1].get("policy") == "local" else [tries])
        lost = relay.send("x@nobody.test", letter("lmtp-nobody"), sender=FROM)
        got = fates(relay, lost, 1)
        why = relay.queue("why", lost)[1]
        test.add("nobody at the socket: it waits", [] if got.get("x@nobody.test") == ("deferred", "connect-failed") and
                 f"localhost [{folder}/nobody]" in why and "policy local" in why else [got, why])
        test.add("ends well", [] if relay.stop() == 0 else ["no"])
    finally:
        server.terminate()
        server.wait()


def half_lmtp(listener, heard):
    """Answers for the first recipient and breaks off."""
    conn, _ = listener.accept()
    with conn, conn.makefile("rwb") as f:
        def say(text):
            f.write(text.encode() + b"\r\n")
            f.flush()
        say("220 half LMTP")
        for line in f:
            verb = line[:4].upper()
            heard.append(line.strip().decode())
            if verb == b"LHLO":
                say("250-half\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES")
            elif verb == b"DATA":
                say("354 go")
                while f.readline() not in (b".\r\n", b""):
                    pass
                say("250 2.0.0 one is saved")
                return
            else:
                say("250 2.0.0 ok")


def broken_off(test):
    """RFC 2033 s4.2: who has no reply is in doubt, and the queue says so."""
    path = test.folder / "half"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(5)
    heard = []
    threading.Thread(target=half_lmtp, args=(listener, heard), daemon=True).start()
    relay = Relay("routes-half", 2720, **{"destination.half.test.route": f"lmtp:unix:{path}"}).start()
    id_ = relay.send(["one@half.test", "two@half.test", "three@half.test"], letter("lmtp-half"), sender=FROM)
    got = fates(relay, id_, 3)
    want = {"one@half.test": ("sent", "ok"), "two@half.test": ("deferred", "lost-after-data"),
            "three@half.test": ("deferred", "lost-after-data")}
    test.add("broken off between the replies", [] if got == want else [got, heard])
    why = relay.queue("why", id_)[1]
    test.add("the queue says: possibly delivered", [] if "POSSIBLY DELIVERED" in why else [why])
    relay.stop()


def submission(test):
    """Ports 587 and 465 as routes: a CA and a password, or the mail waits."""
    folder = test.folder
    maker = certs.Certs()
    for name in ("ec", "stranger"):
        maker.add_ca({"name": name})
    store = folder / "cas"
    store.mkdir()
    (store / "ca.pem").write_bytes(maker.cas["ec"]["root"].pem())
    hashed = subprocess.run(["openssl", "x509", "-noout", "-hash", "-in", str(store / "ca.pem")], capture_output=True,
                            text=True, check=True).stdout.strip()
    (store / "ca.pem").rename(store / f"{hashed}.0")     # found by its hash only: the sandbox must not matter
    hosts = {s["name"]: s["addresses"][0] for d in report.load()["domains"] for s in d["servers"]}
    names = {"good": "mx.ee-311.test", "tls": "mx.ee-311.test", "bad-ca": "mx.ee-312.test",
             "password": "mx.rollover.test", "no-line": "mx.sni.test"}
    names = {k: v if v in hosts else NAME for k, v in names.items()}
    cases = [("good", 587, {}, {}, ("sent", "ok")), ("tls", 465, {}, {"implicit": True}, ("sent", "ok")),
             ("bad-ca", 587, {"ca": "stranger"}, {}, ("deferred", "certificate-not-trusted")),
             ("password", 587, {}, {"password": "another"}, ("deferred", "credentials-refused")),
             ("no-line", 587, {}, {}, ("deferred", "credentials-refused"))]
    lines, options = ["# the smart hosts"], {}
    used = set()
    for name, port, cert, spec, _ in cases:
        host = names[name]
        if (host, port) in used:
            test.add(f"submission {name}", f"{host} is used twice")
            continue
        used.add((host, port))
        chain = maker.make(cert, host).write(folder / f"{name}.pem")
        full = {"fault": "accept", "host": host, "domain": f"route-{name}", "user": USER, "password": PASSWORD,
                "mechanisms": "PLAIN LOGIN", "chain_files": [str(chain)], "seen": set()} | spec
        fakes.listen(full, hosts[host], test.log, str(folder / "taken"), port, fakes.Submission)
        options[f"destination.{name}.test.route"] = f"[{host}]:{port}"
        if name != "no-line":
            lines.append(f"{host}:{port} {USER} {PASSWORD}")
    file = folder / "credentials"
    file.touch(mode=0o600)
    file.write_text("\n".join(lines) + "\n")
    os.environ.update(SSL_CERT_FILE="/nonexistent", SSL_CERT_DIR=str(store))
    relay = Relay("routes-submission", 2730, **options, **{"smtp.credentials": file}).start()
    for name, _, _, _, want in cases:
        got = fates(relay, relay.send(f"x@{name}.test", letter(f"submission-{name}"), sender=FROM), 1)
        test.add(f"submission {name}", [] if got.get(f"x@{name}.test") == want else [got])
        taken = list((folder / "taken" / f"route-{name}").glob("*.eml"))
        ok = len(taken) == (want[0] == "sent") and all(letter(f"submission-{name}").encode() in p.read_bytes()
                                                       for p in taken)
        test.add(f"submission {name}: what arrived", [] if ok else [taken])
    test.add("the password is in no log", [] if PASSWORD not in relay.log_text() else ["it is"])
    two = relay.send("y@good.test", letter("submission-again"), sender=FROM)
    fates(relay, two, 1)
    tries = relay.events("try", id=two)
    test.add("a login is used again (T9)", [] if tries and tries[-1].get("reused") == "yes" else [tries])
    relay.stop()
    config(test, file)


def config(test, file):
    """What is wrong is said with its place."""
    def check(*options):
        words = [w for o in options for w in ("-o", o)]
        return report.run([*words, "relay", "--check-config"])
    file.chmod(0o640)
    code, _, err = check(f"smtp.credentials={file}")
    test.add("credentials that others may read", [] if code == 78 and "chmod 600" in err else [code, err])
    file.chmod(0o600)
    file.write_text("mx.test bob\n")
    code, _, err = check(f"smtp.credentials={file}")
    test.add("a line without a password", [] if code == 78 and f"{file}:1:12:" in err else [code, err])
    code, _, err = check("destination.a.test.route=[a.test]:587", "destination.a.test.level=dane-only")
    test.add("dane-only and a submission server", [] if code == 78 and "dane-only" in err else [code, err])


def checks(test):
    """`danelaw check` looks at the domain's own hosts and says that mail goes elsewhere."""
    route = "lmtp:unix:/run/dovecot/lmtp"
    code, out, err = report.run(["-o", f"destination.ee-311.test.route={route}", "check", "ee-311.test"])
    test.add("check names the route", [] if code == 0 and f"takes the route {route}" in out and "mx.ee-311.test" in out
             else [code, out, err])
    code, out, err = report.run(["check", "ee-311.test"])
    test.add("check without a route", [] if code == 0 and "route" not in out else [code, out, err])


def main():
    with tempfile.TemporaryDirectory() as folder:
        test = Test(pathlib.Path(folder))
        for part in (dovecot, broken_off, submission, checks):
            try:
                part(test)
            except Exception as e:      # one broken part must not hide the others
                test.add(part.__name__, f"broke off: {e!r}")
    print(f"routes: {test.passed} passed, {test.failed} failed")
    return test.failed > 0


if __name__ == "__main__":
    sys.exit(main())
