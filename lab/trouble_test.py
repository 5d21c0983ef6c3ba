#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What is wrong around the relay ends in one clear line, and its processes are confined as they say.

Run as: lab/lab run lab/trouble_test.py [-v].  Each start that must fail: it ends with a sysexits code, and
one line of its log names the file and what to do.  Then the texts that are too big, and for each process of
a running relay what the kernel says that it may do.
"""

import argparse
import os
import pathlib
import re
import smtplib
import sqlite3
import subprocess
import sys

sys.dont_write_bytecode = True

import certs        # noqa: E402
import daemon       # noqa: E402
import load         # noqa: E402
import report       # noqa: E402
from daemon import BACK, HOME, Relay, expect, wait_until    # noqa: E402

PORT = 2880
HOST = "client.lab.test"
SIZE_MAX = 200000
CHILDREN = ("intake", "keeper", "courier", "resolver")


class Score:
    def __init__(self, verbose):
        self.passed, self.failed, self.verbose = 0, 0, verbose

    def add(self, name, complaints):
        if complaints:
            self.failed += 1
            print(f"FAIL {name}: {'; '.join(map(str, complaints))}", flush=True)
        else:
            self.passed += 1
            if self.verbose:
                print(f"ok   {name}", flush=True)


# -- stores that must not open -----------------------------------------------------------------------------

def used(relay):
    """A store with one message in it."""
    relay.start()
    relay.send(f"x@{load.NEVER}", load.letter("trouble", 100000))
    wait_until(lambda: relay.event("deferred"))
    relay.stop()


def database(relay, *statements):
    db = sqlite3.connect(relay.store, isolation_level=None)
    for statement in statements:
        db.execute(statement)
    return db


def locked(relay):
    used(relay)
    relay.holder = database(relay, "BEGIN EXCLUSIVE")


def newer(relay):
    used(relay)
    database(relay, "PRAGMA user_version = 99").close()


def cut_short(relay):
    used(relay)
    os.truncate(relay.store, 8192)


def read_only(relay):
    folder = relay.folder / "read-only"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "lab", str(folder)], check=True)
    relay.options["relay.store"] = folder / "queue.db"


# name: (what makes it so, the status, words of the line)
STORES = {
    "no database": (lambda r: r.store.write_text("no database, but a text\n" * 500), "corrupt", ".recover"),
    "another program's database": (lambda r: database(r, "CREATE TABLE t (a)").close(), "corrupt", "not a mail queue"),
    "a store that was cut short": (cut_short, "corrupt", ".recover"),
    "a store of a newer version": (newer, "newer", "schema version 99"),
    "a store that another process has locked": (locked, "busy", "another process"),
    "a store that is a folder": (lambda r: r.store.mkdir(), "io", "directory"),
    "a store on a read-only disk": (read_only, "io", "Read-only"),
}


def ends(relay):
    """(its exit code, the lines of its log that are errors)"""
    relay.launch()
    try:
        code = relay.process.wait(15)
    except subprocess.TimeoutExpired:
        relay.stop()
        code = "no end"
    return code, relay.log_text()


def test_stores(score):
    for n, (name, (prepare, status, words)) in enumerate(STORES.items()):
        relay = Relay(f"trouble-{n}", PORT)
        prepare(relay)
        code, text = ends(relay)
        said = [line for line in text.splitlines() if "event=store-open " in line]
        ok = code == 71 and len(said) == 1 and f"status={status} " in said[0] and words in said[0] and \
            "cure=" in said[0] and str(relay.options["relay.store"]) in said[0]
        score.add(f"start: {name}", [] if ok else [code, said or text[-300:]])
    for name, option in (("the store's folder is missing", "relay.store"), ("the control socket's", "relay.control")):
        relay = Relay("trouble-folder", PORT, **{option: report.state() / "relay" / "nowhere" / "file"})
        code, text = ends(relay)
        said = [line for line in text.splitlines() if "nowhere" in line and "No such file" in line]
        score.add(f"start: {name}", [] if code == 71 and len(said) == 1 else [code, text[-300:]])


# -- keys ------------------------------------------------------------------------------------------------

def test_keys(score):
    folder = report.state() / "relay" / "trouble-keys"
    folder.mkdir(parents=True, exist_ok=True)
    maker = certs.Certs()
    maker.add_ca({"name": "trouble"})
    for name in ("one", "two"):
        maker.make({"ca": "trouble", "key": "ec", "names": [HOST]}, HOST).write(folder / f"{name}.pem")
    chain = folder / "one.chain.pem"
    half = folder / "half.pem"
    half.write_bytes((folder / "one.pem").read_bytes()[:200])
    for name, key, words in (("a key that is missing", folder / "nowhere.pem", "nowhere.pem"),
                             ("a key of another certificate", folder / "two.pem", "two.pem"),
                             ("a key that is cut off", half, "half.pem")):
        relay = Relay("trouble-key", PORT, **{"relay.submissions": f"{HOME}:{PORT + 2}", "relay.certificate": [chain],
                                              "relay.key": [key]})
        code, text = ends(relay)
        said = [line for line in text.splitlines() if words in line]
        score.add(f"start: {name}", [] if code in (71, 78) and len(said) == 1 else [code, text[-300:]])


# -- texts that are too big ------------------------------------------------------------------------------------

def test_sizes(score):
    relay = Relay("trouble-size", PORT, **{"relay.size-max": SIZE_MAX}).start()
    big = b"Subject: big\r\n\r\n" + (b"x" * 998 + b"\r\n") * (SIZE_MAX // 1000 + 20)

    def envelope(c, words=""):
        c.ehlo()
        code, text = c.docmd(f"MAIL FROM:<a@{BACK}>{words}")
        if code == 250:
            expect(c.docmd(f"RCPT TO:<x@{BACK}>"), 250)
        return code, text

    def announced(c):
        return envelope(c, f" SIZE={SIZE_MAX + 1}")

    def in_data(c):
        envelope(c)
        return c.data(big)

    def in_pieces(c):
        envelope(c)
        for at in range(0, len(big), 50000):
            piece = big[at:at + 50000]
            c.send(f"BDAT {len(piece)}{' LAST' if at + 50000 >= len(big) else ''}\r\n".encode() + piece)
            code, text = c.getreply()
            if code != 250:
                return code, text
        return code, text
    for name, call in (("SIZE", announced), ("DATA", in_data), ("BDAT", in_pieces)):
        try:
            with relay.client() as c:
                got = call(c)
        except (OSError, smtplib.SMTPException) as e:
            got = repr(e)
        ok = got[0] == 552 and b"5.3.4" in got[1] and relay.is_empty()
        score.add(f"too big: {name}", [] if ok else [got, relay.totals()])
    relay.stop()


# -- what the kernel says of each process ----------------------------------------------------------------------

def status_of(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return dict(re.findall(r"^(\w+):\s+(.*)$", text, re.M))


def test_confined(score):
    relay = Relay("trouble-confined", PORT).start()
    said = relay.event("confined", process="parent") or {}
    guarded = said.get("by", "").startswith("seccomp")
    if not guarded:
        print(f"SKIP seccomp of the processes: this build or kernel has none: {said.get('by')}")
    pids = {role: some for role, some in relay.roles().items()}
    score.add("confined: every kind of process runs", [] if sorted(pids) == sorted(CHILDREN) else [pids])
    pids["parent"] = [relay.process.pid]
    for role, some in pids.items():
        for pid in some:
            got, wrong = status_of(pid), []
            if got.get("NoNewPrivs") != "1":
                wrong.append(f"NoNewPrivs {got.get('NoNewPrivs')}")
            if guarded and got.get("Seccomp") != "2":
                wrong.append(f"Seccomp {got.get('Seccomp')}")
            if role != "parent" and int(got.get("CapEff", "1"), 16) | int(got.get("CapPrm", "1"), 16):
                wrong.append(f"capabilities {got.get('CapEff')}")
            # One filter of the parent, and one of its own.
            if guarded and role != "parent" and int(got.get("Seccomp_filters", "2")) < 2:
                wrong.append(f"{got.get('Seccomp_filters')} filters")
            score.add(f"confined: {role}", wrong)
    relay.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-v", "--verbose", action="store_true", help="also say what passed")
    score = Score(parser.parse_args().verbose)
    for test in (test_stores, test_keys, test_sizes, test_confined):
        try:
            test(score)
        except (OSError, RuntimeError, subprocess.SubprocessError) as e:
            score.add(test.__name__, [f"broke off: {e!r}"])
    print(f"{score.passed} passed, {score.failed} failed", flush=True)
    return 1 if score.failed or not score.passed else 0


if __name__ == "__main__":
    sys.exit(main())
