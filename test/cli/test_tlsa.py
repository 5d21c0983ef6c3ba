#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""`danelaw tlsa`, what needs no network: records as openssl computes them, the choice of a CA, state files,
and every refusal. The rest is in lab/roll_test.py.

Usage: test_tlsa.py PROGRAM
"""
import datetime
import hashlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

PROGRAM = sys.argv[1]
USAGE, DATAERR, NOINPUT, CANTCREAT, TEMPFAIL = 64, 65, 66, 73, 75
BLOCKED, UNKNOWN = 1, 2
# A resolver that can reach nobody: lookups fail at once.
NOWHERE = ["-o", "dns.stub=127.0.0.1@9", "-o", "dns.timeout=1"]
passed = failed = 0


def run(*args, stdin=b"", env=None):
    done = subprocess.run([PROGRAM, *map(str, args)], input=stdin, capture_output=True, timeout=60,
                          env={**os.environ, **(env or {})})
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def check(what, condition, seen=""):
    global passed, failed
    if condition:
        passed += 1
    else:
        failed += 1
        print(f"FAIL {what}: {seen}")


def refused(what, code, words, *args, **more):
    """Exit code, a single line on standard error that has these words, nothing on standard output."""
    got, out, err = run(*args, **more)
    check(what + ": exit code", got == code, f"{got}, not {code}: {err}")
    check(what + ": one line", err.count("\n") == 1 and err.startswith("danelaw"), err)
    check(what + ": nothing printed", out == "", out)
    for word in words:
        check(f"{what}: says {word!r}", word in err, err)


def openssl(*args, stdin=None):
    return subprocess.run(["openssl", *map(str, args)], input=stdin, capture_output=True, check=True).stdout


class Pki:
    """A CA with an intermediate, leaves of both kinds, keys, requests."""

    def __init__(self, folder):
        self.f = pathlib.Path(folder)
        self.root = self.authority("root", None)
        self.inter = self.authority("inter", "root")
        self.leaf("mx", ["mx.example.org"])
        self.leaf("two", ["mx1.example.org", "mx2.example.org"])
        self.leaf("rsa", ["mx.example.org"], kind=["rsa:2048"])
        self.leaf("old", ["mx.example.org"])
        self.let_expire("old", "inter")
        self.join("fullchain.pem", "mx.pem", "inter.pem")
        self.join("with-root.pem", "mx.pem", "inter.pem", "root.pem")
        self.join("gap.pem", "mx.pem", "root.pem")
        self.join("expired.pem", "old.pem", "inter.pem")
        self.join("combined.pem", "mx.key", "mx.pem", "inter.pem")
        self.join("wrong-key.pem", "two.key", "mx.pem")
        self.join("two-chain.pem", "two.pem", "inter.pem")
        (self.f / "mx.pub").write_bytes(openssl("pkey", "-in", self.f / "mx.key", "-pubout"))
        (self.f / "locked.key").write_bytes(openssl("pkey", "-in", self.f / "mx.key", "-aes256", "-passout", "pass:x"))
        (self.f / "junk.pem").write_text("no PEM at all\n")
        (self.f / "empty.pem").write_text("")
        (self.f / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        (self.f / "broken.key").write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")

    def __call__(self, name):
        return self.f / name

    def join(self, name, *parts):
        (self.f / name).write_bytes(b"".join((self.f / p).read_bytes() for p in parts))

    def request(self, name, cn, kind=("ec", "-pkeyopt", "ec_paramgen_curve:P-256")):
        openssl("req", "-newkey", *kind, "-nodes", "-keyout", self.f / f"{name}.key", "-out", self.f / f"{name}.csr", "-subj", f"/CN={cn}")

    def sign(self, name, issuer, extensions, days):
        ext = self.f / f"{name}.ext"
        ext.write_text(extensions)
        by = ["-signkey", self.f / f"{name}.key"] if issuer is None else \
            ["-CA", self.f / f"{issuer}.pem", "-CAkey", self.f / f"{issuer}.key", "-CAcreateserial"]
        openssl("x509", "-req", "-in", self.f / f"{name}.csr", *by, "-days", days, "-extfile", ext, "-out", self.f / f"{name}.pem")

    def authority(self, name, issuer):
        self.request(name, f"Test {name}")
        self.sign(name, issuer, "basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign\n", 30)

    def leaf(self, name, names, days=10, kind=("ec", "-pkeyopt", "ec_paramgen_curve:P-256")):
        self.request(name, names[0], kind)
        self.sign(name, "inter", "subjectAltName=" + ",".join(f"DNS:{n}" for n in names) + "\n", days)

    # Not by openssl x509: from 3.4 on it refuses what ends before it begins.
    def let_expire(self, name, issuer):
        now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        cert = x509.load_pem_x509_certificate((self.f / f"{name}.pem").read_bytes())
        key = serialization.load_pem_private_key((self.f / f"{issuer}.key").read_bytes(), None)
        builder = x509.CertificateBuilder(cert.issuer, cert.subject, cert.public_key(), cert.serial_number,
                                          now - datetime.timedelta(days=11), now - datetime.timedelta(days=1), cert.extensions)
        (self.f / f"{name}.pem").write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def der(self, name):
        return openssl("x509", "-in", self.f / name, "-outform", "DER")

    def spki(self, name):
        return openssl("pkey", "-pubin", "-outform", "DER", stdin=openssl("x509", "-in", self.f / name, "-noout", "-pubkey"))


def gen(pki):
    owner = "_25._tcp.mx.example.org."

    def one(what, want, *args, warn=False, **more):
        got, out, err = run("tlsa", "gen", *args, **more)
        lines = [line for line in out.splitlines() if not line.startswith(";")]
        check(what, got == 0 and lines == [want], (got, out, err, want))
        check(what + ": warning", ("warning" in err) == warn, err)

    key, cert = pki.spki("mx.pem"), pki.der("mx.pem")
    sha = hashlib.sha256(key).hexdigest()
    usual = f"{owner} 3600 IN TLSA 3 1 1 {sha}"
    one("a certificate", usual, pki("mx.pem"))
    for name in ("fullchain.pem", "combined.pem"):
        one(f"the leaf of {name}", usual, pki(name))
    for name in ("mx.key", "mx.pub", "mx.csr"):
        one(f"the same key in {name}", usual, "--host", "mx.example.org", pki(name))
    one("standard input", usual, "-", stdin=pki("mx.pem").read_bytes())
    one("the form in one word", f"{owner} 3600 IN TLSA 3 0 2 {hashlib.sha512(cert).hexdigest()}", "3 0 2", pki("mx.pem"), warn=True)
    one("the form behind the file", f"{owner} 3600 IN TLSA 3 1 2 {hashlib.sha512(key).hexdigest()}", pki("mx.pem"), "3 1 2")
    one("the form by options", f"{owner} 3600 IN TLSA 3 0 1 {hashlib.sha256(cert).hexdigest()}", "-u", "3", "-s", "0", "-m", "1",
        pki("mx.pem"), warn=True)
    one("full data", f"{owner} 3600 IN TLSA 3 1 0 {key.hex()}", "3 1 0", pki("mx.pem"))
    one("port and TTL", f"_465._tcp.mx.example.org. 60 IN TLSA 3 1 1 {sha}", "--port", "465", "--ttl", "60", pki("mx.pem"))
    one("letter case and a dot", f"_25._tcp.mail.example.net. 3600 IN TLSA 3 1 1 {sha}", "--host", "Mail.Example.NET.", pki("mx.pem"))
    one("twice the same", usual, "--host", "mx.example.org", pki("mx.pem"), pki("mx.key"))
    got, out, _ = run("tlsa", "gen", pki("mx.pem"), pki("rsa.pem"))
    rsa = hashlib.sha256(pki.spki("rsa.pem")).hexdigest()
    check("RSA and ECDSA", [line.split()[-1] for line in out.splitlines() if line[0] != ";"] == [sha, rsa], out)
    got, out, _ = run("tlsa", "gen", "--nsupdate", pki("mx.pem"))
    check("nsupdate", out.splitlines()[1:] == [f"update add {usual}", "send"], out)
    got, out, _ = run("tlsa", "gen", "--json", pki("mx.pem"))
    doc = json.loads(out)
    check("JSON", (doc["name"], doc["ttl"], doc["usage"], doc["selector"], doc["mtype"], doc["data"], doc["warning"]) ==
          (owner[:-1], 3600, 3, 1, 1, sha, None) and "EC P-256" in doc["about"], doc)
    odd = pki("a\nb.pem")
    odd.write_bytes(pki("mx.pem").read_bytes())
    got, out, _ = run("tlsa", "gen", odd)
    check("a file name cannot break a line", out.count("\n") == 2 and out.startswith(";"), out)


def gen_ca(pki):
    def one(what, name, *args):
        got, out, err = run("tlsa", "gen", "2 1 1", *args)
        want = f"2 1 1 {hashlib.sha256(pki.spki(name)).hexdigest()}"
        check(what, got == 0 and want in out, (got, out, err, want))
        return err
    one("the topmost that is served", "inter.pem", pki("fullchain.pem"))
    one("also when that is the root", "root.pem", pki("with-root.pem"))
    err = one("a CA of one's own", "inter.pem", pki("fullchain.pem"))
    check("no warning for it", err == "", err)
    got, out, err = run("tlsa", "gen", "2 1 1", pki("fullchain.pem"), env={"SSL_CERT_FILE": str(pki("root.pem"))})
    check("a public CA", got == 0 and "warning" in err and "without notice" in err, (got, err))
    for what, name, words in (("no CA", "mx.pem", "no CA"), ("a gap", "gap.pem", "would authenticate"),
                              ("expired", "expired.pem", "would authenticate"), ("a bare key", "mx.key", "bare key")):
        refused(f"2 1 1: {what}", DATAERR, [name, words], "tlsa", "gen", "--host", "mx.example.org", "2 1 1", pki(name))
    refused("2 1 1: another name", DATAERR, ["mx3.example.org", "mx1.example.org mx2.example.org"], "tlsa", "gen", "--host", "mx3.example.org",
            "2 1 1", pki("two-chain.pem"))


def gen_refusals(pki):
    def bad(what, code, words, *args, **more):
        refused("gen: " + what, code, words, "tlsa", "gen", *args, **more)
    bad("no file", USAGE, ["--connect"])
    bad("only a form", USAGE, ["--connect"], "3 1 1")
    bad("usage 1", USAGE, ["RFC 7672 s3.1.3"], "1 1 1", pki("mx.pem"))
    bad("usage 0", USAGE, ["RFC 7672 s3.1.3"], "--usage", "0", pki("mx.pem"))
    bad("usage 4", USAGE, ["unknown"], "4 1 1", pki("mx.pem"))
    bad("selector 2", USAGE, ["selector"], "3 2 1", pki("mx.pem"))
    bad("matching type 3", USAGE, ["matching type"], "3 1 3", pki("mx.pem"))
    bad("usage 256", USAGE, ["--usage"], "--usage", "256", pki("mx.pem"))
    bad("port 0", USAGE, ["--port"], "--port", "0", pki("mx.pem"))
    bad("TTL", USAGE, ["--ttl"], "--ttl", "2147483648", pki("mx.pem"))
    bad("a host that is none", USAGE, ["--host"], "--host", "a b", pki("mx.pem"))
    bad("no host for a key", USAGE, ["--host is missing", "mx.key"], pki("mx.key"))
    bad("two names", USAGE, ["--host is missing"], pki("two.pem"))
    bad("selector 0 of a key", DATAERR, ["selector 0"], "--host", "a.test", "3 0 1", pki("mx.key"))
    bad("no such file", NOINPUT, ["/nonexistent"], "/nonexistent")
    bad("a folder", NOINPUT, [str(pki.f)], pki.f)
    for name in ("junk.pem", "empty.pem", "broken.pem", "broken.key"):
        bad(name, DATAERR, [name], "--host", "a.test", pki(name))
    bad("a password", DATAERR, ["password"], "--host", "a.test", pki("locked.key"))
    bad("another key in the file", DATAERR, ["wrong-key.pem", "private key"], pki("wrong-key.pem"))
    bad("--connect with a bad port", USAGE, ["--connect"], "--connect", "a.test:0")
    bad("--connect with a bad address", USAGE, ["--connect"], "--connect", "[1.2.3]:25")
    bad("--connect to an address without a name", USAGE, ["--host"], "--connect", "127.0.0.1:9")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))        # nobody listens there
        where = "127.0.0.1:%d" % s.getsockname()[1]
        bad("nobody answers", TEMPFAIL, [where.split(":")[1], "refused"], "--host", "a.test", "--connect", where)
    refused("no action", USAGE, ["action"], "tlsa")
    refused("unknown action", USAGE, ["did you mean 'gen'"], "tlsa", "gne")
    refused("unknown option", USAGE, ["--hots", "--host"], "tlsa", "gen", "--hots", "x")


def verify(pki):
    def bad(what, code, words, *args):
        refused("verify: " + what, code, words, *NOWHERE, "tlsa", "verify", *args)
    bad("no host", USAGE, ["--host"], "--chain", pki("mx.pem"))
    bad("no chain", USAGE, ["--chain"], "--host", "a.test")
    bad("an operand", USAGE, ["unexpected"], "--host", "a.test", "--chain", pki("mx.pem"), "x")
    bad("no such file", NOINPUT, ["/nonexistent"], "--host", "a.test", "--chain", "/nonexistent")
    bad("a key", DATAERR, ["no certificate"], "--host", "a.test", "--chain", pki("mx.key"))
    bad("junk", DATAERR, ["junk.pem"], "--host", "a.test", "--chain", pki("junk.pem"))
    bad("another key in the file", DATAERR, ["private key"], "--host", "a.test", "--chain", pki("wrong-key.pem"))
    bad("a bad port", USAGE, ["--port"], "--host", "a.test", "--port", "x", "--chain", pki("mx.pem"))
    code, out, err = run(*NOWHERE, "tlsa", "verify", "--host", "mx.example.org", "--chain", pki("mx.pem"))
    check("verify: no resolver", code == UNKNOWN and out.startswith("unknown"), (code, out, err))
    code, out, err = run(*NOWHERE, "tlsa", "verify", "--json", "--host", "mx.example.org", "--chain", pki("mx.pem"), "--chain", pki("rsa.pem"))
    docs = [json.loads(line) for line in out.splitlines()]
    check("verify: JSON", code == UNKNOWN and [d["result"] for d in docs] == ["unknown"] * 2, (code, out))


def roll_refusals(pki):
    state = pki("roll.json")

    def bad(what, code, words, *args):
        refused("roll: " + what, code, words, *NOWHERE, "tlsa", "roll", *args)

    def start(what, code, words, *args):
        bad(what, code, words, "start", "--state", state, *args)
        check(f"{what}: no state file", not state.exists())
    bad("no verb", USAGE, ["start, run, status or abort"])
    bad("another verb", USAGE, ["start, run, status or abort"], "stop")
    bad("neither host nor state", USAGE, ["--host"], "run")
    bad("an option of start", USAGE, ["--settle", "start"], "run", "--state", state, "--settle", "3")
    bad("an operand", USAGE, ["unexpected"], "run", "--state", state, "3 1 1")
    for verb in ("run", "status", "abort"):
        bad(f"{verb}: no rollover", NOINPUT, [str(state), "roll start"], verb, "--state", state)
    host = ["--host", "mx.example.org"]
    start("no host", USAGE, ["--host"], "--next", pki("mx.key"))
    start("no key", USAGE, ["--next", "--new-key"], *host)
    start("two keys", USAGE, ["--next", "--new-key"], *host, "--next", pki("mx.key"), "--new-key", pki("new.key"))
    start("a request for a key that is there", USAGE, ["--csr"], *host, "--next", pki("mx.key"), "--csr", pki("new.csr"))
    start("a new key for usage 2", USAGE, ["usage 2"], *host, "--new-key", pki("new.key"), "2 1 1")
    start("usage 1", USAGE, ["RFC 7672"], *host, "--next", pki("mx.key"), "1 1 1")
    start("a server without updates", USAGE, ["--nsupdate"], *host, "--next", pki("mx.key"), "--server", "127.0.0.1")
    start("a bad server", USAGE, ["--server"], *host, "--next", pki("mx.key"), "--nsupdate", "--server", "ns.test")
    start("a bad server's port", USAGE, ["--server"], *host, "--next", pki("mx.key"), "--nsupdate", "--server", "127.0.0.1@0")
    start("no TSIG file", NOINPUT, ["/nonexistent"], *host, "--next", pki("mx.key"), "--nsupdate", "--tsig", "/nonexistent")
    start("another type", USAGE, ["--type"], *host, "--new-key", pki("new.key"), "--type", "dsa")
    start("a name to connect to", USAGE, ["--connect"], *host, "--next", pki("mx.key"), "--connect", "mx.example.org")
    start("two ports", USAGE, ["same port"], *host, "--next", pki("mx.key"), "--connect", "127.0.0.1:25", "--connect", "127.0.0.1:26")
    start("a key file that is there", CANTCREAT, ["mx.key", "--next"], *host, "--new-key", pki("mx.key"))
    start("a request that is there", CANTCREAT, ["mx.csr"], *host, "--new-key", pki("new.key"), "--csr", pki("mx.csr"))
    start("junk", DATAERR, ["junk.pem"], *host, "--next", pki("junk.pem"))
    start("no CA", DATAERR, ["no CA"], *host, "--next", pki("mx.pem"), "2 1 1")
    start("no poll", USAGE, ["--poll"], *host, "--next", pki("mx.key"), "--wait", "--poll", "0")
    bad("a state file that is below a file", CANTCREAT, ["mx.key"], "start", "--state", pki("mx.key") / "x", *host, "--next", pki("mx.key"))
    start("no resolver", UNKNOWN, ["lookup"], *host, "--next", pki("mx.key"))
    check("no key was made", not pki("new.key").exists())


GOOD = {"version": 1, "host": "mx.example.org", "port": 25, "owner": "_25._tcp.mx.example.org", "ttl": 300, "state": "wait",
        "has_old": True, "since": 1800000000, "until": 1800000600, "hold_s": 300, "settle_s": -1, "seen": 1800000000,
        "boot": "0000000000000001", "ticks": 5, "put_in": False, "dropping": False, "usage": 3, "selector": 1, "mtype": 1,
        "old": [{"record": "3 1 1 " + "00" * 32}], "new": [{"record": "3 1 1 " + "11" * 32}], "key_file": None, "csr_file": None,
        "key_type": "ecdsa", "connect": [{"address": "127.0.0.1"}], "connect_port": 9, "hook": None, "nsupdate": False,
        "server": None, "tsig": None}


def state_files(pki):
    state = pki("state.json")

    def status(text):
        state.write_text(text)
        return run(*NOWHERE, "tlsa", "roll", "status", "--json", "--state", state)
    code, out, err = status(json.dumps(GOOD))
    doc = json.loads(out) if out else {}
    check("status without a resolver", code == UNKNOWN and doc.get("reason") == "lookup-failed" and doc.get("state") == "wait", (code, out, err))
    check("status has the records", doc.get("old") == ["3 1 1 " + "00" * 32] and doc.get("new") == ["3 1 1 " + "11" * 32], doc)
    check("status has the time", doc.get("until") == "2027-01-15T08:10:00Z", doc)
    check("status changes nothing", json.loads(state.read_text()) == GOOD, state.read_text())
    code, out, err = run(*NOWHERE, "tlsa", "roll", "start", "--state", state, "--host", "mx.example.org", "--next", pki("mx.key"))
    check("one rollover at a time", code == DATAERR and "under way" in err, (code, err))
    code, out, err = run(*NOWHERE, "tlsa", "roll", "run", "--state", state)
    after = json.loads(state.read_text())
    check("run stays where it cannot see", code == UNKNOWN and after["state"] == "wait", (code, out, err))
    check("all that is kept comes back", {k: v for k, v in after.items() if k != "seen"} == {k: v for k, v in GOOD.items() if k != "seen"}, after)
    check("the file is ours alone", state.stat().st_mode & 0o777 == 0o600, oct(state.stat().st_mode))
    left = [p.name for p in pki.f.glob("state.json*")]
    check("nothing else stays", sorted(left) == ["state.json", "state.json.lock"], left)
    for key in ("has_old", "since", "until", "settle_s", "seen", "ticks", "put_in", "dropping", "nsupdate"):
        code, out, err = status(json.dumps({k: v for k, v in GOOD.items() if k != key}))
        check(f"state file without {key}", code == DATAERR, (code, out, err))
    wrong = {"port": 70000, "connect_port": -1, "ttl": -1, "usage": 7, "selector": 2, "mtype": 3, "hold_s": -5, "state": "nowhere", "host": None,
             "owner": 5, "old": [{"record": "3 1"}], "new": [{}], "connect": [{"address": "x"}], "key_type": "dsa", "boot": None}
    for key, value in wrong.items():
        code, out, err = status(json.dumps({**GOOD, key: value}))
        check(f"state file with {key}={value}", code == DATAERR and out == "" and "not a state file" in err, (code, out, err))
        code, out, err = status(json.dumps({k: v for k, v in GOOD.items() if k != key}))
        check(f"state file without {key}", code == DATAERR, (code, out, err))
    for what, text, words in (("empty", "", "no JSON"), ("cut off", json.dumps(GOOD)[:200], "no JSON"), ("a list", "[1]", "version"),
                              ("of another version", json.dumps({**GOOD, "version": 2}), "version 2")):
        code, out, err = status(text)
        check(f"state file {what}", code == DATAERR and words in err and err.count("\n") == 1, (code, out, err))
    over = {**GOOD, "state": "done"}
    code, out, err = status(json.dumps(over))
    check("a rollover that is over", code == 0 and json.loads(out)["stance"] == "over", (code, out, err))


with tempfile.TemporaryDirectory() as where:
    all_of_it = Pki(where)
    gen(all_of_it)
    gen_ca(all_of_it)
    gen_refusals(all_of_it)
    verify(all_of_it)
    roll_refusals(all_of_it)
    state_files(all_of_it)
print(f"tlsa: {passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
