#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""`danelaw tlsa roll` for real (rule V3, RFC 7671 s8): a zone that Knot DNS signs live and that takes
updates with a TSIG key, a second name server that follows it, a caching resolver that remembers, a mail
server that presents what lies in a file, and mail that must never stop.

Run as: lab/lab run lab/roll_test.py [PATTERN...].  Brings name servers of its own, a root included.
"""

import base64
import fnmatch
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True

import certs    # noqa: E402
import fakes    # noqa: E402
import zones    # noqa: E402

ROOT, FIRST, SECOND, CACHE = "127.0.1.1", "127.0.1.2", "127.0.1.3", "127.0.1.4"
MAIL = ["127.0.1.10", "127.0.1.11"]
ZONE, HOST = "roll.test.", "mx.roll.test"
OWNER = f"_25._tcp.{HOST}."
TTL = 2
SECRET = base64.b64encode(b"a key for nothing but this lab..").decode()
OVER, BLOCKED, UNKNOWN, WAITS, ACTED = range(5)
PATIENCE = 90


class World:
    """Name servers, mail server, and the mail that flows."""

    def __init__(self, folder):
        self.folder = folder
        self.daemons = []
        self.maker = certs.Certs()
        for name in ("ec", "other"):
            self.maker.add_ca({"name": name})
        self.cert = folder / "current.pem"
        self.second_cert = folder / "current-rsa.pem"   # presented too where it exists
        self.next = folder / "next.pem"
        self.tsig = folder / "tsig.key"
        self.tsig.touch(mode=0o600)
        self.tsig.write_text(f'key "roll-key." {{ algorithm hmac-sha256; secret "{SECRET}"; }};\n')
        self.conf, self.far_conf = folder / "near.conf", folder / "far.conf"
        self.stop = threading.Event()
        self.sent, self.failures = 0, []

    # -- certificates ---------------------------------------------------------------------------

    def certificate(self, path, **spec):
        self.maker.make({"ca": "ec", "key": "ec", "names": [HOST], "serve": ["leaf", "inter", "root"]} | spec, HOST).write(path)
        return path

    def put(self, path):
        """Into service: the mail server reads the file for each connection."""
        new = self.cert.with_suffix(".put")
        shutil.copy(path, new)
        new.rename(self.cert)

    # -- name servers ----------------------------------------------------------------------------

    def spawn(self, name, command):
        log = open(self.folder / f"{name}.log", "w")
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.daemons.append(process)
        return process

    def knot(self, name, address, sections, zone, signing_key=None):
        base = self.folder / name
        (base / "run").mkdir(parents=True)
        path = base / "knot.conf"
        path.write_text("\n".join([
            "server:", f'    rundir: "{base}/run"', f"    listen: {address}@53", "    udp-workers: 1",
            "    tcp-workers: 1", "    background-workers: 1", "database:", f'    storage: "{base}"',
            "log:", "  - target: stderr", "    any: info", *sections, "zone:", *zone]) + "\n")
        if signing_key:
            pem = base / "key.pem"
            pem.write_bytes(signing_key.pem())
            subprocess.run(["keymgr", "-c", str(path), signing_key.zone, "import-pem", str(pem), "algorithm=ecdsap256sha256",
                            "ksk=yes", "zsk=yes", "created=-1d", "publish=-1d", "ready=-1d", "active=-1d"],
                           check=True, capture_output=True)
        return self.spawn(name, ["knotd", "-c", str(path)])

    POLICY = ["policy:", "  - id: p", "    manual: on", "    single-type-signing: on",
              "    algorithm: ecdsap256sha256", "    cds-cdnskey-publish: none"]

    def start_dns(self):
        root_key, zone_key = zones.Key("."), zones.Key(ZONE)
        (self.folder / "root.zone").write_text("\n".join([
            f". 60 SOA ns.root. postmaster.root. 1 3600 900 1209600 {TTL}", ". 60 NS ns.root.", f"ns.root. 60 A {ROOT}",
            f"{ZONE} 60 NS ns1.{ZONE}", f"{ZONE} 60 NS ns2.{ZONE}", f"ns1.{ZONE} 60 A {FIRST}",
            f"ns2.{ZONE} 60 A {SECOND}", f"{ZONE} 60 DS {zone_key.ds()}"]) + "\n")
        (self.folder / "roll.zone").write_text("\n".join([
            f"{ZONE} {TTL} SOA ns1.{ZONE} postmaster.{ZONE} 1 3600 900 1209600 {TTL}", f"{ZONE} 60 NS ns1.{ZONE}",
            f"{ZONE} 60 NS ns2.{ZONE}", f"ns1.{ZONE} 60 A {FIRST}", f"ns2.{ZONE} 60 A {SECOND}",
            f"{ZONE} 60 MX 10 {HOST}.", *(f"{HOST}. 60 A {a}" for a in MAIL)]) + "\n")
        (self.folder / "root.ds").write_text(f". 60 IN DS {root_key.ds()}\n")
        self.knot("root", ROOT, self.POLICY, ["  - domain: .", f'    file: "{self.folder}/root.zone"',
                                             "    zonefile-sync: -1", "    dnssec-signing: on", "    dnssec-policy: p"],
                  root_key)
        self.first = self.knot("first", FIRST, [
            "key:", "  - id: roll-key.", "    algorithm: hmac-sha256", f"    secret: {SECRET}",
            "remote:", "  - id: second", f"    address: {SECOND}@53",
            "acl:", "  - id: update", "    key: roll-key.", "    action: update",
            "  - id: transfer", f"    address: {SECOND}", "    action: transfer", *self.POLICY],
            [f"  - domain: {ZONE}", f'    file: "{self.folder}/roll.zone"', "    zonefile-sync: -1",
             "    dnssec-signing: on", "    dnssec-policy: p", "    notify: second", "    acl: [ update, transfer ]"], zone_key)
        self.second = self.knot("second", SECOND, [
            "remote:", "  - id: first", f"    address: {FIRST}@53", f"    via: {SECOND}", "acl:", "  - id: notify", f"    address: {FIRST}",
            "    action: notify", "  - id: local", "    address: 127.0.0.0/8", "    action: notify"],
            [f"  - domain: {ZONE}", "    master: first", "    acl: [ notify, local ]", "    zonefile-sync: -1"])
        self.start_cache(root_key)

    def start_cache(self, root_key):
        """The resolver of senders far away: it keeps what it got as long as it may."""
        base = self.folder / "cache"
        base.mkdir()
        # named listens on addresses of an interface only
        subprocess.run(["ip", "address", "replace", f"{CACHE}/32", "dev", "lo"], check=True)
        ds = root_key.ds().split()
        (base / "hints").write_text(f". 3600 NS ns.root.\nns.root. 3600 A {ROOT}\n")
        (base / "named.conf").write_text(f"""options {{
    directory "{base}"; pid-file none; session-keyfile none; managed-keys-directory "{base}";
    listen-on port 53 {{ {CACHE}; }}; listen-on-v6 {{ none; }}; recursion yes; allow-query {{ any; }};
    dnssec-validation yes; empty-zones-enable no; minimal-responses yes;
}};
controls {{ }};
trust-anchors {{ . static-ds {ds[0]} {ds[1]} {ds[2]} "{ds[3]}"; }};
zone "." {{ type hint; file "{base}/hints"; }};
""")
        self.spawn("cache", ["named", "-g", "-c", str(base / "named.conf")])
        common = f"""	anchor = "{self.folder}/root.ds"
	unbound = {{ "local-zone: test. transparent", "do-not-query-localhost: no" }}
	timeout = 10
}}
smtp {{
	helo = "client.lab.test"
	timeout-connect = 5
	timeout-greeting = 5
}}
"""
        self.conf.write_text(f'dns {{\n	stub = "{ROOT}@53"\n{common}')
        self.far_conf.write_text(f'dns {{\n	forward = "{CACHE}@53"\n{common}')

    # -- the mail server ---------------------------------------------------------------------------

    def start_mail(self):
        log = fakes.Log(self.folder / "mail.log")
        spec = {"fault": "accept", "host": HOST, "domain": ZONE, "chain_files": [str(self.cert)], "seen": set()}

        def loop(sock):
            while True:
                client, _ = sock.accept()
                spec["chain_files"] = [str(p) for p in (self.cert, self.second_cert) if p.exists()] or [str(self.cert)]
                try:
                    session = fakes.Session(spec, fakes.context_for(spec), client, log, str(self.folder / "taken"))
                except OSError:
                    client.close()
                    continue
                threading.Thread(target=session.run, daemon=True).start()
        for address in MAIL:
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((address, 25))
            sock.listen(64)
            threading.Thread(target=loop, args=(sock,), daemon=True).start()

    # -- mail that flows ---------------------------------------------------------------------------

    def send(self, conf):
        done = self.danelaw("send", "--json", "-f", "me@client.lab.test", "you@roll.test", conf=conf,
                            stdin=b"Subject: flows\r\n\r\nx\r\n")
        line = json.loads(done.stdout) if done.stdout else {"status": "?", "explain": done.stderr}
        return line

    def flow(self):
        while not self.stop.is_set():
            for conf in (self.conf, self.far_conf):
                began = time.time()
                line = self.send(conf)
                self.sent += 1
                if line["status"] != "sent" or line["policy"] not in self.policies:
                    self.failures.append((conf.name, began, line))
            self.stop.wait(0.2)

    def mail_flows(self, policies=("dane",)):
        self.policies = policies
        self.stop.clear()
        self.sent, self.failures = 0, []
        self.thread = threading.Thread(target=self.flow, daemon=True)
        self.thread.start()

    def mail_ends(self):
        self.stop.set()
        self.thread.join()
        complaints = [f"{len(self.failures)} of {self.sent} messages failed, first: {self.failures[0]}"] \
            if self.failures else []
        return complaints + ([f"only {self.sent} messages"] if self.sent < 4 else [])

    # -- programs ------------------------------------------------------------------------------------

    def command(self, *words, conf=None):
        program = os.environ.get("DANELAW", str(pathlib.Path(__file__).resolve().parent.parent / "build" / "danelaw"))
        return [program, "-c", str(conf or self.conf), *map(str, words)]

    def danelaw(self, *words, conf=None, stdin=b""):
        done = subprocess.run(self.command(*words, conf=conf), input=stdin, capture_output=True, timeout=PATIENCE)
        done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
        return done

    def update(self, *lines):
        script = f"server {FIRST} 53\nzone {ZONE}\n" + "".join(line + "\n" for line in lines) + "send\n"
        subprocess.run(["nsupdate", "-k", str(self.tsig)], input=script.encode(), check=True, capture_output=True, timeout=30)

    def record(self, path, form="3 1 1"):
        done = self.danelaw("tlsa", "gen", "--host", HOST, "--json", form, path)
        line = json.loads(done.stdout)
        return f"{line['usage']} {line['selector']} {line['mtype']} {line['data']}"

    def published(self, server=FIRST):
        done = subprocess.run(["dig", "+short", "+tcp", f"@{server}", OWNER, "TLSA"], capture_output=True, text=True, timeout=30)
        lines = [line.split() for line in done.stdout.splitlines() if line[0].isdigit()]
        return {" ".join(line[:3]) + " " + "".join(line[3:]).lower() for line in lines}

    def publish_only(self, *records):
        self.update(f"update delete {OWNER}", *(f"update add {OWNER} {TTL} TLSA {r}" for r in records))
        self.until("both name servers have it", lambda: self.published() == self.published(SECOND) == set(records))
        time.sleep(2 * TTL + 1)         # the cache forgets

    def until(self, what, ready):
        end = time.monotonic() + PATIENCE
        while not ready():
            if time.monotonic() > end:
                raise RuntimeError(f"{what}: not within {PATIENCE} s")
            time.sleep(0.05)


class Test:
    def __init__(self, world):
        self.w = world
        self.passed = self.failed = 0
        self.number = 0

    def fresh(self):
        """A server with one key, its record published, no rollover; mail gets through."""
        self.number += 1
        w = self.w
        w.second_cert.unlink(missing_ok=True)
        w.put(w.certificate(w.folder / "first.pem"))
        self.old = w.record(w.folder / "first.pem")
        w.publish_only(self.old)
        self.state = w.folder / f"state-{self.number}.json"
        self.key = w.folder / f"key-{self.number}.pem"
        self.hook = w.folder / f"hook-{self.number}"
        self.hook.write_text(f"""#!/bin/sh -e
