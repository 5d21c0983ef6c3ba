#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""`danelaw selfcheck` and the relay's warden for real (rules V1 to V3): every finding with real certificates
in a real zone, and a relay whose records and certificates are broken and mended while it runs.

Run as: lab/lab run lab/selfcheck_test.py [PATTERN...].  Publishes in the zone selfcheck.test.
"""

import fnmatch
import hashlib
import os
import pathlib
import re
import signal
import smtplib
import ssl
import subprocess
import sys
import time
import urllib.request

sys.dont_write_bytecode = True

import certs    # noqa: E402
import daemon   # noqa: E402
import report   # noqa: E402

until = daemon.wait_until
ZONE = "selfcheck.test"
TTL = 2
ADDRESS = "127.12.0.1"
PORT, METRICS = 2725, 2729
INTERVAL = 5
MX = f"mx.{ZONE}"


class Zone:
    """The zone selfcheck.test: its records as lines, published at once."""

    def __init__(self):
        self.file = report.state() / "zones" / f"{ZONE}.zone"
        self.ns = re.search(r" NS (\S+)", self.file.read_text()).group(1)
        self.serial = int(time.time())

    def publish(self, lines):
        self.serial += 1
        head = [f"@ {TTL} SOA {self.ns} postmaster.lab. {self.serial} 3600 900 1209600 {TTL}",
                f"@ {TTL} NS {self.ns}"]
        text = "\n".join([f"$ORIGIN {ZONE}.", *head, *lines]) + "\n"
        fresh = self.file.with_suffix(".new")
        fresh.write_text(text)
        os.replace(fresh, self.file)
        done = subprocess.run(["knotc", "-c", str(report.state() / "knot" / "zone" / "knot.conf"), "-b",
                               "zone-reload", f"{ZONE}."], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"knotc: {done.stdout}{done.stderr}")


def tlsa_line(owner, rdata):
    return f"{owner} {TTL} TYPE52 \\# {len(rdata)} {rdata.hex()}"


class Maker:
    """Certificates, in files."""

    def __init__(self, folder):
        self.folder, self.certs, self.count = folder, certs.Certs(), 0
        for spec in ({"name": "ec"}, {"name": "stranger"}, {"name": "old", "inter_days": [-60, -2]},
                     {"name": "notca", "inter_is_ca": False}):
            self.certs.add_ca(spec)

    def chain(self, host, **spec):
        """(chain, path of its PEM); the key is in the file beside it."""
        self.count += 1
        made = self.certs.make(spec, host)
        path = pathlib.Path(made.write(self.folder / f"{self.count}.pem")).with_suffix(".chain.pem")
        path.with_suffix(".key").write_bytes(made.leaf.key_pem())
        return made, path


# -- what people see -----------------------------------------------------------------------------------

# what, host's records (None: 3 1 1 of each chain), chains, arguments, findings, exit code.  {n} in a record is the
# host; TLSA of the form "port usage selector mtype what".
EE = "25 3 1 1 leaf"
TA_SERVED = {"serve": ["leaf", "inter", "root"]}
CASES = [
    ("well", [EE], [{}], [], [], 0),
    ("rsa-and-ecdsa", [EE, "25 3 1 1 second"], [{}, {"key": "rsa"}], [], [], 0),
    ("rsa-forgotten", [EE], [{}, {"key": "rsa"}], [], ["error mismatch"], 2),
    ("mismatch", ["25 3 1 1 zeros"], [{}], [], ["error mismatch"], 2),
    ("no-tlsa", [], [{}], [], ["warning no-tlsa"], 1),
    ("wrong-port", ["587 3 1 1 leaf"], [{}], [], ["warning wrong-port"], 1),
    ("unusable-record", [EE, "25 1 1 1 leaf"], [{}], [], ["warning unusable-record"], 1),
    ("no-usable-record", ["25 1 1 1 leaf"], [{}], [], ["warning no-usable-record", "warning unusable-record"], 1),
    ("stale-record", [EE, "25 3 1 1 noise:old"], [{}], [], ["notice stale-record"], 0),
    ("no-sha256", ["25 3 1 2 leaf"], [{}], [], ["notice no-sha256"], 0),
    ("anchor-served", ["25 2 1 1 root"], [TA_SERVED], [], [], 0),
    ("ta-not-installed", ["25 2 1 1 root"], [{}], [], ["error ta-not-installed"], 2),
    ("ta-not-served", ["25 2 1 1 root"], [{}, TA_SERVED], [], ["error ta-not-served"], 2),
    ("another-ca", ["25 2 1 1 ca:stranger:root"], [TA_SERVED], [], ["error mismatch"], 2),
    ("chain-broken", ["25 2 1 1 root"], [{"ca": "notca", **TA_SERVED}], [], ["error chain-broken"], 2),
    ("chain-order", [EE], [{"serve": ["leaf", "root", "inter"]}], [], ["warning chain-order"], 1),
    ("expired", ["25 2 1 1 root"], [{"days": [-60, -2], **TA_SERVED}], [], ["error expired"], 2),
    ("expired-but-ee", [EE], [{"days": [-60, -2]}], [], ["warning expired"], 1),
    ("expired-ca", ["25 2 1 1 root"], [{"ca": "old", **TA_SERVED}], [], ["error expired"], 2),
    ("not-yet-valid", ["25 2 1 1 root"], [{"days": [2, 30], **TA_SERVED}], [], ["error not-yet-valid"], 2),
    ("expires-soon", ["25 2 1 1 root"], [{"days": [-60, 5], **TA_SERVED}], [], ["warning expires-soon"], 1),
    ("expires-soon-but-ee", [EE], [{"days": [-60, 5]}], [], ["notice expires-soon"], 0),
    ("expires-later", [EE], [{"days": [-60, 5]}], ["--days", "3"], [], 0),
    ("name-missing", ["25 2 1 1 root"], [{"names": ["other.example"], **TA_SERVED}], [], ["error name-missing"], 2),
    ("name-missing-but-ee", [EE], [{"names": ["other.example"]}], [], ["notice name-missing"], 0),
    ("wildcard", ["25 2 1 1 root"], [{"names": [f"*.{ZONE}"], **TA_SERVED}], [], [], 0),
    ("weak-key", [EE], ["weak"], [], ["warning weak-key"], 1),
    ("public-ca", ["25 2 1 1 root"], [TA_SERVED], ["public"], ["notice dane-ta-public-ca"], 0),
    ("no-address", [EE, "-A"], [{}], [], ["warning no-address"], 1),
    ("name-alias", [EE, "-A", "+{n} CNAME real"], [{}], [], ["warning name-alias"], 1),
    ("insecure-address", [EE, "-A", "+{n} CNAME mx.no-tlsa.unsigned.test."], [{}], [],
     ["warning name-alias", "warning insecure"], 1),
    ("signature", [EE], [{}], ["signature"], ["warning signature-expires-soon"] * 2, 1),
    ("mx-ours", [EE, "+d-{n} MX 10 {n}"], [{}], ["--domain", "d-{n}." + ZONE], [], 0),
    ("mx-not-ours", [EE, "+d-{n} MX 10 other"], [{}], ["--domain", "d-{n}." + ZONE], ["warning mx-not-ours"], 1),
    ("mx-alias", [EE, "+d-{n} MX 10 a-{n}", "+a-{n} CNAME {n}"], [{}], ["--domain", "d-{n}." + ZONE],
     ["warning mx-alias"], 1),
    ("mx-insecure", [EE], [{}], ["--domain", "mx-here.unsigned.test"], None, 1),
    ("wrong-name", [EE, "+d-{n} MX 10 {n}", "+_25._tcp.d-{n} TYPE52 \\# 35 030101" + "00" * 32], [{}],
     ["--domain", "d-{n}." + ZONE], ["warning wrong-name"], 1),
]

# hosts of the lab, as they really serve: (host, arguments, findings, exit code)
LIVE = [
    ("mx.ee-311.test", [], 0), ("mx.ee-mismatch.test", ["error mismatch"], 2),
    ("mx.both-certs-one-record.test", ["error mismatch"], 2), ("mx.both-certs.test", [], 0),
    ("mx.no-starttls.test", ["error no-starttls"], 2), ("mx.at-tlsa.expired.test", ["error bogus"], 2),
    ("mx.at-tlsa.servfail.test", ["warning lookup-failed"], 75), ("mx.half.unsigned.test", None, None),
    ("mx.refused.test", None, 75),
]


class Score:
    def __init__(self, patterns):
        self.patterns, self.passed, self.failed = patterns, 0, 0

    def wanted(self, name):
        return not self.patterns or any(fnmatch.fnmatch(name, p) for p in self.patterns)

    def claim(self, what, ok, seen=""):
        self.passed += bool(ok)
        self.failed += not ok
        if not ok:
            text = seen.log_text() if isinstance(seen, daemon.Relay) else str(seen)
            print(f"FAILED {what}: {text[-1500:]}", flush=True)
        return ok


def records_of(name, spec, made, maker):
    """Lines of the zone for one case."""
    lines = [f"{name} {TTL} A {ADDRESS}"]
    for text in spec:
        if text == "-A":
            lines.pop(0)
        elif text.startswith("+"):
            owner, rest = text[1:].replace("{n}", name).split(" ", 1)
            lines.append(f"{owner} {TTL} {rest}")
        else:
            port, what = text.split(" ", 1)
            lines.append(tlsa_line(f"_{port}._tcp.{name}", maker.certs.tlsa(what, made)))
    return lines


def weak_chain(maker, host):
    """RSA with 1024 bits, which the maker of the lab's certificates does not make."""
    key, path = maker.folder / "weak.key", maker.folder / "weak.chain.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:1024", "-nodes", "-keyout", str(key), "-out", str(path),
                    "-days", "90", "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}"],
                   check=True, capture_output=True)
    raw = subprocess.run(["openssl", "x509", "-in", str(path), "-pubkey", "-noout"], check=True, capture_output=True)
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=raw.stdout, check=True,
                         capture_output=True)
    return path, bytes([3, 1, 1]) + hashlib.sha256(der.stdout).digest()


