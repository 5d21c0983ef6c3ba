#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The hooks for certbot and acme.sh, with files laid out as these programs lay them out. A `danelaw` that
answers what the case wants stands in for the real one, which lab/roll_test.py uses.

Usage: test_hooks.py FOLDER
"""
import os
import pathlib
import stat
import subprocess
import sys
import tempfile

HOOKS = pathlib.Path(sys.argv[1])
passed = failed = 0


def check(what, condition, seen=""):
    global passed, failed
    if condition:
        passed += 1
    else:
        failed += 1
        print(f"FAIL {what}: {seen}")


class Machine:
    """A folder with a mail server's files, a `danelaw` and a reload command that keep count."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.bin, self.target = self.folder / "bin", self.folder / "target"
        self.bin.mkdir()
        self.codes = {}
        self.script("danelaw", 'echo "$*" >>"$0.calls"\nexit "$(cat "$0.code.$4" 2>/dev/null || echo 0)"\n')
        self.script("reload", 'echo "$*" >>"$0.calls"\nexit "$(cat "$0.code" 2>/dev/null || echo 0)"\n')
        self.env = {"PATH": f"{self.bin}:/usr/bin:/bin", "DANELAW_TARGET": str(self.target),
                    "DANELAW_RELOAD": f"{self.bin}/reload now please", "DANELAW_SETTINGS": "/nonexistent"}

    def script(self, name, text):
        path = self.bin / name
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(0o755)

    def answer(self, host, code):
        (self.bin / f"danelaw.code.{host}").write_text(str(code))

    def calls(self, name):
        path = self.bin / f"{name}.calls"
        text = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return text

    def run(self, hook, *args, **env):
        done = subprocess.run([HOOKS / hook, *map(str, args)], capture_output=True, text=True, timeout=60, env=self.env | env)
        return done.returncode, done.stdout + done.stderr

    def certbot(self, name, version):
        """live/NAME/X.pem are links to ../../archive/NAME/XN.pem."""
        live, archive = self.folder / "letsencrypt" / "live" / name, self.folder / "letsencrypt" / "archive" / name
        live.mkdir(parents=True, exist_ok=True)
        archive.mkdir(parents=True, exist_ok=True)
        for what in ("cert", "chain", "fullchain", "privkey"):
            (archive / f"{what}{version}.pem").write_text(f"{what} {version} of {name}\n")
            (live / f"{what}.pem").unlink(missing_ok=True)
            (live / f"{what}.pem").symlink_to(f"../../archive/{name}/{what}{version}.pem")
        return live

    def acme(self, name, version, ecc=True):
        folder = self.folder / ".acme.sh" / (name + ("_ecc" if ecc else ""))
        folder.mkdir(parents=True, exist_ok=True)
        for what in (f"{name}.cer", f"{name}.key", "ca.cer", "fullchain.cer", f"{name}.conf", f"{name}.csr"):
            (folder / what).write_text(f"{what} {version}\n")
        return folder


def certbot(m):
    live = m.certbot("mx.example.org", 1)
    code, out = m.run("certbot-deploy", RENEWED_LINEAGE=str(live), RENEWED_DOMAINS="mx.example.org")
    file = m.target / "mx.example.org.pem"
    check("certbot: deployed", code == 0, (code, out))
    check("certbot: key, then chain", file.read_text() == "privkey 1 of mx.example.org\nfullchain 1 of mx.example.org\n", out)
    check("certbot: ours alone", stat.S_IMODE(file.stat().st_mode) == 0o600, oct(file.stat().st_mode))
    check("certbot: the command's words", m.calls("reload") == ["now please"], out)
    call = m.calls("danelaw")
    check("certbot: asked once", call == [f"tlsa verify --host mx.example.org --port 25 --chain {live}/fullchain.pem"], call)

    m.certbot("mx.example.org", 2)
    for answer, exit_code, words in ((1, 1, "hold mail"), (2, 2, "not known"), (78, 2, "not known"), (70, 2, "not known")):
        m.answer("mx.example.org", answer)
        code, out = m.run("certbot-deploy", RENEWED_LINEAGE=str(live))
        check(f"certbot: refused with {answer}", code == exit_code and words in out, (code, out))
        check(f"certbot: the old one stays after {answer}", "privkey 1" in file.read_text(), file.read_text())
        check(f"certbot: no reload after {answer}", m.calls("reload") == [], out)
    m.answer("mx.example.org", 3)
    code, out = m.run("certbot-deploy", f"{live}/")
    check("certbot: no records, nothing to break", code == 0 and "privkey 2" in file.read_text(), (code, out))
    check("certbot: no half file stays", sorted(os.listdir(m.target)) == ["mx.example.org.pem"], os.listdir(m.target))
    m.calls("danelaw"), m.calls("reload")