openssl req -x509 -key "$DANELAW_KEY" -subj "/CN=$DANELAW_HOST" -days 5 -out {w.folder}/made.crt
cat "$DANELAW_KEY" {w.folder}/made.crt > {w.folder}/made.pem
mv {w.folder}/made.pem {w.cert}
echo ran >> {self.hook}.ran
""")
        self.hook.chmod(0o755)
        self.nsupdate = ["--nsupdate", "--server", f"{FIRST}@53", "--tsig", w.tsig]

    def start(self, *more, hook=True):
        words = ["tlsa", "roll", "start", "--host", HOST, "--state", self.state, "--settle", "2", *more]
        return words + (["--hook", self.hook] if hook else [])

    def roll(self, *words, conf=None):
        return self.w.danelaw("tlsa", "roll", *words, "--state", self.state, conf=conf)

    def status(self):
        return json.loads(self.roll("status", "--json").stdout)

    def only(self, record):
        return self.w.published() == self.w.published(SECOND) == {record}

    # -- the tests -----------------------------------------------------------------------------------

    def rollover(self):
        """A new key, from the beginning to the end, while mail flows: not one delivery fails."""
        self.fresh()
        self.w.mail_flows()
        done = self.w.danelaw(*self.start("--new-key", self.key, "--csr", self.w.folder / f"csr-{self.number}", *self.nsupdate,
                                          "--wait", "--poll", "1"))
        time.sleep(2 * TTL)
        yield "mail", self.w.mail_ends()
        yield "exit code", [] if done.returncode == OVER else [f"{done.returncode}: {done.stdout}{done.stderr}"]
        new = self.w.record(self.key)
        yield "the new record alone", [] if self.only(new) else [str(self.w.published())]
        yield "the key is ours alone", [] if self.key.stat().st_mode & 0o777 == 0o600 else [oct(self.key.stat().st_mode)]
        yield "so is the state", [] if self.state.stat().st_mode & 0o777 == 0o600 else [oct(self.state.stat().st_mode)]
        csr = subprocess.run(["openssl", "req", "-in", self.w.folder / f"csr-{self.number}", "-noout", "-verify", "-text"],
                             capture_output=True, text=True)
        yield "the request", [] if csr.returncode == 0 and f"DNS:{HOST}" in csr.stdout else [csr.stderr]
        states = [line.split()[1].rstrip(":") for line in done.stdout.splitlines() if line[:2] == "20"]
        order = [s for i, s in enumerate(states) if i == 0 or states[i - 1] != s]
        yield "every state in order", [] if order == ["make", "publish", "wait", "deploy", "settle", "retire", "done"] else [str(order)]
        yield "run again", self.code(self.roll("run"), OVER)

    @staticmethod
    def code(done, *codes):
        return [] if done.returncode in codes else [f"exit code {done.returncode}, not {codes}: {done.stdout}{done.stderr}"]

    def run_until_over(self, kill):
        """`roll run` again and again; kill(process) may kill -9 it."""
        end = time.monotonic() + PATIENCE
        codes = []
        while time.monotonic() < end:
            process = subprocess.Popen(self.w.command("tlsa", "roll", "run", "--state", self.state, "--wait", "--poll", "1"),
                                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            kill(process)
            out = process.communicate()[0].decode()
            codes.append(process.returncode)
            if process.returncode == OVER:
                return []
            if process.returncode not in (-signal.SIGKILL, UNKNOWN):
                return [f"ended with {process.returncode}: {out}"]
        return [f"not over: {codes}"]

    def killed(self):
        """kill -9 in every state, and at random moments; each time it goes on where it was."""
        self.fresh()
        seen = []

        def at_each_state(process):
            while process.poll() is None:
                try:
                    state = json.loads(self.state.read_text())["state"]
                except (OSError, ValueError) as e:      # it is replaced as a whole: never half
                    seen.append(f"state file: {e}")
                    state = ""
                if state not in seen:
                    seen.append(state)
                    process.kill()
                time.sleep(0.002)
        self.w.mail_flows()
        first = subprocess.Popen(self.w.command(*self.start("--new-key", self.key, *self.nsupdate)), stdout=subprocess.DEVNULL)
        self.w.until("the state file", self.state.exists)
        first.kill()
        first.wait()
        yield "killed in each state", self.run_until_over(at_each_state)
        yield "all of them were seen", [] if {"publish", "wait", "deploy", "settle", "retire"} <= set(seen) else [str(seen)]
        yield "the state file was whole", [s for s in seen if s.startswith("state file")]
        yield "the new record alone", [] if self.only(self.w.record(self.key)) else [str(self.w.published())]
        yield "mail", self.w.mail_ends()

    def killed_at_random(self):
        """The same with the clock of a die: begin to end."""
        self.fresh()
        dice = random.Random(7)

        def soon(process):
            try:
                process.wait(dice.choice((0.02, 0.05, 0.1, 0.2, 0.4, 1.5)))
            except subprocess.TimeoutExpired:
                process.kill()
        self.w.mail_flows()
        self.w.danelaw(*self.start("--new-key", self.key, *self.nsupdate))
        yield "killed at random", self.run_until_over(soon)
        yield "the new record alone", [] if self.only(self.w.record(self.key)) else [str(self.w.published())]
        yield "mail", self.w.mail_ends()

    def by_hand(self):
        """Nobody publishes and deploys but people: the machine says what, waits, and goes on."""
        self.fresh()
        w = self.w
        w.certificate(w.next)
        new = w.record(w.next)
        w.mail_flows()
        done = w.danelaw(*self.start("--next", w.next, hook=False))
        yield "it asks for the record", self.code(done, BLOCKED) + ([] if new in done.stdout and self.old in done.stdout else [done.stdout])
        w.update(f"update add {OWNER} {TTL} TLSA {new}")
        w.until("both name servers have it", lambda: w.published() == w.published(SECOND) == {self.old, new})
        done = self.roll("run")
        far = json.loads(self.roll("status", "--json", conf=w.far_conf).stdout)["seen"]
        yield "each name server, past a forwarder", [] if far["name_servers"] == 3 and far["trouble"] is None else [str(far)]
        yield "it waits", self.code(done, ACTED) + ([] if "not before 20" in done.stdout else [done.stdout])
        yield "and says so again", self.code(self.roll("run"), WAITS)
        w.until("the wait", lambda: self.roll("run").returncode == BLOCKED)
        yield "it asks for the certificate", [] if self.status()["act"] == "deploy" else [str(self.status())]
        w.put(w.next)
        w.until("the old record may go", lambda: self.roll("run").returncode == BLOCKED and self.status()["act"] == "retire")
        w.update(f"update delete {OWNER} TLSA {self.old}")
        w.until("both followed", lambda: self.only(new))
        yield "over", self.code(self.roll("run"), OVER)
        yield "mail", w.mail_ends()

    def abort(self):
        """Back during the wait; back after the deployment; not back when it is too late."""
        self.fresh()
        w = self.w
        w.certificate(w.next)
        new = w.record(w.next)
        w.mail_flows()
        w.danelaw(*self.start("--next", w.next, *self.nsupdate, hook=False))
        w.until("the wait", lambda: self.roll("run").returncode != UNKNOWN and self.status()["state"] == "wait")
        yield "dry", self.code(self.roll("abort", "--dry-run"), WAITS) + ([] if self.status()["state"] == "wait" else ["it moved"])
        w.until("the way back", lambda: self.roll("abort").returncode == OVER)
        yield "as before", [] if self.only(self.old) else [str(w.published())]

        w.danelaw(*self.start("--next", w.next, *self.nsupdate, hook=False))
        w.until("deploy", lambda: self.roll("run").returncode == BLOCKED and self.status()["act"] == "deploy")
        w.put(w.next)
        w.until("settle", lambda: self.roll("run") and self.status()["state"] == "settle")
        done = self.roll("abort")
        yield "the certificate goes back first", self.code(done, BLOCKED) + ([] if "restore" in done.stdout else [done.stdout])
        yield "its record stays", [] if w.published() == {self.old, new} else [str(w.published())]
        w.put(w.folder / "first.pem")
        w.until("the way back", lambda: self.roll("run").returncode == OVER)
        yield "as before", [] if self.only(self.old) else [str(w.published())]
        yield "mail", w.mail_ends()

    def ca(self):
        """Usage 2: another CA."""
        self.fresh()
        w = self.w
        old = w.record(w.folder / "first.pem", "2 1 1")
        w.publish_only(old)
        w.certificate(w.next, ca="other")
        self.hook.write_text(f"#!/bin/sh -e\ncp {w.next} {w.folder}/made.pem\nmv {w.folder}/made.pem {w.cert}\n")
        w.mail_flows()
        done = w.danelaw(*self.start("--next", w.next, *self.nsupdate, "--wait", "--poll", "1", "2 1 1"))
        yield "over", self.code(done, OVER)
        yield "the new CA alone", [] if self.only(w.record(w.next, "2 1 1")) else [str(w.published())]
        time.sleep(2 * TTL)
        yield "mail", w.mail_ends()

    def both(self):
        """RSA and ECDSA: a new ECDSA key leaves the RSA record alone, and both chains stay good."""
        self.fresh()
        w = self.w
        w.certificate(w.second_cert, key="rsa")
        rsa = w.record(w.second_cert)
        w.publish_only(self.old, rsa)
        w.mail_flows()
        done = w.danelaw(*self.start("--new-key", self.key, *self.nsupdate, "--wait", "--poll", "1"))
        time.sleep(2 * TTL)
        yield "over", self.code(done, OVER)
        new = w.record(self.key)
        yield "the RSA record stays", [] if w.published() == w.published(SECOND) == {new, rsa} else [str(w.published())]
        yield "mail", w.mail_ends()
        done = w.danelaw("check", "--all-certs", "roll.test")
        yield "both are good", self.code(done, 0)
        w.update(f"update delete {OWNER} TLSA {rsa}")
        w.until("both followed", lambda: self.only(new))
        done = w.danelaw("tlsa", "verify", "--host", HOST, "--chain", self.key.parent / "current.pem", "--chain",
                         w.second_cert.with_suffix(".chain.pem"))
        yield "each chain by itself", self.code(done, 1)
        made = w.danelaw("tlsa", "gen", "--connect", HOST)
        yield "gen takes both", [] if new in made.stdout and rsa in made.stdout else [made.stdout + made.stderr]

    def first(self):
        """The first record of a host: the wait is for its absence."""
        self.fresh()
        w = self.w
        w.publish_only()
        w.mail_flows(("may", "dane"))
        done = w.danelaw(*self.start("--next", w.folder / "first.pem", "--ttl", TTL, *self.nsupdate, "--wait", "--poll", "1", hook=False))
        time.sleep(2 * TTL)
        yield "over", self.code(done, OVER) + ([] if "no record will be retired" in done.stdout else [done.stdout])
        waits = [line for line in done.stdout.splitlines() if "not before" in line]
        yield "it waited", [] if len(waits) >= 1 else [done.stdout]
        yield "published", [] if self.only(self.old) else [str(w.published())]
        yield "mail", w.mail_ends()

    def alias(self):
        """The TLSA name is an alias: the records change where they are."""
        self.fresh()
        w = self.w
        target = f"_dane.{ZONE}"
        w.update(f"update delete {OWNER}", f"update add {OWNER} {TTL} CNAME {target}", f"update add {target} {TTL} TLSA {self.old}")
        w.until("both followed", lambda: self.only(self.old))
        time.sleep(2 * TTL + 1)
        w.mail_flows()
        done = w.danelaw(*self.start("--new-key", self.key, *self.nsupdate, "--wait", "--poll", "1"))
        time.sleep(2 * TTL)
        yield "over", self.code(done, OVER)
        yield "the new record alone", [] if self.only(w.record(self.key)) else [str(w.published())]
        yield "mail", w.mail_ends()
        w.update(f"update delete {target}", f"update delete {OWNER}")

    def unsigned(self):
        """Nothing begins where DNSSEC does not hold. (Domains of domains.toml.)"""
        self.fresh()
        conf = os.environ["DANELAW_CONF"]
        for host, want, words in (("mx.at-tlsa.island.test", BLOCKED, "not signed"), ("mx.at-tlsa.expired.test", UNKNOWN, "lookup")):
            done = self.w.danelaw("tlsa", "roll", "start", "--state", self.state, "--host", host, "--next", self.w.folder / "first.pem", conf=conf)
            yield host, self.code(done, want) + ([] if words in done.stderr else [done.stderr])
            yield f"{host}: no rollover begins", [] if not self.state.exists() else ["there is a state file"]

    def same_key(self):
        """Renewal with the same key: nothing to publish."""
        self.fresh()
        done = self.w.danelaw(*self.start("--next", self.w.folder / "first.pem", hook=False))
        yield "it says so", self.code(done, OVER) + ([] if "nothing to publish" in done.stdout else [done.stdout])
        yield "no rollover begins", [] if not self.state.exists() else ["there is a state file"]

    def judges(self, what, chain, verify, check, selfcheck, mail):
        """What three commands and a sender say."""
        w = self.w
        done = w.danelaw("tlsa", "verify", "--host", HOST, "--chain", chain)
        yield f"{what}: tlsa verify", self.code(done, verify)
        done = w.danelaw("check", "roll.test")
        yield f"{what}: check", self.code(done, check)
        done = w.danelaw("selfcheck", "--host", HOST, "--chain", chain)
        yield f"{what}: selfcheck", [] if (done.returncode == 2) == selfcheck else [f"{done.returncode}: {done.stdout}"]
        line = w.send(w.conf)
        yield f"{what}: a sender", [] if line["status"] == mail else [str(line)]

    def too_early(self):
        """Deployed before it is published: everybody notices, the machine first."""
        self.fresh()
        w = self.w
        w.certificate(w.next)
        yield "before it is done, a hook knows", self.code(w.danelaw("tlsa", "verify", "--host", HOST, "--chain", w.next), 1)
        done = w.danelaw(*self.start("--next", w.next, *self.nsupdate, hook=False))
        w.until("the wait", lambda: self.roll("run").returncode != UNKNOWN and self.status()["state"] == "wait")
        w.put(w.next)
        done = self.roll("run")
        if self.status()["state"] == "wait":
            yield "the machine", self.code(done, BLOCKED) + ([] if "already" in done.stdout else [done.stdout])
        w.put(w.folder / "first.pem")
        w.until("aborted", lambda: self.roll("abort").returncode == OVER)
        w.put(w.next)
        yield from self.judges("deployed, not published", w.next, 1, 2, True, "deferred")
        w.put(w.folder / "first.pem")
        yield from self.judges("put back", w.folder / "first.pem", 0, 0, False, "sent")

    def retired_early(self):
        """The old record is taken out while its key is in service."""
        self.fresh()
        w = self.w
        w.certificate(w.next)
        new = w.record(w.next)
        w.danelaw(*self.start("--next", w.next, *self.nsupdate, hook=False))
        w.until("deploy", lambda: self.roll("run").returncode == BLOCKED and self.status()["act"] == "deploy")
        w.update(f"update delete {OWNER} TLSA {self.old}")
        w.until("both followed", lambda: self.only(new))
        yield from self.judges("retired, still served", w.folder / "first.pem", 1, 2, True, "deferred")
        status = self.status()
        yield "the machine", [] if status["reason"] == "record-needed" and status["act"] == "publish" else [str(status)]
        self.roll("run")
        w.until("the machine mends it", lambda: w.published(SECOND) == {self.old, new})
        yield from self.judges("mended", w.folder / "first.pem", 0, 0, False, "sent")
        w.until("back", lambda: self.roll("abort").returncode == OVER)

    def blind(self):
        """A name server that does not answer, a mail server that cannot be reached: nothing moves."""
        self.fresh()
        w = self.w
        w.certificate(w.next)
        w.danelaw(*self.start("--next", w.next, *self.nsupdate, hook=False))
        w.until("the wait", lambda: self.roll("run").returncode != UNKNOWN and self.status()["state"] == "wait")
        w.second.send_signal(signal.SIGSTOP)
        try:
            done = self.roll("run")
            yield "a name server", self.code(done, UNKNOWN) + ([] if SECOND in done.stdout else [done.stdout])
        finally:
            w.second.send_signal(signal.SIGCONT)
        w.until("deploy", lambda: self.roll("run").returncode == BLOCKED and self.status()["act"] == "deploy")
        w.cert.rename(w.folder / "away.pem")
        done = self.roll("run")
        yield "the mail server", self.code(done, UNKNOWN) + ([] if MAIL[0] in done.stdout or MAIL[1] in done.stdout else [done.stdout])
        (w.folder / "away.pem").rename(w.cert)
        yield "two at a time", self.two_at_a_time()
        w.until("back", lambda: self.roll("abort").returncode == OVER)

    def two_at_a_time(self):
        holder = subprocess.Popen(self.w.command("tlsa", "roll", "run", "--state", self.state, "--wait", "--poll", "60"),
                                  stdout=subprocess.PIPE)
        holder.stdout.readline()
        done = self.roll("run")
        holder.kill()
        holder.communicate()
        return self.code(done, 75)

    def hooks(self):
        """The hooks for certbot and acme.sh let a renewal through, and stop one that would break mail."""
        self.fresh()
        w = self.w
        here = pathlib.Path(__file__).resolve().parent.parent / "packaging" / "hooks"
        tools = w.folder / f"bin-{self.number}"
        tools.mkdir()
        (tools / "danelaw").write_text(f'#!/bin/sh\nexec {" ".join(w.command())} "$@"\n')
        (tools / "danelaw").chmod(0o755)
        env = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "DANELAW_HOSTS": HOST, "DANELAW_TARGET": str(w.folder),
               "DANELAW_RELOAD": "true", "DANELAW_SETTINGS": "/nonexistent"}
        w.certificate(w.next)

        def key_of(path):
            return subprocess.run(["openssl", "pkey", "-in", path], check=True, capture_output=True).stdout

        def certbot(path, n):
            live, archive = w.folder / "letsencrypt/live/current", w.folder / "letsencrypt/archive/current"
            for folder in (live, archive):
                folder.mkdir(parents=True, exist_ok=True)
            for what, data in (("privkey", key_of(path)), ("fullchain", path.with_suffix(".chain.pem").read_bytes())):
                (archive / f"{what}{n}.pem").write_bytes(data)
                (live / f"{what}.pem").unlink(missing_ok=True)
                (live / f"{what}.pem").symlink_to(f"../../archive/current/{what}{n}.pem")
            return subprocess.run([here / "certbot-deploy"], env={**env, "RENEWED_LINEAGE": str(live)}, capture_output=True, text=True)

        def acme(path):
            folder = w.folder / ".acme.sh" / "current"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "current.key").write_bytes(key_of(path))
            (folder / "fullchain.cer").write_bytes(path.with_suffix(".chain.pem").read_bytes())
            return subprocess.run([here / "acme-reload", folder], env=env, capture_output=True, text=True)
        for name, run in (("certbot", lambda path: certbot(path, 1)), ("acme.sh", acme)):
            w.cert.unlink()
            yield f"{name}: the same key", self.code(run(w.folder / "first.pem"), 0)
            yield f"{name}: mail", [] if w.send(w.conf)["status"] == "sent" else ["not sent"]
            before = w.cert.read_bytes()
            done = run(w.next)
            yield f"{name}: another key", self.code(done, 1) + ([] if "hold mail" in done.stderr else [done.stderr])
            yield f"{name}: the old one stays", [] if w.cert.read_bytes() == before else ["it was replaced"]
            yield f"{name}: mail still", [] if w.send(w.conf)["status"] == "sent" else ["not sent"]

    # -- running -------------------------------------------------------------------------------------

    ALL = ["rollover", "killed", "killed_at_random", "by_hand", "abort", "ca", "both", "first", "alias", "unsigned", "same_key", "too_early", "retired_early", "blind", "hooks"]

    def run(self, patterns):
        for name in self.ALL:
            if patterns and not any(fnmatch.fnmatch(name, p) for p in patterns):
                continue
            began = time.monotonic()
            bad = 0
            try:
                for what, complaints in getattr(self, name)():
                    self.passed += not complaints
                    self.failed += bool(complaints)
                    bad += bool(complaints)
                    if complaints:
                        print(f"FAIL roll: {name}: {what}: {'; '.join(complaints)}", flush=True)
            except (RuntimeError, ValueError, KeyError, subprocess.SubprocessError) as e:
                self.failed += 1
                bad += 1
                print(f"FAIL roll: {name}: {type(e).__name__}: {e}", flush=True)
            self.w.stop.set()
            print(f"roll: {name}: {'failed' if bad else 'ok'} in {time.monotonic() - began:.0f} s", flush=True)


def main(patterns):
    folder = pathlib.Path(os.environ["DANELAW_LAB"]) / "roll"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    world = World(folder)
    test = Test(world)
    try:
        world.start_dns()
        world.certificate(world.cert)
        world.start_mail()
        world.until("the zone", lambda: world.danelaw("resolve", f"{HOST}", "A").stdout.find("secure") > 0)
        world.until("the second server", lambda: subprocess.run(
            ["dig", "+short", "+time=1", "+tries=1", f"@{SECOND}", ZONE, "SOA"], capture_output=True).stdout.strip() not in (b"",))
        world.until("the cache", lambda: world.danelaw("resolve", f"{HOST}", "A", conf=world.far_conf).stdout.find("secure") > 0)
        test.run(patterns)
    finally:
        for d in world.daemons:
            d.kill()
    print(f"roll_test: {test.passed} passed, {test.failed} failed")
    return 1 if test.failed else 0


sys.exit(main(sys.argv[1:]))