def findings(args, env=None, options=()):
    """(["severity finding", ...], exit code, summary, all documents)"""
    done = subprocess.run(["danelaw", *options, "selfcheck", "--json", *args], capture_output=True, text=True,
                          env={**os.environ, **(env or {})}, check=False, timeout=60)
    rows = report.json_lines(done.stdout.encode() if isinstance(done.stdout, str) else done.stdout)
    found = [f"{r['severity']} {r['finding']}" for r in rows if "finding" in r]
    summary = rows[-1] if rows and "result" in rows[-1] else {}
    return found, done.returncode, summary, rows or [done.stderr]


def build_cases(zone, maker):
    """Publishes the records of all cases at once: [(case, host, chain files)]."""
    lines, out = [f"real {TTL} A {ADDRESS}", f"other {TTL} A {ADDRESS}"], []
    for n, case in enumerate(CASES):
        name, spec, chains = f"h{n}", case[1], case[2]
        host = f"{name}.{ZONE}"
        if chains == ["weak"]:
            path, rdata = weak_chain(maker, host)
            lines += [f"{name} {TTL} A {ADDRESS}", tlsa_line(f"_25._tcp.{name}", rdata)]
            out.append((case, name, [path]))
            continue
        made = [maker.chain(host, **c) for c in chains]
        lines += records_of(name, spec, [m for m, _ in made], maker)
        out.append((case, name, [p for _, p in made]))
    zone.publish(lines)
    return out


