#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Which process of the relay has which secret in its memory: only those that need it.

Run as: lab/lab run lab/secrets_test.py [-v].  Private keys (RSA and EC), hashes of users, passwords of
submission servers: looked for in everything that is readable in the memory of every process, at start, after
reloads, after files of certificates have changed, and after processes have died.  Needs root.
"""

import argparse
import base64
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True

import daemon       # noqa: E402
import report       # noqa: E402
from daemon import Relay, Score, is_alive, wait_until    # noqa: E402

PASSWORD = "Jb7tQz-swordfish-4c1e"
HASH = "$6$saltsaltsalt$" + "Qz9" * 28 + "Ab"
NEEDS = {"key": {"intake"}, "hash": {"intake"}, "password": {"courier"}}
RELOADS = 5
PROGRAM = pathlib.Path(__file__).resolve().parent.parent / "build" / "danelaw"


def openssl(*words):
    return subprocess.run(["openssl", *map(str, words)], capture_output=True, check=True).stdout


def make_key(folder, kind):
    """A key and its certificate as files."""
    key, cert = folder / f"{kind}.key", folder / f"{kind}.crt"
    new = ["-newkey", "rsa:2048"] if kind.startswith("rsa") else ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    openssl("req", "-x509", *new, "-nodes", "-keyout", key, "-out", cert, "-subj", f"/CN=client.lab.test/OU={kind}",
            "-days", 30)
    os.chmod(key, 0o600)
    return key, cert


def field(text, name):
    found = re.search(name + r":\s*((?:\s+[0-9a-f:]+\n)+)", text)
    return bytes.fromhex(re.sub(r"[\s:]", "", found.group(1))).lstrip(b"\0")


def secrets_of(key):
    """{what it is: octets that are in the memory of who has read it}: text, DER, and numbers as limbs."""
    text = openssl("pkey", "-in", key, "-text", "-noout").decode()
    lines = key.read_text().splitlines()
    out = {"PEM": lines[len(lines) // 2].encode()[:40]}
    der = base64.b64decode("".join(lines[1:-1]))
    if "prime1" in text:
        for name in ("prime1", "prime2", "exponent1", "exponent2", "coefficient"):
            number = field(text, name)
            out[f"{name}, limbs"], out[f"{name}, octets"] = number[::-1][:24], number[:24]
        number = field(text, "privateExponent")
        out["private exponent, limbs"] = number[::-1][:24]
    else:
        number = field(text, "priv")
        out["scalar, limbs"], out["scalar, octets"] = number[::-1][:24], number[-24:]
    assert any(value in der for name, value in out.items() if "octets" in name)
    return {f"{key.stem}: {name}": value for name, value in out.items()}


def memory_of(pid):
    """Everything that this process can read, region by region."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            where, rights = line.split()[:2]
            start, end = (int(x, 16) for x in where.split("-"))
            if "r" not in rights or "[v" in line:
                continue
            try:
                mem.seek(start)
                yield mem.read(end - start)
            except (OSError, ValueError, OverflowError):
                continue


class World:
    def __init__(self):
        self.folder = report.state() / "relay" / "secrets-files"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.keys = [make_key(self.folder, kind) for kind in ("rsa", "ec")]
        both = self.folder / "both.pem"         # chain and key in one file
        self.keys.append((both, both))
        self.join()
        (self.folder / "users").write_text(f"alice:{HASH}\n")
        (self.folder / "passwords").write_text(f"mx.ee-311.test:587 bob {PASSWORD}\n")
        for name in ("users", "passwords"):
            os.chmod(self.folder / name, 0o600)
        self.known = {"hash": {"a user's hash": HASH[:40].encode()}, "password": {"a password": PASSWORD.encode()}, "key": {}}
        self.note()

    def join(self):
        key, cert = make_key(self.folder, "rsa-of-both")
        self.keys[-1][0].write_bytes(cert.read_bytes() + key.read_bytes())
        os.chmod(self.keys[-1][0], 0o600)
        self.both = key

    def note(self):
        for key in (self.keys[0][0], self.keys[1][0], self.both):
            self.known["key"].update({f"{name} ({len(self.known['key'])})": v for name, v in secrets_of(key).items()})

    def renew(self):
        for kind in ("rsa", "ec"):
            make_key(self.folder, kind)
        self.join()
        self.note()

    def relay(self, name, **more):
        return Relay(name, 2980, user="nobody", **{
            "relay.submission": "127.0.0.1:2981", "relay.certificate": [c for _, c in self.keys],
            "relay.key": [k for k, _ in self.keys], "relay.users": self.folder / "users",
            "smtp.credentials": self.folder / "passwords", "destination.x.test.route": "[mx.ee-311.test]:587",
            "selfcheck.names": "client.lab.test", **more})


def processes(relay):
    out = {role: pids for role, pids in relay.roles().items()}
    out["parent"] = [relay.process.pid]
    return out


