#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""`danelaw send --submit` for real (rules S1, S2).

Run as: lab/lab run lab/submit_test.py.  Listens itself, on the lab's addresses: a server for each case,
with certificates of a CA that only SSL_CERT_FILE (or SSL_CERT_DIR) makes a CA of this system.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True

import certs    # noqa: E402
import fakes    # noqa: E402
import report   # noqa: E402

USER, PASSWORD = "alice@submit.test", "correct horse"
MAIL = b"Subject: submitted\n\n.hello\n"
NAME = "mx.ee-311.test"         # some host of the lab; Postfix has port 25 only
DANE_NAME = "mx.submit.test"    # has a TLSA record for port 587

OK = {"status": "sent", "code": "2.0.0", "reason": "ok", "policy": "pkix"}
MISMATCH = {"status": "deferred", "code": "4.7.325", "reason": "certificate-host-mismatch"}
EXPIRED = {"status": "deferred", "code": "4.7.322", "reason": "certificate-expired"}
UNTRUSTED = {"status": "deferred", "code": "4.7.327", "reason": "certificate-not-trusted"}
NO_STARTTLS = {"status": "deferred", "code": "4.7.321", "reason": "starttls-not-supported"}
REFUSED = {"status": "failed", "code": "5.7.8", "reason": "auth-refused"}

# what, port of NAME, certificate, server, expectation; `args` replaces the usual user and password
CASES = [
    ("STARTTLS, AUTH PLAIN", 587, {}, {}, OK),
    ("TLS from the start", 465, {}, {"implicit": True}, OK),
    ("AUTH LOGIN", 6001, {}, {"mechanisms": "CRAM-MD5 LOGIN"}, OK),
    ("TLS 1.2", 6002, {}, {"fault": "tls12"}, OK),
    ("a wildcard", 6003, {"names": ["*.ee-311.test"]}, {}, OK),
    ("another name", 6004, {"names": ["mx.ee-312.test"]}, {}, MISMATCH),
    ("only a common name", 6005, {"san": False}, {}, MISMATCH),
    ("expired", 6006, {"days": [-60, -2]}, {}, EXPIRED),
    ("another CA", 6007, {"ca": "stranger"}, {}, UNTRUSTED),
    ("self-signed", 6008, {"ca": "self"}, {}, UNTRUSTED),
    ("AUTH in clear, no STARTTLS", 6009, {}, {"fault": "no-starttls"}, NO_STARTTLS),
    ("STARTTLS refused", 6010, {}, {"fault": "starttls-454"},
     {"status": "deferred", "code": "4.7.321", "reason": "starttls-refused"}),
    ("injection", 6011, {}, {"fault": "inject"},
     {"status": "deferred", "code": "4.7.5", "reason": "starttls-injection"}),
    ("a wrong password", 6012, {}, {"password": "another"}, REFUSED),
    ("no mechanism of ours", 6013, {}, {"mechanisms": "CRAM-MD5"}, REFUSED),
    ("no AUTH", 6014, {}, {"mechanisms": ""}, REFUSED),
    ("without a user", 6015, {}, {"user": None, "args": []}, OK),
    ("a user is needed", 6016, {}, {"args": []},
     {"status": "failed", "code": "5.7.0", "reason": "smtp-rejected"}),
]