def run_cases(score, zone, maker):
    root = maker.folder / "root.pem"
    root.write_bytes(maker.certs.cas["ec"]["root"].pem())
    for (what, _, _, args, expected, code), name, files in build_cases(zone, maker):
        if not score.wanted(what):
            continue
        env, options = {"SSL_CERT_FILE": "/dev/null"}, []
        if args == ["public"]:
            env, args = {"SSL_CERT_FILE": str(root)}, []
        if args == ["signature"]:
            options, args = ["-o", "selfcheck.signature-soon=8760"], []
        words = ["--host", f"{name}.{ZONE}", *(a.replace("{n}", name) for a in args)]
        for file in files:
            words += ["--chain", str(file)]
        found, got, summary, rows = findings(words, env, options)
        same = expected is None or sorted(found) == sorted(expected)
        score.claim(f"{what}: finds {expected}", same and got == code, (found, got, rows))
        pasted = [r["paste"] for r in rows if r.get("finding") in ("mismatch", "no-tlsa", "wrong-port")]
        whole = rf"_25\._tcp\.{name}\.{ZONE}\. IN TLSA 3 1 1 [0-9a-f]{{64}}"
        score.claim(f"{what}: the record to paste is whole",
                    all(re.fullmatch(whole, p) for p in pasted), pasted)
        score.claim(f"{what}: each finding has a sentence and a cure",
                    all(r["text"] and r["cure"] and "?" not in r["text"] for r in rows if "finding" in r), rows)


