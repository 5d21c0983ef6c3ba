#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The relay, for real: what it takes, whom it refuses, what becomes of the mail, and its operator's tools.

Run as: lab/lab run lab/relay_test.py [PATTERN...].  A test is one claim; PATTERN picks tests by name.
"""

import argparse
import email
import email.policy
import fnmatch
import os
import pathlib
import re
import shutil
import signal
import smtplib
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True

import certs        # noqa: E402
import daemon       # noqa: E402
import postfix      # noqa: E402
import report       # noqa: E402
from daemon import BACK, HOME, Relay, Score, expect, give, wait_until    # noqa: E402

HOST = "client.lab.test"
NAME, PASSWORD = "ada", "correct horse battery"
NEVER = "mail-451.test"                 # defers every message, at once
REFUSES = "rcpt-550.test"               # refuses every recipient
NO_DSN = "sni.test"                     # takes mail, does not know DSN
TEXT = "From: <a@ee-311.test>\r\nTo: <b@ee-311.test>\r\nSubject: test\r\n\r\nhello\r\n"
report.TRACE = re.compile(rb"Received: from [^\n]*\n\tby client\.lab\.test \(Danelaw\)[^\n]*\n(?:[ \t][^\n]*\n)*")


# -- material ------------------------------------------------------------------------------------------

def make_material():
    """An RSA and an ECDSA certificate of one CA, another pair for the reload, and a users file."""
    folder = report.state() / "relay"
    folder.mkdir(exist_ok=True)
    for path in folder.glob("*.pem"):
        path.unlink()
    maker = certs.Certs()
    maker.add_ca({"name": "relay"})
    (folder / "ca.pem").write_bytes(maker.cas["relay"]["root"].pem())
    for n in (1, 2):
        for kind in ("rsa", "ec"):
            maker.make({"ca": "relay", "key": kind, "names": [HOST]}, HOST).write(folder / f"{kind}{n}.pem")
    users = folder / "users"
    users.unlink(missing_ok=True)
    code, _, err = report.run(["passwd", str(users), NAME], PASSWORD.encode() + b"\n")
    if code:
        raise RuntimeError(f"danelaw passwd: {err}")
    return folder


def tls_options(folder, port):
    for kind in ("rsa", "ec"):
        (folder / f"{kind}.pem").write_bytes((folder / f"{kind}1.pem").read_bytes())
    return {"relay.submission": f"{HOME}:{port + 1}", "relay.submissions": f"{HOME}:{port + 2}",
            "relay.certificate": [folder / "rsa.pem", folder / "ec.pem"], "relay.users": folder / "users"}


def arrived(subject, seconds=15):
    """The messages in the maildirs and at the fakes whose text has this word."""
    word = subject.encode()

    def look():
        paths = [*report.state().glob("mail/*/new/*"), *report.state().glob("taken/*/*.eml")]
        return [raw for raw in (p.read_bytes() for p in paths) if word in raw]
    return wait_until(look, seconds, 0.1) or []


def letter(word, to="b", body="hello"):
    return f"From: <a@{BACK}>\r\nTo: <{to}>\r\nSubject: {word}\r\n\r\n{body}\r\n"


def dsns(word, seconds=15):
    """multipart/report messages that return a message with this word."""
    found = [email.message_from_bytes(raw, policy=email.policy.default) for raw in arrived(word, seconds)]
    return [m for m in found if m.get_content_type() == "multipart/report"]


def dsn_fields(m):
    """[{field: value}] of the recipients in a notification."""
    for part in m.walk():
        if part.get_content_type() == "message/delivery-status":
            return [dict(block.items()) for block in part.get_payload()][1:]
        if part.get_content_type() == "message/global-delivery-status":     # RFC 6533, unknown to Python
            text = part.get_payload(0).get_payload(decode=True).decode()
            text = re.sub(r"\r?\n[ \t]+", " ", text).strip()
            return [dict(line.split(": ", 1) for line in block.splitlines())
                    for block in re.split(r"\r?\n\r?\n", text)]
    raise ValueError("a notification without a status")


# -- every domain of the list ----------------------------------------------------------------------------

def submit_domain(relay, d):
    names = [to for to, _ in report.recipients(d)]
    data = report.message(d).replace(b"\n", b"\r\n")
    utf8 = any(not (to + report.message(d).split(b"\n\n")[0].decode()).isascii() for to in names)
    with relay.client() as c:
        c.ehlo()
        encode = "utf-8" if utf8 else "ascii"
        c.command_encoding = encode
        sender = d["sender"] or f"matrix@{BACK}"
        expect(c.docmd(f"MAIL FROM:<{sender}> BODY=8BITMIME{' SMTPUTF8' if utf8 else ''}"), 250)
        for to in names:
            expect(c.docmd(f"RCPT TO:<{to}>"), 250)
        return daemon.queue_id(expect(c.data(data), 250))


def to_ascii(address):
    left, _, domain = address.rpartition("@")
    return f"{left}@{domain.encode('idna').decode()}".lower()


def outcomes(relay):
    """{(queue id, recipient): first outcome} as the keeper's log tells it."""
    out = {}
    for e in relay.events():
        if e.get("event") in ("sent", "deferred", "failed") and "to" in e:
            out.setdefault((e["id"], e["to"].lower()), e)
    return out


def test_every_domain(score, domains, results):
    relay = results["relay"]
    with ThreadPoolExecutor(8) as pool:
        ids = {}
        for d, done in [(d, pool.submit(submit_domain, relay, d)) for d in domains]:
            try:
                ids[d["name"]] = done.result()
            except (OSError, smtplib.SMTPException, ValueError) as e:
                score.add(f"domain {d['name']}", [f"not taken: {e!r}"])
    wanted = {(ids[d["name"]], to_ascii(to)) for d in domains if d["name"] in ids
              for to, _ in report.recipients(d)}
    wait_until(lambda: wanted <= outcomes(relay).keys(), 60, 0.5)
    found = outcomes(relay)
    due = {}
    for d in domains:
        if d["name"] not in ids:
            continue
        complaints = []
        for to, want in report.recipients(d):
            got = found.get((ids[d["name"]], to_ascii(to)))
            if got is None:
                complaints.append(f"no outcome for {to}")
                continue
            complaints += report.differences(want, {**got, "status": got["event"]})
            if want.get("status") == "sent":
                due.setdefault(d["ascii"], []).append(to.rpartition("@")[0].lower())
        score.add(f"domain {d['name']}", complaints)
    results["due"], results["ids"], results["found"] = due, ids, found