def judge(score, world, relay, when):
    """Nobody has what is not theirs; and who needs it has it, else this would look for the wrong octets."""
    wrong, has = [], set()
    for role, pids in processes(relay).items():
        for pid in pids:
            try:
                regions = list(memory_of(pid))
            except OSError:
                if is_alive(pid):
                    wrong.append(f"{role} {pid} cannot be looked at")
                continue
            for kind, patterns in world.known.items():
                found = [name for name, value in patterns.items() if any(value in region for region in regions)]
                if found and role in NEEDS[kind]:
                    has.add((role, kind))
                elif found:
                    wrong.append(f"{role} {pid} has {sorted(found)}")
    wanted = {(role, kind) for kind, roles in NEEDS.items() for role in roles}
    wrong += [f"{role} has no {kind}: the test is blind" for role, kind in wanted - has]
    score.add(when, wrong)


def settle(relay, reloads):
    wait_until(lambda: len(relay.events("reloaded")) >= reloads and len(relay.roles().get("intake", [])) == 2, 20)


def test_reloads(score, world):
    relay = world.relay("secrets").start()
    score.add("every kind of process runs", [] if set(processes(relay)) == {"parent", "keeper", "intake", "courier",
              "resolver", "warden"} else [processes(relay)])
    judge(score, world, relay, "at start")
    for n in range(1, RELOADS + 1):
        os.kill(relay.process.pid, 1)
        settle(relay, n)
    judge(score, world, relay, f"after {RELOADS} reloads")
    for role in ("courier", "resolver", "intake", "warden", "keeper"):
        started = len(relay.events("process-started", role=role))
        os.kill(relay.roles()[role][-1], 9)
        wait_until(lambda: len(relay.events("process-started", role=role)) > started, 10)
    time.sleep(2)
    judge(score, world, relay, "after each kind has died")
    title = pathlib.Path(f"/proc/{relay.roles()['courier'][-1]}/cmdline").read_bytes().rstrip(b"\0").decode()
    score.add("a process says what it is", [] if re.fullmatch(r"danelaw relay: courier \d+", title) else [title])
    starts = {pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines()[0].split("-")[0]
              for pids in processes(relay).values() for pid in pids}
    score.add("each has addresses of its own", [] if len(starts) == sum(map(len, processes(relay).values())) else
              [sorted(starts)])
    relay.stop()


class Copied(Relay):
    """A relay whose program and configuration are files that the test may change."""

    def launch(self):
        self.number += 1
        self.log_path = self.folder / f"log.{self.number}"
        self.program, self.conf = self.folder / "program", self.folder / "conf"
        shutil.copy(os.environ.get("DANELAW", PROGRAM), self.program)
        shutil.copy(os.environ["DANELAW_CONF"], self.conf)
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([self.program, "-c", self.conf, *self.arguments(), "relay"],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self


def test_upgrade(score, _):
    """The program's file and the configuration change while the relay runs: who is started anew does not see it."""
    relay = Copied("secrets-upgrade", 2985).start()
    old = os.readlink(f"/proc/{relay.process.pid}/exe")
    relay.program.unlink()
    relay.program.write_text("#!/bin/sh\nexit 1\n")
    os.chmod(relay.program, 0o755)
    with open(relay.conf, "a") as f:
        f.write("\nthis is = no configuration\n")
    for role in ("courier", "keeper"):
        pid = relay.roles()[role][-1]
        started = len(relay.events("process-started", role=role))
        os.kill(pid, 9)
        wait_until(lambda: len(relay.events("process-started", role=role)) > started, 10)
    time.sleep(2)
    pids = [pid for some in relay.roles().values() for pid in some]
    same = all(os.readlink(f"/proc/{pid}/exe") == f"{old} (deleted)" for pid in pids)
    score.add("a new program on the disk changes nothing", [] if same and len(pids) == 6 else [relay.roles()])
    took = relay.send(f"x@{daemon.BACK}", b"Subject: x\r\n\r\nx\r\n")
    score.add("nor does an edited configuration", [] if wait_until(lambda: relay.event("sent", id=took), 15) else
              [relay.log_text()[-400:]])
    os.kill(relay.process.pid, 1)
    score.add("which is refused at a reload", [] if wait_until(lambda: relay.event("reload"), 10) else ["not said"])
    relay.stop()


def test_files(score, world):
    relay = world.relay("secrets-files-change", **{"relay.certificate-reload": "yes", "selfcheck.files": 5}).start()
    world.renew()
    settle(relay, 1)
    score.add("new files are taken", [] if relay.event("reloaded") else [relay.log_text()[-500:]])
    judge(score, world, relay, "after files have changed")
    (world.folder / "ec.key").write_text("no key\n")
    wait_until(lambda: relay.event("reload"), 20)
    time.sleep(3)
    judge(score, world, relay, "after files that are refused")
    relay.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-v", "--verbose", action="store_true", help="also say what passed")
    score = Score(parser.parse_args().verbose)
    if os.geteuid() != 0 or not daemon.can_be_nobody():
        print("SKIP: not root, or there is no user nobody that can reach the lab's folder")
        return 0
    for test in (test_reloads, test_files, test_upgrade):
        try:
            test(score, World())
        except (OSError, RuntimeError, subprocess.SubprocessError) as e:
            score.add(test.__name__, [f"broke off: {e!r}"])
    print(f"{score.passed} passed, {score.failed} failed", flush=True)
    return 1 if score.failed or not score.passed else 0


if __name__ == "__main__":
    sys.exit(main())