def run_live(score):
    for host, expected, code in LIVE:
        if not score.wanted(f"live-{host}"):
            continue
        found, got, _, rows = findings(["--live", "--host", host])
        same = expected is None or sorted(f for f in found if not f.startswith("notice")) == sorted(expected)
        score.claim(f"--live {host}: {expected}", same and (code is None or got == code), (found, got, rows))


# -- the relay -----------------------------------------------------------------------------------------

def starttls(port=PORT):
    """Does the listener offer STARTTLS?  None: nobody answers."""
    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=5) as client:
            client.ehlo("test.lab")
            return client.has_extn("starttls")
    except OSError:
        return None


def metrics(port=METRICS):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as reply:
            return reply.read().decode()
    except OSError:
        return ""


def served_leaf(port=PORT):
    """The certificate that the listener serves now, as PEM."""
    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=5) as client:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            client.starttls(context=context)
            return client.sock.getpeercert(binary_form=True)
    except (OSError, smtplib.SMTPException):
        return None


class Published:
    """mx.selfcheck.test, with a certificate in a file and records in the zone."""

    def __init__(self, zone, maker, folder):
        self.zone, self.maker = zone, maker
        self.cert, self.key = folder / "relay.pem", folder / "relay.key"
        self.zeros = maker.certs.tlsa("3 1 1 zeros", [])
        self.other = [f"broken {TTL} A {ADDRESS}", tlsa_line("_25._tcp.broken", self.zeros)]

    def install(self, made, path):
        for source, target in ((path, self.cert), (path.with_suffix(".key"), self.key)):
            fresh = target.with_suffix(".new")
            fresh.write_bytes(source.read_bytes())
            os.chmod(fresh, 0o600)
            os.replace(fresh, target)
        return made

    def records(self, *made, more=()):
        rdata = [self.maker.certs.tlsa("3 1 1 leaf", [m]) if m else self.zeros for m in made]
        lines = [f"mx {TTL} A {ADDRESS}", f"@ {TTL} MX 10 mx"]
        self.zone.publish([*lines, *self.other, *(tlsa_line("_25._tcp.mx", r) for r in rdata), *more])


def options(published, **more):
    return {"relay.certificate": published.cert, "relay.key": published.key, "relay.metrics": f"127.0.0.1:{METRICS}",
            "smtp.helo": MX, "selfcheck.names": MX, "selfcheck.interval": INTERVAL, "selfcheck.files": 1,
            "selfcheck.domains": ZONE, **more}


def recorded(relay, finding):
    """Of the records of this finding: did it appear, or go?"""
    words = ["-o", f"relay.store={relay.store}", "audit", "list", "--json", "--type", "selfcheck"]
    rows = report.json_lines(report.run(words)[1])
    return [row["appeared"] for row in rows if row["finding"] == finding]