def test_every_arrival(score, domains, results):
    due = results["due"]
    copies = sum(map(len, due.values()))
    wait_until(lambda: sum(len(a.rcpts) for a in matrix_arrivals()) >= copies, 15, 0.3)
    by_case = {}
    for a in matrix_arrivals():
        by_case.setdefault(a.case, []).append(a)
    for d in domains:
        mine = by_case.get(d["ascii"], [])
        got = sorted(to.rpartition("@")[0].lower() for a in mine for to in a.rcpts)
        complaints = []
        if got != sorted(due.get(d["ascii"], [])):
            complaints.append(f"arrived for {got or 'nobody'}, not {due.get(d['ascii']) or 'nobody'}")
        body = report.message(d)
        body += b"" if body.endswith(b"\n") else b"\n"
        for a in mine:
            complaints += a.wrong
            if a.body != body:
                complaints.append(f"not the same octets: {a.where}")
        score.add(f"arrival {d['name']}", complaints)


def matrix_arrivals():
    """Arrivals that are no notifications."""
    return [a for a in report.arrivals() if b"multipart/report" not in a.body and a.case]


def test_every_bounce(score, domains, results):
    """Each recipient that failed is in a notification that names code and host."""
    told = {}

    def look():
        for m in dsns("X-Lab-Case: ", 1):
            for f in dsn_fields(m):
                told[str(f.get("Final-Recipient", "")).split(";")[-1].strip().lower()] = f
        return all(to in told for to in failed)
    failed = {to: e for (_, to), e in results["found"].items() if e["event"] == "failed" and to_matrix(to, results)}
    wait_until(look, 15, 0.5)
    for to, e in failed.items():
        f = told.get(to)
        complaints = [] if f else ["nobody was told"]
        if f and f.get("Action") != "failed":
            complaints.append(f"action {f.get('Action')}")
        if f and f.get("Status") != e["code"]:
            complaints.append(f"status {f.get('Status')}, not {e['code']}")
        if f and e.get("host") and e["host"] not in str(f.get("Remote-MTA")):
            complaints.append(f"host {f.get('Remote-MTA')}, not {e['host']}")
        score.add(f"bounce {to}", complaints)
    deferred = {to for (_, to), e in results["found"].items() if e["event"] == "deferred"}
    score.add("bounce: nobody who is deferred is told", sorted(deferred & told.keys()))


def to_matrix(to, results):
    return to.rpartition("@")[2] in results["names"]


# -- clients -----------------------------------------------------------------------------------------------