def hosts(m):
    live = m.certbot("mail", 1)
    m.answer("mx1.example.org", 0)
    m.answer("mx2.example.org", 1)
    code, out = m.run("certbot-deploy", live, DANELAW_HOSTS="mx1.example.org mx2.example.org", DANELAW_PORT="587")
    calls = m.calls("danelaw")
    check("each host is asked", [c.split()[3] for c in calls] == ["mx1.example.org", "mx2.example.org"], calls)
    check("with its port", all(c.split()[5] == "587" for c in calls), calls)
    check("one refuses: none is deployed", code == 1 and not (m.target / "mail.pem").exists() and m.calls("reload") == [], (code, out))


def acme(m):
    folder = m.acme("mx3.example.org", 1)
    env = {"CERT_FULLCHAIN_PATH": str(folder / "fullchain.cer"), "CERT_KEY_PATH": str(folder / "mx3.example.org.key"),
           "CERT_PATH": str(folder / "mx3.example.org.cer"), "CA_CERT_PATH": str(folder / "ca.cer"), "Le_Domain": "mx3.example.org"}
    code, out = m.run("acme-reload", **env)
    file = m.target / "mx3.example.org_ecc.pem"
    check("acme.sh: deployed", code == 0 and file.read_text() == "mx3.example.org.key 1\nfullchain.cer 1\n", (code, out))
    check("acme.sh: asked for the host", m.calls("danelaw")[0].split()[3] == "mx3.example.org", out)
    rsa = m.acme("mx3.example.org", 1, ecc=False)
    code, out = m.run("acme-reload", rsa)
    check("acme.sh: RSA beside it", code == 0 and (m.target / "mx3.example.org.pem").exists() and file.exists(), (code, out))
    m.acme("mx3.example.org", 2)
    m.answer("mx3.example.org", 1)
    code, out = m.run("acme-reload", folder)
    check("acme.sh: refused", code == 1 and file.read_text().endswith("fullchain.cer 1\n"), (code, out))
    m.calls("danelaw"), m.calls("reload")


def wrong_calls(m):
    live = m.certbot("a.test", 1)
    for what, hook, args, code, env in (
            ("no lineage", "certbot-deploy", [], 64, {}),
            ("no such lineage", "certbot-deploy", ["/nonexistent"], 64, {}),
            ("nothing from acme.sh", "acme-reload", [], 64, {}),
            ("no such folder", "acme-reload", ["/nonexistent/x_ecc"], 66, {}),
            ("two arguments", "danelaw-deploy", ["a", "b"], 64, {}),
            ("a name that is a path", "danelaw-deploy", ["../a", live / "fullchain.pem", live / "privkey.pem"], 64, {}),
            ("no key", "danelaw-deploy", ["a", live / "fullchain.pem", "/nonexistent"], 66, {}),
            ("a target that is a file", "certbot-deploy", [live], 73, {"DANELAW_TARGET": str(live / "cert.pem")})):
        got, out = m.run(hook, *args, **env)
        check(what, got == code and "\n" in out, (got, out))
    check("wrong calls reload nothing", m.calls("reload") == [])
    (m.bin / "reload.code").write_text("5")
    code, out = m.run("certbot-deploy", live)
    check("a reload that fails is told", code == 70 and "in place" in out, (code, out))
    settings = m.folder / "hooks.conf"
    settings.write_text('DANELAW_HOSTS="b.test c.test"\n')
    m.calls("danelaw")
    m.run("certbot-deploy", live, DANELAW_SETTINGS=str(settings))
    check("settings of a file", len(m.calls("danelaw")) == 2)


with tempfile.TemporaryDirectory() as where:
    machine = Machine(where)
    certbot(machine)
    hosts(machine)
    acme(machine)
    wrong_calls(machine)
print(f"hooks: {passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