def test_starttls(score, published):
    """A promise that is broken takes STARTTLS away, and one that is mended brings it back."""
    made = published.install(*published.maker.chain(MX))
    published.records(made)
    relay = daemon.Relay("selfcheck", PORT, user=daemon_user(), **options(published, **{
        "selfcheck.on-tlsa-mismatch": "no-starttls", "relay.submission": f"127.0.0.1:{PORT + 1}"})).start()
    try:
        score.claim("the first look is well", until(lambda: relay.event("selfcheck-done", result="ok")), relay)
        score.claim("the metrics say so", until(lambda: 'danelaw_selfcheck_result{result="ok"} 1' in metrics()),
                    metrics())
        score.claim("STARTTLS is offered", starttls() is True)
        published.records(None)
        score.claim("a mismatch takes STARTTLS away", until(lambda: starttls() is False, 30), relay)
        score.claim("submission keeps STARTTLS", starttls(PORT + 1) is True)
        event = relay.event("selfcheck", finding="mismatch")
        score.claim("the log has the record to publish",
                    event and event["paste"].startswith(f"_25._tcp.{MX}. IN TLSA 3 1 1 ") and event["severity"] == "error", event)
        until(lambda: "danelaw_selfcheck_starttls 0" in metrics())
        text = metrics()
        score.claim("the metrics have the finding",
                    f'danelaw_selfcheck_findings{{finding="mismatch",severity="error",name="{MX}:25"}} 1' in text
                    and "danelaw_selfcheck_starttls 0" in text and 'result="errors"} 1' in text, text)
        time.sleep(TTL + 4)
        score.claim("the same is not said twice", len(relay.events("selfcheck", finding="mismatch")) == 1, relay)
        pasted = event["paste"].replace(" IN ", f" {TTL} IN ")
        published.zone.publish([f"mx {TTL} A {ADDRESS}", f"@ {TTL} MX 10 mx", pasted])
        score.claim("the record that was pasted brings it back", until(lambda: starttls() is True, 30), relay)
        score.claim("the log says that it is gone", relay.event("selfcheck-gone", finding="mismatch"), relay)
        score.claim("the audit has both", until(lambda: recorded(relay, "mismatch") == [True, False]),
                    recorded(relay, "mismatch"))
        published.records(None)
        until(lambda: starttls() is False, 30)
        published.install(*published.maker.chain(MX))
        fresh, path = published.maker.chain(MX)
        published.install(fresh, path)
        published.records(fresh)
        relay.process.send_signal(signal.SIGHUP)
        score.claim("so does a certificate that satisfies the records", until(lambda: starttls() is True, 30), relay)
        warden = relay.roles()["warden"][0]
        os.kill(warden, signal.SIGKILL)
        score.claim("a warden that dies is started again",
                    until(lambda: relay.roles().get("warden", [warden])[-1] != warden), relay)
    finally:
        score.claim("the relay ends well", relay.stop() == 0, relay)


def test_lookup(score, published):
    """A lookup that fails takes nothing away (V2)."""
    made = published.install(*published.maker.chain("mx.at-tlsa.servfail.test"))
    published.records(made)
    relay = daemon.Relay("selfcheck-lookup", PORT, **options(published, **{
        "selfcheck.on-tlsa-mismatch": "no-starttls", "selfcheck.names": "mx.at-tlsa.servfail.test"})).start()
    try:
        score.claim("a lookup that fails is said",
                    until(lambda: relay.event("selfcheck", finding="lookup-failed"), 30), relay)
        score.claim("and takes no STARTTLS away", starttls() is True, relay)
    finally:
        relay.stop()


def test_files(score, published):
    """A renewed certificate is noticed, before and after it is served."""
    made = published.install(*published.maker.chain(MX))
    published.records(made)
    relay = daemon.Relay("selfcheck-files", PORT, user=daemon_user(), **options(published)).start()
    try:
        until(lambda: relay.event("selfcheck-done"))
        old = served_leaf()
        fresh, path = published.maker.chain(MX)
        published.install(fresh, path)
        score.claim("the change is noticed", until(lambda: relay.event("certificate-changed")), relay)
        score.claim("the old one is served, and that is said",
                    until(lambda: relay.event("selfcheck", finding="not-reloaded")) and served_leaf() == old, relay)
        event = until(lambda: relay.event("selfcheck", finding="next-mismatch"))
        score.claim("that the new one lacks its record is said beforehand",
                    event and published.maker.certs.tlsa("3 1 1 leaf", [fresh])[3:].hex() in event["paste"], relay)
        published.records(made, fresh)
        relay.process.send_signal(signal.SIGHUP)
        score.claim("after a reload the new one is served", until(lambda: served_leaf() not in (None, old)), relay)
        score.claim("and the old record is stale",
                    until(lambda: relay.event("selfcheck", finding="stale-record"), 30), relay)
        published.key.write_bytes(published.maker.chain(MX)[1].with_suffix(".key").read_bytes())
        score.claim("a key of another certificate is noticed",
                    until(lambda: relay.event("selfcheck", finding="key-mismatch"), 30), relay)
    finally:
        relay.stop()


def test_reload(score, published):
    """relay.certificate-reload = yes."""
    made = published.install(*published.maker.chain(MX))
    fresh, path = published.maker.chain(MX)
    published.records(made, fresh)
    relay = daemon.Relay("selfcheck-reload", PORT, **options(published, **{"relay.certificate-reload": "yes"})).start()
    try:
        old = served_leaf()
        published.install(fresh, path)
        score.claim("a new certificate is taken without a word", until(lambda: served_leaf() not in (None, old)), relay)
    finally:
        relay.stop()