def test_clients(score, folder):
    relay = Relay("clients", 2600, **tls_options(folder, 2600)).start()
    tls = daemon.trusting(folder / "ca.pem")

    def try_one(name, call):
        word = f"client-{name}-{os.getpid()}"
        try:
            call(word)
            found = arrived(word)
            score.add(f"client {name}", [] if len(found) == 1 else [f"{len(found)} arrived"])
        except (OSError, smtplib.SMTPException, ValueError, subprocess.SubprocessError) as e:
            score.add(f"client {name}", [repr(e)])

    def plain(word):
        relay.send(f"x@{BACK}", letter(word))

    def submission(word):
        with smtplib.SMTP(HOME, relay.port + 1, timeout=20) as c:
            c.starttls(context=tls)
            c.login(NAME, PASSWORD)
            give(c, f"a@{BACK}", f"x@{BACK}", letter(word))

    def submissions(word):
        with smtplib.SMTP_SSL(HOME, relay.port + 2, timeout=20, context=tls) as c:
            c.login(NAME, PASSWORD)
            give(c, f"a@{BACK}", f"x@{BACK}", letter(word))

    def swaks(*words):
        def call(word):
            subprocess.run(["swaks", "-f", f"a@{BACK}", "-t", f"x@{BACK}", "--h-Subject", word, *words],
                           check=True, capture_output=True, timeout=30)
        return call

    def msmtp(word):
        subprocess.run(["msmtp", f"--host={HOME}", f"--port={relay.port + 1}", "--tls=on", "--auth=on",
                        f"--user={NAME}", f"--passwordeval=echo '{PASSWORD}'", "--tls-certcheck=off",
                        f"--from=a@{BACK}", f"x@{BACK}"], input=letter(word).encode(), check=True,
                       capture_output=True, timeout=30)

    def git(word):
        repository = folder / "repository"
        shutil.rmtree(repository, ignore_errors=True)
        who = {"GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": f"a@{BACK}", "GIT_COMMITTER_NAME": "Ada",
               "GIT_COMMITTER_EMAIL": f"a@{BACK}", "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
        sendmail = folder / "sendmail"
        sendmail.write_text(f'#!/bin/sh\nexec danelaw -o relay.smtp={HOME}:{relay.port} sendmail "$@"\n')
        sendmail.chmod(0o755)
        repository.mkdir()
        (repository / "file").write_text("hello\n")
        here = ("-C", str(repository))
        for words in ((*here, "init", "-q"), (*here, "add", "file"), (*here, "commit", "-q", "-m", word),
                      (*here, "format-patch", "-q", "--root", "-1", "-o", str(repository / "patches")),
                      (*here, "send-email", "--quiet", "--confirm=never", "--suppress-cc=all", f"--to=x@{BACK}",
                       f"--from=Ada <a@{BACK}>", f"--sendmail-cmd={sendmail}", str(repository / "patches"))):
            subprocess.run(["git", *words], check=True, capture_output=True, timeout=60, env={**os.environ, **who})

    try_one("smtplib plain", plain)
    try_one("smtplib STARTTLS AUTH", submission)
    try_one("smtplib implicit TLS", submissions)
    try_one("swaks", swaks("--server", f"{HOME}:{relay.port}"))
    login = ("--auth", "PLAIN", "--auth-user", NAME, "--auth-password", PASSWORD)
    try_one("swaks STARTTLS", swaks("--server", f"{HOME}:{relay.port + 1}", "-tls", *login))
    try_one("swaks TLS", swaks("--server", f"{HOME}:{relay.port + 2}", "--tlsc", *login))
    if shutil.which("msmtp"):
        try_one("msmtp", msmtp)
    try_one("git send-email", git)
    try_one("Postfix", lambda word: postfix_client(relay, folder, word))
    test_refusals(score, relay, tls)
    test_certificates(score, folder, relay)
    score.add("SIGTERM ends it with 0", [] if relay.stop() == 0 else ["it did not end well"])


POSTFIX_CLIENT = """compatibility_level = 3.6
myhostname = sender.lab
config_directory = {etc}
queue_directory = {spool}
data_directory = {data}
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mail_owner = postfix
setgid_group = postdrop
maillog_file = /var/mail/.log/sender.log
relayhost = [{home}]:{port}
smtp_host_lookup = native
smtp_tls_security_level = secure
smtp_tls_CAfile = {ca}
smtp_tls_secure_cert_match = {host}
smtp_tls_loglevel = 1
smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = texthash:{etc}/password
smtp_sasl_security_options = noanonymous
alias_maps =
local_recipient_maps =
notify_classes =
"""
POSTFIX_SERVICES = "{home}:{port} inet n - n - - smtpd\nsmtp unix - - n - - smtp\n"


def postfix_client(relay, folder, word):
    """A Postfix of its own whose relayhost is the relay: STARTTLS, its certificate verified, a password."""
    if not report_has_postfix():
        print("Postfix as a client: cannot run here, not tried", file=sys.stderr)
        return relay.send(f"x@{BACK}", letter(word))
    base = pathlib.Path(tempfile.mkdtemp(prefix="sender-"))
    os.chmod(base, 0o755)
    places = {n: base / n for n in ("etc", "spool", "data")}
    for place in places.values():
        place.mkdir()
    port = relay.port + 9
    shutil.copy(folder / "ca.pem", places["etc"] / "ca.pem")
    (places["etc"] / "main.cf").write_text(POSTFIX_CLIENT.format(
        **places, home=HOME, port=relay.port + 1, ca=places["etc"] / "ca.pem", host=HOST))
    (places["etc"] / "password").write_text(f"[{HOME}]:{relay.port + 1} {NAME}:{PASSWORD}\n")
    (places["etc"] / "master.cf").write_text(postfix.MASTER_CF + POSTFIX_SERVICES.format(home=HOME, port=port))
    postfix.make_spool(places["spool"], places["data"])
    master = subprocess.Popen([postfix.MASTER, "-c", str(places["etc"]), "-d"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              env={**os.environ, "MAIL_CONFIG": str(places["etc"])})
    try:
        def give_it():
            try:
                with smtplib.SMTP(HOME, port, timeout=20) as c:
                    return c.sendmail(f"a@{BACK}", [f"x@{BACK}"], letter(word)) == {}
            except OSError:
                return False
        if not wait_until(give_it, 15, 0.2):
            raise ValueError("Postfix did not start")
        if not arrived(word):
            raise ValueError(pathlib.Path("/var/mail/.log/sender.log").read_text()[-600:])
    finally:
        master.kill()
        master.wait()
        shutil.rmtree(base, ignore_errors=True)


def report_has_postfix():
    return os.path.exists(postfix.MASTER) and any(s["engine"] == "postfix" for d in report.load()["domains"]
                                                  for s in d["servers"])


def test_refusals(score, relay, tls):
    def reply(name, want, call):
        try:
            got = call()
            score.add(name, [] if got[0] in want else [f"{got}"])
        except (OSError, smtplib.SMTPException) as e:
            score.add(name, [repr(e)])

    def clear_auth():
        with smtplib.SMTP(HOME, relay.port + 1, timeout=20) as c:
            c.ehlo()
            return c.docmd("AUTH PLAIN", "AGFkYQB4")

    def wrong_password():
        with smtplib.SMTP_SSL(HOME, relay.port + 2, timeout=20, context=tls) as c:
            c.ehlo()
            return c.docmd("AUTH PLAIN", "AGFkYQB4")

    def without_auth():
        with smtplib.SMTP_SSL(HOME, relay.port + 2, timeout=20, context=tls) as c:
            c.ehlo()
            got = c.docmd(f"MAIL FROM:<a@{BACK}>")
            return got if got[0] != 250 else c.docmd(f"RCPT TO:<x@{BACK}>")
    reply("AUTH in clear is refused", (503, 502, 530, 538), clear_auth)
    reply("a wrong password is refused", (535,), wrong_password)
    reply("submission without AUTH is refused", (530, 550), without_auth)


def served(port, kind, folder):
    """The certificate that a client with this key type sees."""
    context = daemon.trusting(folder / "ca.pem")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256" if kind == "rsa" else "ECDHE-ECDSA-AES128-GCM-SHA256")
    with socket.create_connection((HOME, port), 10) as raw, context.wrap_socket(raw, server_hostname=HOST) as s:
        return ssl.DER_cert_to_PEM_cert(s.getpeercert(True)).encode()


def test_certificates(score, folder, relay):
    for kind in ("rsa", "ec"):
        try:
            pem = served(relay.port + 2, kind, folder)
            ok = pem.strip() in (folder / f"{kind}.pem").read_bytes()
            score.add(f"certificate {kind}", [] if ok else ["another one"])
        except OSError as e:
            score.add(f"certificate {kind}", [repr(e)])


# -- the protocol ------------------------------------------------------------------------------------------

def test_protocol(score, folder):
    relay = Relay("protocol", 2610, **{"relay.size-max": 30000000}).start()
    stranger = Relay("stranger", 2615, **{"relay.networks": "192.0.2.0/24"}).start()

    def claim(name, call):
        try:
            score.add(name, call() or [])
        except (OSError, smtplib.SMTPException, ValueError, StopIteration) as e:
            score.add(name, [repr(e)])

    def denied():
        with stranger.client() as c:
            c.ehlo()
            c.docmd(f"MAIL FROM:<a@{BACK}>")
            got = c.docmd(f"RCPT TO:<x@{BACK}>")
            return [] if got[0] == 550 and b"5.7.1" in got[1] else [got]

    def too_big():
        with relay.client() as c:
            c.ehlo()
            got = c.docmd(f"MAIL FROM:<a@{BACK}> SIZE=30000001")
            return [] if got[0] == 552 else [got]

    def too_big_text():
        """The limit is 30 million octets: who does not say how big it is finds out at the end."""
        big = b"x" * 998 + b"\r\n"
        with relay.client() as c:
            c.ehlo()
            codes = []
            for how in ("DATA", "BDAT"):
                expect(c.docmd(f"MAIL FROM:<a@{BACK}>"), 250)
                expect(c.docmd(f"RCPT TO:<x@{BACK}>"), 250)
                if how == "DATA":
                    expect(c.docmd("DATA"), 354)
                    c.send(b"Subject: too-big-data\r\n\r\n" + big * 30000 + b".\r\n")
                else:
                    c.send(b"BDAT 30000001 LAST\r\n" + big * 30000 + b"x")
                codes.append(c.getreply()[0])
                c.docmd("RSET")
            codes.append(c.noop()[0])
        return [] if codes == [552, 552, 250] and not arrived("too-big-data", 0) else [codes]

    def hops():
        """RFC 5321 s6.3: a hundred Received fields with ours are a long way, more are a circle."""
        codes = []
        for n in (99, 100):
            with relay.client() as c:
                c.ehlo()
                expect(c.docmd(f"MAIL FROM:<a@{BACK}>"), 250)
                expect(c.docmd(f"RCPT TO:<x@{BACK}>"), 250)
                codes.append(c.data("Received: from a by b; Thu, 1 Jan 1970 00:00:00 +0000\r\n" * n + letter(f"hops-{n}-"))[0])
        return [] if codes == [250, 554] else [codes]

    def utf8():
        with relay.client() as c:
            c.ehlo()
            c.command_encoding = "utf-8"
            expect(c.docmd(f"MAIL FROM:<grüße@{BACK}> SMTPUTF8 BODY=8BITMIME"), 250)
            expect(c.docmd(f"RCPT TO:<grüße@{BACK}>"), 250)
            expect(c.data("Subject: utf8-ü-1\r\n\r\nGruß\r\n".encode()), 250)
        found = arrived("utf8-ü-1")
        return [] if len(found) == 1 and "Gruß".encode() in found[0] else [f"{len(found)} arrived"]

    def bdat():
        data = letter("bdat-one").encode()
        with relay.client() as c:
            c.ehlo()
            expect(c.docmd(f"MAIL FROM:<a@{BACK}>"), 250)
            expect(c.docmd(f"RCPT TO:<x@{BACK}>"), 250)
            c.send(b"BDAT 20\r\n" + data[:20])
            expect(c.getreply(), 250)
            c.send(f"BDAT {len(data) - 20} LAST\r\n".encode() + data[20:])
            expect(c.getreply(), 250)
        return [] if len(arrived("bdat-one")) == 1 else ["it did not arrive"]

    def pipelining():
        with relay.client() as c:
            c.ehlo()
            c.send(f"MAIL FROM:<a@{BACK}>\r\nRCPT TO:<x@{BACK}>\r\nRCPT TO:<y@{BACK}>\r\nDATA\r\n".encode())
            codes = [c.getreply()[0] for _ in range(4)]
            c.send(letter("pipelined").encode() + b".\r\nRSET\r\nQUIT\r\n")
            codes += [c.getreply()[0] for _ in range(3)]
        return [] if codes == [250, 250, 250, 354, 250, 250, 221] else [codes]

    def thousand():
        names = [f"r{n}@{BACK}" for n in range(1000)]
        got = relay.send(names, letter("thousand"))
        done = wait_until(lambda: len(relay.events("sent", id=got)) == 1000, 40, 0.5)
        with relay.client() as c:
            c.ehlo()
            c.docmd(f"MAIL FROM:<a@{BACK}>")
            codes = [c.docmd(f"RCPT TO:<{to}>")[0] for to in [*names, f"more@{BACK}"]]
        wrong = [] if done else [f"{len(relay.events('sent', id=got))} of 1000 sent"]
        return wrong + ([] if codes[-1] == 452 and set(codes[:-1]) == {250} else [f"the 1001st: {codes[-1]}"])

    def large():
        body = ("x" * 998 + "\r\n") * 20972
        relay.send(f"x@{BACK}", letter("twenty-mib", body=body))
        found = arrived("twenty-mib", 30)
        same = found and body.replace("\r\n", "\n").encode() in found[0].replace(b"\r\n", b"\n")
        return [] if len(found) == 1 and same else [f"{len(found)} arrived"]

    for name, call in (("relay denied", denied), ("SIZE", too_big), ("too big, DATA and BDAT", too_big_text),
                       ("too many hops", hops), ("SMTPUTF8", utf8), ("BDAT", bdat),
                       ("pipelining", pipelining), ("1000 recipients", thousand), ("20 MiB", large)):
        claim(name, call)
    test_notifications(score, relay, claim)
    test_smuggling(score, relay)
    test_rest(score, relay)
    for r in (relay, stranger):
        r.stop()


def test_notifications(score, relay, claim):
    def success():
        with relay.client() as c:
            give(c, f"ok@{BACK}", f"x@{NO_DSN}", letter("dsn-success"), ("ENVID=QQ314159", "RET=HDRS"),
                 ("NOTIFY=SUCCESS", f"ORCPT=rfc822;other+40{NO_DSN}"))
        found = wait_until(lambda: dsns("dsn-success", 1), 15)
        fields = dsn_fields(found[0])[0] if found else {}
        wrong = [] if fields.get("Action") == "relayed" else [f"{fields}"]
        if found and "QQ314159" not in found[0].as_string():
            wrong.append("no Original-Envelope-Id")
        return wrong + ([] if f"other@{NO_DSN}" in str(fields.get("Original-Recipient")) else ["no ORCPT"])

    def success_elsewhere():
        """RFC 3461 s5.2.2: Postfix knows DSN, so that the success is its to report (here it drops what it reports)."""
        got = relay.send(f"x@{BACK}", letter("dsn-elsewhere"), rcpt=("NOTIFY=SUCCESS",))
        if not wait_until(lambda: relay.event("sent", id=got)) or not arrived("dsn-elsewhere"):
            return ["not sent"]
        time.sleep(1)
        return ["told twice"] if dsns("dsn-elsewhere", 0) or relay.events("notification", to=f"tester@{BACK}") else []

    def never():
        got = relay.send(f"x@{REFUSES}", letter("dsn-never"), rcpt=("NOTIFY=NEVER",))
        wait_until(lambda: relay.event("failed", id=got))
        null = relay.send(f"x@{REFUSES}", letter("dsn-null"), sender="")
        wait_until(lambda: relay.event("failed", id=null))
        time.sleep(1)
        return [f"told about {word}" for word in ("dsn-never", "dsn-null") if dsns(word, 0)]

    def failure():
        got = relay.send(f"x@{REFUSES}", letter("dsn-failed"))
        found = wait_until(lambda: dsns("dsn-failed", 1), 15)
        fields = dsn_fields(found[0])[0] if found else {}
        ok = fields.get("Status") == "5.1.1" and fields.get("Action") == "failed" and \
            REFUSES in str(fields.get("Remote-MTA")) and "550" in str(fields.get("Diagnostic-Code"))
        return [] if ok and relay.event("failed", id=got) else [f"{fields}"]
    def returned():
        """RFC 3461 s4.3: RET says how much comes back; ENVID and ORCPT always do."""
        wrong = []
        for ret, whole in (("FULL", True), ("HDRS", False)):
            with relay.client() as c:
                give(c, f"ok@{BACK}", f"x@{REFUSES}", letter(f"dsn-ret-{ret}-", body=f"the body of {ret}"),
                     (f"RET={ret}", f"ENVID=E+2B{ret}"), ("NOTIFY=FAILURE", f"ORCPT=rfc822;first+40{REFUSES}"))
            found = wait_until(lambda w=f"dsn-ret-{ret}-": dsns(w, 1), 15)
            text = found[0].as_string() if found else ""
            good = (f"the body of {ret}" in text) == whole and f"Original-Envelope-Id: E+{ret}" in text and \
                f"first@{REFUSES}" in str(dsn_fields(found[0])[0].get("Original-Recipient") if found else "")
            wrong += [] if good else [f"{ret}: {text[:2000]!r}"]
        return wrong

    def utf8_failure():
        """RFC 6533: who sent with SMTPUTF8 is told with it."""
        with relay.client() as c:
            c.ehlo()
            c.command_encoding = "utf-8"
            expect(c.docmd(f"MAIL FROM:<grüße@{BACK}> SMTPUTF8 BODY=8BITMIME"), 250)
            expect(c.docmd("RCPT TO:<ü@no-such-domain-here.test>"), 250)
            expect(c.data("Subject: dsn-utf8-ü\r\n\r\nGruß\r\n".encode()), 250)
        found = wait_until(lambda: dsns("dsn-utf8-ü", 1), 15)
        fields = dsn_fields(found[0])[0] if found else {}
        kinds = [part.get_content_type() for part in found[0].walk()] if found else []
        return [] if "ü@no-such-domain-here.test" in str(fields.get("Final-Recipient")) and \
            fields.get("Action") == "failed" and "message/global-delivery-status" in kinds else [kinds, fields]
    claim("DSN success", success)
    claim("DSN: RET, ENVID, ORCPT", returned)
    claim("DSN with SMTPUTF8", utf8_failure)
    claim("DSN success, told by the next host", success_elsewhere)
    claim("DSN never, null sender", never)
    claim("DSN failure", failure)


SMUGGLED = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\r\n\0.\r\n", b"\r\r\n.\r\r\n", b"\n.\r",
            b"\r.\n"]


def test_smuggling(score, relay):
    for trick in SMUGGLED:
        before = len(relay.events("accepted"))
        with relay.client() as c:
            c.ehlo()
            for word in (f"MAIL FROM:<a@{BACK}>", f"RCPT TO:<x@{BACK}>", "DATA"):
                c.docmd(word)
            try:
                c.sock.sendall(b"Subject: smuggle\r\n\r\nhello" + trick + b"MAIL FROM:<evil@ee-311.test>\r\n"
                               b"RCPT TO:<x@ee-311.test>\r\nDATA\r\nSubject: evil\r\n\r\nevil\r\n.\r\nQUIT\r\n")
                replies = c.file.read()
            except OSError:
                replies = b""
        taken = len(relay.events("accepted")) - before
        bad = taken or not re.match(rb"5\d\d ", replies)
        score.add(f"smuggling {trick!r}", [f"{taken} taken, {replies[:120]!r}"] if bad else [])


def test_rest(score, relay):
    """After all that: nothing is left open, nobody is busy."""
    wait_until(lambda: relay.totals().get("active") == 0, 15)
    time.sleep(1)
    roles = relay.roles()
    pids = [pid for some in roles.values() for pid in some] + [relay.process.pid]
    spent = {pid: daemon.cpu_seconds(pid) for pid in pids}
    time.sleep(2)
    busy = [f"{pid}: {daemon.cpu_seconds(pid) - spent[pid]:.2f} s" for pid in pids
            if daemon.cpu_seconds(pid) - spent[pid] > 0.1]
    score.add("nobody is busy when idle", busy)
    leaks = [f"{role} {pid}: {len(daemon.open_files(pid))} files"
             for role, some in roles.items() for pid in some if len(daemon.open_files(pid)) > 30]
    leaks += [f"{role} {pid}: {f}" for role, some in roles.items() for pid in some
              for f in daemon.open_files(pid) if "danelaw-message" in f]
    score.add("no descriptor is left open", leaks)


# -- operation -----------------------------------------------------------------------------------------------

def test_reload(score, folder):
    relay = Relay("reload", 2620, **tls_options(folder, 2620)).start()
    before = served(relay.port + 2, "ec", folder)
    with relay.client() as c:
        c.ehlo()
        expect(c.docmd(f"MAIL FROM:<a@{BACK}>"), 250)
        (folder / "ec.pem").write_bytes((folder / "ec2.pem").read_bytes())
        relay.process.send_signal(signal.SIGHUP)
        wait_until(lambda: relay.event("reloaded"))
        after = wait_until(lambda: (lambda got: got != before and got)(served(relay.port + 2, "ec", folder)), 10)
        score.add("reload: the new certificate", [] if after and after.strip() in
                  (folder / "ec2.pem").read_bytes() else ["not seen"])
        try:
            expect(c.docmd(f"RCPT TO:<x@{BACK}>"), 250)
            expect(c.data(letter("over-the-reload")), 250)
            score.add("reload: an open connection goes on", [] if arrived("over-the-reload") else ["no arrival"])
        except (OSError, smtplib.SMTPException) as e:
            score.add("reload: an open connection goes on", [repr(e)])
    old_gone = wait_until(lambda: all(len(p) <= 2 for p in relay.roles().values()), 10)
    score.add("reload: the old processes end", [] if old_gone else [relay.roles()])
    (folder / "ec.pem").write_text("nonsense")
    relay.process.send_signal(signal.SIGHUP)
    said = wait_until(lambda: relay.event("reload"), 10)
    try:
        relay.send(f"x@{BACK}", letter("after-bad-reload"))
        score.add("reload: a bad certificate changes nothing", [] if said else ["nothing said"])
    except (OSError, smtplib.SMTPException) as e:
        score.add("reload: a bad certificate changes nothing", [repr(e)])
    for _ in range(20):
        (folder / "ec.pem").write_bytes((folder / "ec2.pem").read_bytes())
        n = len(relay.events("reloaded"))
        relay.process.send_signal(signal.SIGHUP)
        wait_until(lambda: len(relay.events("reloaded")) > n, 5, 0.02)
    score.add("reload: twenty more", [] if len(relay.events("reloaded")) == 21 else
              [f"{len(relay.events('reloaded'))} in all"])
    words = [relay.send(f"x@{BACK}", letter(f"drain-{n}-")) for n in range(40)]
    code = relay.stop()
    sent = {e["id"] for e in relay.events("sent")}
    relay.start()
    left = {row["id"] for row in relay.rows("list")}
    lost = [w for w in words if w not in sent and w not in left and not relay.event("sent", id=w)]
    doubt = relay.events("recovered")
    score.add("SIGTERM drains", [] if code == 0 and not lost and not doubt else [code, lost, doubt])
    done = wait_until(lambda: all(len(arrived(f"drain-{n}-", 0)) == 1 for n in range(40)), 15)
    counts = [len(arrived(f"drain-{n}-", 0)) for n in range(40)]
    score.add("each arrives once over a restart", [] if done else [counts])
    relay.stop()


def test_queue(score, folder):
    relay = Relay("queue", 2630, **{"queue.retry-first": 3600}).start()
    one = relay.send(f"x@{NEVER}", letter("queue-one"))
    two = relay.send(f"x@{NEVER}", letter("queue-two"), sender=f"other@{BACK}")
    wait_until(lambda: relay.event("deferred", id=one) and relay.event("deferred", id=two))

    def claim(name, ok, seen):
        score.add(f"queue {name}", [] if ok else [seen])

    rows = relay.rows("list", f"next-hop={NEVER}")
    claim("list", {r["id"] for r in rows} == {one, two} and rows[0]["state"] == "waiting", rows)
    got = relay.queue("why", one)
    claim("why", got[0] == 0 and "smtp-deferred" in got[1] and "mx.mail-451.test" in got[1], got)
    chosen = {word: {r["id"] for r in relay.rows("list", word)} for word in
              (f"id={one}", f"sender=other@{BACK}", f"recipient=x@{NEVER}", "state=waiting", "state=held", "limit=1",
               "older-than=3600", "next-hop=nobody.test")}
    claim("list: every filter", [len(ids) for ids in chosen.values()] == [1, 1, 2, 2, 0, 1, 0, 0] and
          chosen[f"id={one}"] == {one} and chosen[f"sender=other@{BACK}"] == {two}, chosen)
    stats = relay.queue("--json", "stats")[1]
    claim("stats: by destination and by reason", f'"{NEVER}"' in stats and '"smtp-deferred"' in stats, stats)
    got = report.run(["-o", f"relay.control={relay.control}", "sendmail", "-bp"])
    claim("mailq", got[0] == 0 and one in got[1] and two in got[1], got)
    claim("why: no such", relay.queue("why", "nothing")[0] == 69, relay.queue("why", "nothing"))
    tried = len(relay.events("deferred", id=one))
    got = relay.queue("retry", f"id={one}")
    ok = wait_until(lambda: len(relay.events("deferred", id=one)) > tried, 10)
    claim("retry", got[0] == 0 and ok, got)
    wait_until(lambda: relay.totals().get("active") == 0)
    got = relay.queue("hold", f"id={one}")
    claim("hold", wait_until(lambda: [r["state"] for r in relay.rows("list", f"id={one}")] == ["held"], 5), got)
    got = relay.queue("release", f"id={one}")
    claim("release", wait_until(lambda: relay.rows("list", f"id={one}")[0]["state"] != "held", 5), got)
    wait_until(lambda: relay.totals().get("active") == 0)
    got = relay.queue("bounce", f"id={one}")
    told = wait_until(lambda: dsns("queue-one", 1), 10)
    claim("bounce", got[0] == 0 and told and dsn_fields(told[0])[0]["Action"] == "failed", got)
    got = relay.queue("delete", f"id={two}")
    gone = wait_until(lambda: relay.rows("list", f"id={two}") == [], 5)
    claim("delete", got[0] == 0 and gone and not dsns("queue-two", 0), got)
    relay.send("x@stall-mail.test", letter("queue-busy"))
    wait_until(lambda: relay.rows("list", "state=active"), 5)
    got = relay.queue("delete", "next-hop=stall-mail.test")
    claim("delete leaves alone what is under way", got[0] == 75 and "stays" in got[2], got)
    wait_until(lambda: not relay.rows("list", "state=active"), 15)
    relay.queue("delete", "next-hop=stall-mail.test")
    got = relay.queue("policy", "ee-311.test", "dane-only", "--for", "1h")
    rules = relay.rows("policies")
    claim("policy", got[0] == 0 and rules and rules[0]["policy"] == "dane-only", (got, rules))
    claim("policy is said", relay.event("policy-override", pattern="ee-311.test", level="dane-only"), "not logged")
    got = relay.queue("policy", "short.test", "may", "--for", "2s")
    over = wait_until(lambda: relay.event("policy-override-ended", pattern="short.test", level="may"), 20)
    left = [r["pattern"] for r in relay.rows("policies")]
    claim("policy ends by itself, and says so", got[0] == 0 and over and left == ["ee-311.test"] and
          not relay.event("policy-override-ended", pattern="ee-311.test"), (got, over, left))
    got = relay.queue("policy", "ee-311.test", "clear")
    claim("policy clear", got[0] == 0 and relay.rows("policies") == [], got)
    wait_until(relay.is_empty)
    claim("stats", relay.queue("stats")[1].startswith("0 messages"), relay.queue("stats"))
    three = relay.send(f"x@{NEVER}", letter("queue-three"))
    wait_until(lambda: relay.event("deferred", id=three))
    relay.kill()
    survivors = wait_until(lambda: not any(daemon.is_alive(int(e["pid"])) for e in
                                           relay.events("process-started")), 5)
    score.add("kill -9: nobody survives", [] if survivors else ["somebody does"])
    relay.start()
    claim("survives kill -9 of all", [r["id"] for r in relay.rows("list")] == [three], relay.rows("list"))
    parent, children = relay.process.pid, relay.children()
    os.kill(parent, signal.SIGKILL)
    relay.process.wait()
    gone = wait_until(lambda: not any(daemon.is_alive(pid) for pid in children), 5)
    score.add("the parent's end is everybody's", [] if gone else [c for c in children if daemon.is_alive(c)])
    relay.start()
    claim("survives kill -9 of the parent", [r["id"] for r in relay.rows("list")] == [three], relay.rows("list"))
    relay.stop()


def test_fairness(score, folder):
    """A hundred messages for servers that hang hold up nobody else."""
    relay = Relay("fairness", 2670, **{"queue.parallel": 30}).start()
    for n in range(100):
        relay.send("x@stall-mail.test", letter(f"hang-{n}"))
    time.sleep(1)
    began = time.monotonic()
    ids = {relay.send(f"x@{BACK}", letter(f"fair-{n}")) for n in range(20)}
    wait_until(lambda: ids <= {e["id"] for e in relay.events("sent")}, 20)
    took = time.monotonic() - began
    score.add("fairness: hanging servers hold up nobody", [] if took < 4 else [f"{took:.1f} s"])
    score.add("fairness: ends well", [] if relay.stop(70) == 0 else ["no"])


def test_time(score, folder):
    """A warning after two seconds, the end after a minute."""
    relay = Relay("time", 2640, **{"queue.lifetime": 60, "queue.retry-first": 5, "queue.retry-max": 10,
                                   "queue.warn-after": 2}).start()
    relay.send(f"x@{NEVER}", letter("time-up"))
    quiet = {"late-never": relay.send(f"x@{NEVER}", letter("late-never"), rcpt=("NOTIFY=NEVER",)),
             "late-failure": relay.send(f"x@{NEVER}", letter("late-failure"), rcpt=("NOTIFY=FAILURE",)),
             "late-null": relay.send(f"x@{NEVER}", letter("late-null"), sender="")}
    relay.send(f"x@{NEVER}", letter("late-delay"), rcpt=("NOTIFY=DELAY",))
    actions = {}

    def look():
        for m in dsns("time-up", 0):
            for f in dsn_fields(m):
                actions[f["Action"]] = f
        return "delayed" in actions
    score.add("a warning when it is late", [] if wait_until(look, 15, 0.5) else ["no warning"])
    told = wait_until(lambda: dsns("late-delay", 0), 15, 0.5)
    score.add("NOTIFY=DELAY: a warning", [] if told and dsn_fields(told[0])[0]["Action"] == "delayed" else [told])
    loud = [word for word in quiet if dsns(word, 0)]
    score.add("NOTIFY without DELAY, NEVER, null reverse-path: no warning", loud)
    wait_until(lambda: look() and "failed" in actions, 70, 1)
    wait_until(relay.is_empty, 20, 0.5)
    loud = {word: [dsn_fields(m)[0]["Action"] for m in dsns(word, 0)] for word in [*quiet, "late-delay"]}
    score.add("the end is told as NOTIFY says", [] if loud == {"late-never": [], "late-null": [],
              "late-failure": ["failed"], "late-delay": ["delayed"]} else [loud])
    f = actions.get("failed", {})
    score.add("the end of the lifetime", [] if f and relay.is_empty() else [f, relay.totals()])
    relay.stop()


def test_start(score, folder):
    relay = Relay("start", 2650, **tls_options(folder, 2650)).start()

    def fails(name, word, codes=(71, 78), port=2655, user="", prepare=None, **options):
        other = Relay(f"start-{port}-{len(word)}", port, user, **options)
        if prepare:
            prepare(other)
        other.launch()
        try:
            code = other.process.wait(10)
        except subprocess.TimeoutExpired:
            code = "no end"
            other.stop()
        text = other.log_text()
        score.add(f"start: {name}", [] if code in codes and word in text else [code, text[-300:]])

    fails("a port in use", "in use", port=2650)
    fails("the store is another relay's", "store", **{"relay.store": relay.store})
    fails("a certificate that is none", "nonsense.pem", **{"relay.certificate": [folder / "nonsense.pem"]})
    (folder / "nonsense2.pem").write_text("nonsense")
    fails("a certificate that is nonsense", "nonsense2.pem", **{"relay.certificate": [folder / "nonsense2.pem"]})
    fails("a key of another certificate", "key", **{"relay.certificate": [folder / "rsa1.chain.pem"],
                                                    "relay.key": [folder / "ec1.pem"]})
    if daemon.can_be_nobody():
        fails("a folder that is not ours", "store", user="nobody", prepare=lambda r: os.chown(r.folder, 0, 0))
    fails("a user who is not there", "nosuchuser", prepare=lambda r: r.options.update({"relay.user": "nosuchuser"}))
    code = relay.stop()
    score.add("start: the first one goes on", [] if code == 0 else [code])


def test_users(score, folder):
    """Started by root, run by nobody."""
    if not daemon.can_be_nobody():
        print("users: this namespace has no user nobody, or that user cannot reach the lab's folder: not tried",
              file=sys.stderr)
        return
    relay = Relay("nobody", 2660, "nobody", **tls_options(folder, 2660)).start()
    relay.send(f"x@{BACK}", letter("by-nobody"))
    score.add("as nobody: mail goes through", [] if arrived("by-nobody") else ["it does not"])
    uids = {role: {os.stat(f"/proc/{pid}").st_uid for pid in pids} for role, pids in relay.roles().items()}
    score.add("as nobody: all are nobody", [] if uids and all(0 not in u for u in uids.values()) else [uids])
    mode = stat.S_IMODE(os.stat(relay.control).st_mode)
    score.add("the control socket is its owner's alone", [] if mode & 0o077 == 0 else [oct(mode)])
    for role, pids in relay.roles().items():
        os.kill(pids[0], signal.SIGKILL)
        back = wait_until(lambda r=role, p=pids: came_back(relay, r, p), 10)
        score.add(f"killed: the {role} comes back", [] if back else [relay.roles()])
        wait_until(lambda: relay.queue("stats")[0] == 0, 10)
        word = f"after-{role}"
        try:
            wait_until(lambda w=word: try_send(relay, w), 10, 0.3)
            score.add(f"killed {role}: mail goes through", [] if arrived(word) else ["it does not"])
        except (OSError, smtplib.SMTPException) as e:
            score.add(f"killed {role}: mail goes through", [repr(e)])
    score.add("as nobody: ends well", [] if relay.stop() == 0 else ["no"])


def test_rate(score, folder):
    """P3: a user may hand in so many messages a minute; this machine's own programs are not counted."""
    relay = Relay("rate", 2680, **tls_options(folder, 2680),
                  **{"relay.messages-per-minute": 3, "relay.intakes": 1}).start()
    tls = daemon.trusting(folder / "ca.pem")
    with smtplib.SMTP(HOME, relay.port + 1, timeout=20) as c:
        c.starttls(context=tls)
        c.login(NAME, PASSWORD)
        codes = []
        for _ in range(5):
            codes.append(c.docmd(f"MAIL FROM:<a@{BACK}>")[0])
            c.rset()
    score.add("rate: the fourth message of a user waits", [] if codes == [250] * 3 + [450] * 2 else [codes])
    score.add("rate: it is logged", [] if relay.event("too-many-messages", user=NAME) else ["it is not"])
    with relay.client() as c:
        c.ehlo()
        codes = []
        for _ in range(9):
            codes.append(c.docmd(f"MAIL FROM:<a@{BACK}>")[0])
            c.rset()
    score.add("rate: this machine is not counted", [] if codes == [250] * 9 else [codes])
    relay.stop()


def test_postmaster(score, folder):
    """RFC 5321 s4.5.1: <postmaster> is taken from anybody, for relay.postmaster; without it the mail waits."""
    def ask(relay, *recipients):
        with relay.client() as c:
            c.ehlo()
            expect(c.docmd(f"MAIL FROM:<a@{BACK}>"), 250)
            return [c.docmd(f"RCPT TO:<{to}>") for to in recipients]

    ours = ["postmaster", "PostMaster", f"postmaster@{HOST}", f"Postmaster@{HOST.upper()}"]
    strangers = {"relay.networks": "192.0.2.0/24", "smtp.helo": HOST}
    relay = Relay("postmaster", 2685, **strangers, **{"relay.postmaster": f"chief@{BACK}"}).start()
    got = ask(relay, *ours, f"postmaster@{BACK}", f"root@{HOST}")
    score.add("postmaster: taken from a stranger, nobody else is",
              [] if [code for code, _ in got] == [250] * 4 + [550] * 2 else [got])
    for n, to in enumerate(ours[1:3]):
        queue_id = relay.send(to, letter(f"to-postmaster-{n}-"))
        sent = wait_until(lambda i=queue_id: relay.event("sent", id=i))
        score.add(f"postmaster: {to} goes to the mailbox", [] if sent and sent.get("to") == f"chief@{BACK}" and
                  arrived(f"to-postmaster-{n}-") else [sent])
    relay.stop()
    relay = Relay("no-postmaster", 2687, **strangers).start()
    got = ask(relay, *ours)
    score.add("postmaster: without the option the mail waits at its client",
              [] if all(code == 451 and b"4.3.5" in text for code, text in got) else [got])
    score.add("postmaster: and it is said", [] if relay.event("no-postmaster") else ["it is not"])
    relay.stop()
    words = ["-o", f"relay.smtp={HOME}:2689", "-o", f"smtp.helo={HOST}"]
    code, out, err = report.run([*words, "relay", "--check-config"])
    score.add("postmaster: --check-config warns", [] if code == 0 and "relay.postmaster" in err else [code, out, err])
    code, out, err = report.run([*words, "-o", f"relay.postmaster=chief@{BACK}", "relay", "--check-config"])
    score.add("postmaster: --check-config is silent when it is set", [] if code == 0 and not err else [code, out, err])
    code, out, err = report.run([*words, "-o", f"relay.postmaster=postmaster@{HOST}", "relay", "--check-config"])
    score.add("postmaster: no circle", [] if code == 78 and "leads back" in err else [code, out, err])


def scrape(port):
    with urllib.request.urlopen(f"http://{HOME}:{port}/metrics", timeout=10) as reply:
        lines = reply.read().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def test_metrics(score, folder):
    """Each counter moves when what it counts happens."""
    relay = Relay("metrics", 2692, **{"relay.metrics": f"{HOME}:2694", "queue.retry-first": 3600}).start()
    before = scrape(2694)
    relay.send(f"x@{BACK}", letter("metrics-a"))
    relay.send(f"x@{NEVER}", letter("metrics-b"))
    relay.send(f"x@{REFUSES}", letter("metrics-c"), sender="")
    grown = ["accepted_total", 'delivered_total{policy="dane",channel="authenticated"}',
             'deferred_total{reason="smtp-deferred"}', 'failed_total{reason="smtp-rejected"}', "queue_messages",
             "queue_bytes", "queue_recipients", 'queue_deliveries{state="waiting"}', "queue_oldest_seconds",
             "tls_handshakes_total", "dns_questions_total", "dns_seconds_total"]

    def still():
        now = scrape(2694)
        return [n for n in grown if now.get(f"danelaw_{n}", 0) <= before.get(f"danelaw_{n}", 0)]
    wait_until(lambda: not still(), 15, 0.2)
    score.add("metrics: every counter moves", still())
    time.sleep(12)      # the kept connection ends
    for n in range(6):
        relay.send(f"x@{BACK}", letter(f"metrics-again-{n}"))
    again = wait_until(lambda: (lambda m: m["danelaw_tls_resumed_total"] + m["danelaw_sessions_reused_total"] > 0 and m)
                       (scrape(2694)), 15, 0.2)
    score.add("metrics: resumed and reused sessions", [] if again else [scrape(2694)])
    for role, pids in relay.roles().items():
        os.kill(pids[0], signal.SIGKILL)
        told = wait_until(lambda r=role: restarts(2694, r) == 1, 15, 0.2)
        score.add(f"metrics: a restart of the {role} is counted", [] if told else [restarts(2694, role)])
    relay.stop()


def restarts(port, role):
    try:
        return scrape(port).get(f'danelaw_restarts_total{{role="{role}"}}')
    except OSError:     # the keeper itself is being started
        return None


def came_back(relay, role, before):
    now = relay.roles().get(role, [])
    return len(now) == len(before) and before[0] not in now


def try_send(relay, word):
    try:
        return relay.send(f"x@{BACK}", letter(word))
    except (OSError, smtplib.SMTPException):
        return None


# -- all -----------------------------------------------------------------------------------------------------

def test_domains(score, folder, pattern="*"):
    domains = [d for d in report.load()["domains"] if fnmatch.fnmatchcase(d["name"], pattern)]
    relay = Relay("domains", 2700, **{"queue.parallel": 500}).start()
    results = {"relay": relay, "names": {d["ascii"] for d in domains}}
    test_every_domain(score, domains, results)
    test_every_arrival(score, domains, results)
    test_every_bounce(score, domains, results)
    score.add("domains: ends well", [] if relay.stop(70) == 0 else ["no"])


TESTS = {"domains": test_domains, "clients": test_clients, "protocol": test_protocol, "reload": test_reload,
         "queue": test_queue, "time": test_time, "start": test_start, "users": test_users, "fairness": test_fairness,
         "rate": test_rate, "postmaster": test_postmaster,
         "metrics": test_metrics}


def guarded(score, name, folder):
    try:
        TESTS[name](score, folder)
    except Exception as e:      # one broken test must not hide the others
        score.add(name, [f"broke off: {e!r}"])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pattern", nargs="*", help=f"of {', '.join(TESTS)}")
    parser.add_argument("-v", "--verbose", action="store_true", help="also say what passed")
    args = parser.parse_args()
    chosen = [n for n in TESTS if not args.pattern or any(fnmatch.fnmatchcase(n, p) for p in args.pattern)]
    score, began = Score(args.verbose), time.monotonic()
    folder = make_material()
    # What waits (for slow servers, for a lifetime) runs beside the rest.
    threads = [threading.Thread(target=guarded, args=(score, n, folder)) for n in chosen if n in ("domains", "time")]
    for t in threads:
        t.start()
    for name in chosen:
        if name not in ("domains", "time"):
            guarded(score, name, folder)
    for t in threads:
        t.join()
    print(f"{len(chosen)} groups in {time.monotonic() - began:.0f} s", file=sys.stderr)
    print(f"{score.passed} passed, {score.failed} failed", flush=True)
    return 1 if score.failed or not score.passed else 0


sys.exit(main())