class Test:
    def __init__(self, folder):
        self.folder, self.failed, self.passed = folder, 0, 0
        self.past = 0       # lines of the log that belong to cases before
        self.store = folder / "taken"
        self.log_path = folder / "submission.log"
        self.log = fakes.Log(self.log_path)
        self.maker = certs.Certs()
        for name in ("ec", "stranger"):
            self.maker.add_ca({"name": name})
        self.root = folder / "root.pem"
        self.root.write_bytes(self.maker.cas["ec"]["root"].pem())
        (folder / "nobody.pem").write_bytes(self.maker.cas["stranger"]["root"].pem())
        self.password_file = folder / "password"
        self.password_file.touch(mode=0o600)
        self.password_file.write_text(PASSWORD + "\n")
        self.login = ["--user", USER, "--password-file", str(self.password_file)]
        self.hosts = {s["name"]: s for d in report.load()["domains"] for s in d["servers"]}

    def serve(self, name, port, key_file, spec):
        spec = {"fault": "accept", "host": name, "domain": f"{name}-{port}", "user": USER, "password": PASSWORD,
                "mechanisms": "PLAIN LOGIN", "chain_files": [str(key_file)], "seen": set()} | spec
        fakes.listen(spec, self.hosts[name]["addresses"][0], self.log, str(self.store), port, fakes.Submission)

    def certificate(self, port, spec):
        return self.maker.make(spec, NAME).write(self.folder / f"{port}.pem")

    def send(self, *args, **env):
        env = os.environ | {"SSL_CERT_FILE": str(self.root), "SSL_CERT_DIR": "/nonexistent"} | env
        return subprocess.run(["danelaw", "-v", "send", "--json", "-f", "a@client.lab.test", *args, "b@example.org",
                               "c@example.net"], input=MAIL, capture_output=True, timeout=60, env=env)

    def heard(self, where):
        """What the server heard since the case before."""
        lines = [json.loads(line) for line in self.log_path.read_text().splitlines()[self.past:]]
        return [x for x in lines if x["domain"] == where and x["event"] == "command"]

    def expect(self, what, done, expect, where):
        """One line for each recipient; the mail arrived once or not at all; nothing went in clear."""
        complaints = []
        documents = [json.loads(line) for line in done.stdout.splitlines()]
        if len(documents) != 2:
            complaints.append(f"{len(documents)} results: {done.stderr.decode()[-300:]}")
        for doc in documents:
            complaints += report.differences(expect, doc)
        right = {"sent": 0, "deferred": 75, "failed": 69}[expect["status"]]
        if done.returncode != right:
            complaints.append(f"exit code {done.returncode}, not {right}")
        taken = sorted((self.store / where).glob("*.eml"))
        if len(taken) != (expect["status"] == "sent"):
            complaints.append(f"{len(taken)} messages arrived")
        for path in taken:
            if not path.read_bytes().endswith(MAIL.replace(b"\n", b"\r\n")):
                complaints.append("not the same octets")
            path.unlink()
        secrets = [x["verb"] for x in self.heard(where) if not x["tls"] and x["verb"] in ("AUTH", "MAIL", "RCPT", "DATA")]
        if secrets:
            complaints.append(f"in clear: {secrets}")
        if expect["reason"].startswith("certificate") and any(x["verb"] == "AUTH" for x in self.heard(where)):
            complaints.append("logged in at a server that is not proven")
        for word in (PASSWORD, "Y29ycmVjdCBob3JzZQ", "AGFsaWNl"):
            if word in (done.stdout + done.stderr).decode():
                complaints.append("the password is in the output")
        self.past = len(self.log_path.read_text().splitlines())
        self.add(what, complaints)

    def add(self, what, complaints):
        self.failed += bool(complaints)
        self.passed += not complaints
        if complaints:
            print(f"FAIL submit: {what}: {'; '.join(complaints)}", flush=True)

    def cases(self):
        for what, port, cert, spec, expect in CASES:
            self.serve(NAME, port, self.certificate(port, cert), spec)
            where = NAME if port == 587 else f"{NAME}:{port}"
            done = self.send("--submit", where, *spec.get("args", self.login))
            self.expect(what, done, expect, f"{NAME}-{port}")

    def stores(self):
        """Whose certificates count is OpenSSL's way to say it."""
        good = ("--submit", NAME, *self.login)
        where = f"{NAME}-587"
        self.expect("a store without the CA", self.send(*good, SSL_CERT_FILE=str(self.folder / "nobody.pem")),
                    UNTRUSTED, where)
        folder = self.folder / "store"
        folder.mkdir()
        name = subprocess.run(["openssl", "x509", "-noout", "-hash", "-in", str(self.root)], capture_output=True,
                              text=True).stdout.strip()
        (folder / f"{name}.0").write_bytes(self.root.read_bytes())
        self.expect("SSL_CERT_DIR", self.send(*good, SSL_CERT_FILE="/nonexistent", SSL_CERT_DIR=str(folder)), OK, where)

    def dane(self):
        """S2: MX and TLSA records only with --mx, and then nothing but them."""
        server = self.hosts[DANE_NAME]
        self.serve(DANE_NAME, 587, server["chains"][0].replace(".chain.pem", ".pem"), {})
        self.serve(DANE_NAME, 465, server["chains"][0].replace(".chain.pem", ".pem"), {"fault": "no-starttls"})
        where = f"{DANE_NAME}-587"
        self.expect("the record alone proves nothing", self.send("--submit", DANE_NAME, *self.login), UNTRUSTED, where)
        self.expect("--mx: the record", self.send("--submit", "submit.test", "--mx", *self.login),
                    OK | {"policy": "dane"}, where)
        self.expect("--mx: no record for this port", self.send("--submit", "ee-311.test", "--mx", *self.login),
                    {"status": "deferred", "code": "4.7.326", "reason": "dane-required"}, f"{NAME}-587-none")
        self.expect("clear text at 465", self.send("--submit", f"{DANE_NAME}:465", *self.login),
                    {"status": "deferred", "code": "4.7.5", "reason": "tls-failed"}, f"{DANE_NAME}-465")


def main():
    with tempfile.TemporaryDirectory() as folder:
        test = Test(pathlib.Path(folder))
        test.cases()
        test.stores()
        test.dane()
    print(f"submit: {test.passed} passed, {test.failed} failed")
    return test.failed > 0


if __name__ == "__main__":
    sys.exit(main())