def test_refuse(score, published):
    """on-tlsa-mismatch = refuse-start: exit 78 with the findings; a reload is refused."""
    made = published.install(*published.maker.chain(MX))
    published.records(None)
    refuse = options(published, **{"selfcheck.on-tlsa-mismatch": "refuse-start"})
    relay = daemon.Relay("selfcheck-refuse", PORT, **refuse).launch()
    code = relay.process.wait(60)
    score.claim("a relay that would break its promise does not start", code == 78 and not relay.event("started"),
                (code, relay.log_text()))
    score.claim("and prints the record", f"_25._tcp.{MX}. IN TLSA 3 1 1 " in relay.log_text(), relay)
    published.records(made)
    time.sleep(TTL + 1)
    relay = daemon.Relay("selfcheck-refuse", PORT, user=daemon_user(), **refuse).start()
    try:
        old = served_leaf()
        published.install(*published.maker.chain(MX))
        relay.process.send_signal(signal.SIGHUP)
        score.claim("a reload to such a state is refused", until(lambda: relay.event("selfcheck-refused"), 30), relay)
        score.claim("and the old certificate stays", served_leaf() == old and not relay.event("reloaded"), relay)
    finally:
        relay.stop()
    lookup = {**refuse, "selfcheck.names": "mx.at-tlsa.servfail.test"}
    relay = daemon.Relay("selfcheck-refuse", PORT, **lookup).start()
    score.claim("a lookup that fails refuses nothing", relay.event("started") is not None)
    relay.stop()


def test_two_names(score, published):
    """One good name and one broken on purpose: the report of the relay's own configuration."""
    made = published.install(*published.maker.chain(MX, names=[MX, f"broken.{ZONE}"]))
    published.records(made)
    words = []
    for key, value in options(published).items():
        words += ["-o", f"{key}={value}"]
    listener = ["-o", f"relay.smtp=127.0.0.1:{PORT}"]
    default = [w for pair in zip(words[::2], words[1::2]) if not pair[1].startswith("selfcheck.names=") for w in pair]
    score.claim("by default nothing is published that only this machine can reach",
                findings([], options=[*default, *listener])[1] == 64)
    open_to_all = findings([], options=[*default, "-o", f"relay.smtp=192.0.2.1:{PORT}"])[2]
    score.claim("and smtp.helo is where others can connect",
                [h["name"] for h in open_to_all.get("hosts", [])] == [MX], open_to_all)
    words += [*listener, "-o", f"selfcheck.names=broken.{ZONE}"]
    time.sleep(TTL + 1)
    found, code, summary, rows = findings([], options=words)
    score.claim("of two names one is broken", found == ["error mismatch"] and code == 2, (found, code, rows))
    promises = {h["name"]: h["promise"] for h in summary.get("hosts", [])}
    score.claim("and the summary says which", promises == {MX: "kept", f"broken.{ZONE}": "broken"}, summary)


def daemon_user():
    """The relay as root changes its user, which is what reads certificates before and not after."""
    return "nobody" if os.geteuid() == 0 and daemon.can_be_nobody() else ""


def main(args):
    folder = report.state() / "selfcheck"
    folder.mkdir(exist_ok=True)
    os.chmod(report.state(), 0o755)
    zone, maker = Zone(), Maker(folder)
    score = Score(args)
    start = time.monotonic()
    if not args or any(score.wanted(case[0]) for case in CASES):
        run_cases(score, zone, maker)
    run_live(score)
    published = Published(zone, maker, folder)
    took = {"cases": time.monotonic() - start}
    for test in (test_two_names, test_starttls, test_lookup, test_files, test_reload, test_refuse):
        if score.wanted(test.__name__.removeprefix("test_")):
            begun = time.monotonic()
            test(score, published)
            took[test.__name__] = time.monotonic() - begun
    print(", ".join(f"{k} {v:.0f} s" for k, v in took.items()))
    print(f"selfcheck: {score.passed} passed, {score.failed} failed, {time.monotonic() - start:.0f} s")
    return 1 if score.failed else 0


sys.exit(main(sys.argv[1:]))
