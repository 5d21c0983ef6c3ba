#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The audit of `danelaw relay`: each attempt leaves one record, keys are compared with those of last time, and whoever
changes the file is found (A1, A2, A3).

Run as: lab/lab run lab/audit_test.py [-v] [PATTERN...]   (continuity, tampering, columns, override, trouble, size, kill)
"""

import argparse
import collections
import fnmatch
import hashlib
import os
import random
import shutil
import signal
import smtplib
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request

sys.dont_write_bytecode = True

import certs        # noqa: E402
import daemon       # noqa: E402
import report       # noqa: E402
from audited import MAY, ROLL, Audited, renewed, self_signed, serve, chains    # noqa: E402
from daemon import BACK, HOME, give, signal_quietly, wait_until    # noqa: E402

REFUSED = "ee-mismatch.test"
KILLS, MESSAGES = 12, 400


class Score:
    def __init__(self, verbose):
        self.passed, self.failed, self.verbose = 0, 0, verbose

    def check(self, name, got, want=True):
        if got == want:
            self.passed += 1
            if self.verbose:
                print(f"ok   {name}", flush=True)
        else:
            self.failed += 1
            print(f"FAIL {name}: {got!r}, not {want!r}", flush=True)
        return got == want


# -- A1, A2 ----------------------------------------------------------------------------------------------

def test_continuity(score):
    first, second = chains(ROLL)[:2]
    other, another = self_signed(certs.new_key("ec")), self_signed(certs.new_key("rsa"))
    serve(ROLL, first)
    serve(MAY, first)
    relay = Audited("audit", 2640, **{"relay.metrics": f"{HOME}:2643", "queue.retry-first": 1,
                                         "queue.retry-max": 2}).start()

    def expect(what, domain, pem, continuity, authority, accepted=True):
        serve(domain, pem)
        r = relay.deliver(domain)
        score.check(f"{what}: continuity", r.get("continuity"), continuity)
        score.check(f"{what}: authority", r.get("authority"), authority)
        score.check(f"{what}: accepted", (r.get("tls") or {}).get("accepted"), accepted)
        return r

    r = expect("first delivery", ROLL, first, "first-seen", "tlsa")
    for key, want in (("next_hop", ROLL), ("host", f"mx.{ROLL}"), ("port", 25), ("policy", "dane"), ("reason", "ok"),
                      ("code", "2.0.0"), ("mx_secure", True), ("index", 0), ("count", 1), ("outcome", "ok")):
        score.check(f"a record has {key}", r.get(key), want)
    score.check("a record has both TLSA records", len(r["tlsa"]), 2)
    score.check("a record has what matched", (r["tls"]["matched"] or {}).get("usage"), 3)
    score.check("a record has the TLS version", r["tls"]["version"], "TLSv1.3")
    score.check("the key is the one that matched", r["tls"]["chain"][0]["spki_sha256"],
                r["tlsa"][r["tls"]["matched"]["record"]]["data"])
    expect("second delivery", ROLL, first, "same-certificate", "tlsa")
    expect("renewed with its key", ROLL, renewed(first), "same-key", "tlsa")
    r = expect("rolled", ROLL, second, "authorised-change", "tlsa")
    score.check("a change names the key before", r.get("previous_key") is not None)
    r = expect("neither record", ROLL, other, "unauthorised-change", "none", False)
    score.check("it is refused", r.get("reason"), "tlsa-invalid")
    tries = [t for d in relay.rows("show", r.get("queue_id", "-")) for t in d.get("tries", [])]
    score.check("queue why says so", {t.get("continuity") for t in tries}, {"unauthorised-change"})
    score.check("queue why says so in words",
                "certificate: unauthorised-change" in relay.queue("why", r.get("queue_id", "-"))[1])
    relay.queue("delete", f"id={r.get('queue_id', '-')}")
    r = expect("what was refused is not known", ROLL, other, "unauthorised-change", "none", False)
    relay.queue("delete", f"id={r.get('queue_id', '-')}")
    expect("the good one again", ROLL, second, "same-certificate", "tlsa")

    expect("may: first delivery", MAY, first, "first-seen", "none")
    expect("may: changed", MAY, other, "unauthorised-change", "none")
    expect("may: the new one is known, and nothing authorised it", MAY, other, "same-certificate", "none")
    expect("may: another type of key", MAY, another, "first-seen", "none")
    expect("may: the first again", MAY, first, "same-certificate", "none")
    score.check("the log warns of each", len(relay.events("unauthorised-change")) >= 3)
    relay.stop()
    relay.start()
    expect("after a restart", MAY, renewed(other), "same-key", "none")
    test_reports(score, relay)
    code, out, err = relay.audit("verify")
    score.check("the chain holds", (code, "agrees with what the running relay remembers" in out), (0, True))
    test_metrics(score, relay)
    score.check("SIGTERM ends it with 0", relay.stop(), 0)
    code, out, err = relay.audit("verify")
    score.check("the chain holds without the relay", (code, "the queue's file remembers" in out), (0, True))


def test_reports(score, relay):
    code, out, _ = relay.audit("changes", "--json", "--since", "1h")
    rows = report.json_lines(out)
    kinds = [r["change"] for r in rows]
    score.check("changes: what nothing authorised first", kinds, ["unauthorised-change"] * 2 + ["authorised-change"])
    score.check("changes: exit code", code, 1)
    refused = next((r for r in rows if r["host"] == f"mx.{ROLL}" and r["change"] == "unauthorised-change"), {})
    score.check("changes: one line for a change that is seen again",
                (refused.get("attempts", 0) >= 2, refused.get("accepted")), (True, 0))
    score.check("changes: none since now", relay.audit("changes", "--since", "0s")[0], 0)
    aged = relay.folder / "aged.db"
    shutil.copy(relay.file, aged)
    with_sql("UPDATE record SET time = time - 864000000 WHERE n > 1",
             "UPDATE record SET time = -9223372036854775808 WHERE n = 1")(aged)
    for since, want in (("1970-01-01T00:00:00Z", 3), ("1969-12-31T00:00:00Z", 3), ("1d", 0)):
        out = relay.audit("--file", str(aged), "changes", "--json", "--since", since)[1]
        score.check(f"changes since {since}", len(report.json_lines(out)), want)
    score.check("a time of long ago", len(report.json_lines(relay.audit("--file", str(aged), "show", "1", "--json")[1])), 1)
    peers = {(p["host"], p["port"]): p for p in report.json_lines(relay.audit("peers", "--json")[1])}
    keys = peers.get((f"mx.{ROLL}", 25), {}).get("keys", [])
    score.check("peers: certificates of the host", [k["continuity"] for k in keys],
                ["first-seen", "same-key", "authorised-change"])
    score.check("peers: what authorised them", {k["authority"] for k in keys}, {"tlsa"})
    types = {k["key_type"] for k in peers.get((f"mx.{MAY}", 25), {}).get("keys", [])}
    score.check("peers: types of keys apart", types, {"ECDSA", "RSA"})
    change = relay.records("--continuity", "authorised-change")
    shown = relay.audit("show", str(change[0]["n"]))[1] if change else ""
    score.check("show: the keys before", "the host had presented before" in shown)
    for words, want in (((["--host", f"mx.{MAY}"]), 6), (["--domain", ROLL, "--reason", "ok"], 5),
                        (["--policy", "may"], 6), (["--until", "2020-01-01T00:00:00Z"], 0),
                        (["--since", "1h", "--limit", "3"], 3)):
        got = len(report.json_lines(relay.audit("list", "--json", *words)[1]))
        score.check(f"list {' '.join(words)}", got, want)
    test_check(score, relay)
    test_export(score, relay)


def test_check(score, relay):
    serve(ROLL, chains(ROLL)[0])
    out = report.run(["check", "--json", "--audit", str(relay.file), ROLL, REFUSED])[1]
    found = {d["domain"]: d["hosts"][0]["addresses"][0]["continuity"] for d in report.json_lines(out)}
    score.check("check compares", found, {ROLL: "same-certificate", REFUSED: "first-seen"})
    out = report.run(["check", "--json", ROLL])[1]
    score.check("check is quiet without a file",
                report.json_lines(out)[0]["hosts"][0]["addresses"][0]["continuity"], None)
    score.check("check: a file that was asked for must be there",
                report.run(["check", "--audit", "/nowhere/audit.db", ROLL])[0], 66)


def test_export(score, relay):
    """Somebody else's program verifies what export prints."""
    import hashlib
    last, wrong = bytes(32), []
    rows = report.json_lines(relay.audit("export")[1])
    for r in rows:
        body = bytes.fromhex(r["body"])
        digest = hashlib.sha256(last + r["n"].to_bytes(8, "big") + r["time_ms"].to_bytes(8, "big") + body).hexdigest()
        if digest != r["hash"] or r["prev"] != last.hex():
            wrong.append(r["n"])
        last = bytes.fromhex(r["hash"])
    score.check("export can be verified by others", (wrong, len(rows) > 10), ([], True))


def test_metrics(score, relay):
    text = urllib.request.urlopen(f"http://{HOME}:2643/metrics", timeout=5).read().decode()
    values = dict(line.split() for line in text.splitlines() if line.startswith(("danelaw_audit", "danelaw_unauth")))
    score.check("metrics", (values.get("danelaw_audit_working"), values.get("danelaw_audit_broken")), ("1", "0"))


# -- A3 --------------------------------------------------------------------------------------------------

GUARDS = ("record_behind", "record_fixed", "record_kept", "start_grows")


def with_sql(*statements):
    def change(path):
        db = sqlite3.connect(path)
        for guard in GUARDS:
            db.execute(f"DROP TRIGGER {guard}")
        for s in statements:
            db.execute(s)
        db.commit()
        db.close()
    return change


def forged_checkpoint(upto, after):
    """All that stands before is removed, and signed off by a record of our own behind `after`; None: a new chain."""
    def change(path):
        db = sqlite3.connect(path)
        n, last = db.execute("SELECT n, hash FROM record ORDER BY n DESC LIMIT 1").fetchone()
        start = os.urandom(32) if after is None else \
            db.execute("SELECT hash FROM record WHERE n = ?", (upto,)).fetchone()[0]
        n, last = (upto, start) if after is None else (n, last)
        body = bytes([1, 4]) + upto.to_bytes(8, "big") + start + (5000).to_bytes(8, "big")
        here = last + (n + 1).to_bytes(8, "big") + (6000).to_bytes(8, "big") + body
        for guard in GUARDS:
            db.execute(f"DROP TRIGGER {guard}")
        db.execute("DELETE FROM record WHERE n <= ?", (upto,))
        db.execute("UPDATE start SET n = ?, hash = ?", (upto, start))
        db.execute("INSERT INTO record VALUES (?, 6000, ?, ?)", (n + 1, hashlib.sha256(here).digest(), body))
        db.commit()
        db.close()
    return change


TAMPERINGS = [
    ("a changed body", with_sql("UPDATE record SET body = zeroblob(length(body)) WHERE n = 3"), 3),
    ("a changed time", with_sql("UPDATE record SET time = time - 1 WHERE n = 2"), 2),
    ("a removed record", with_sql("DELETE FROM record WHERE n = 4"), 4),
    ("the first records removed", with_sql("DELETE FROM record WHERE n < 3"), 1),
    ("a start without a checkpoint", with_sql("UPDATE start SET n = 2, hash = (SELECT hash FROM record WHERE n = 2)",
                                              "DELETE FROM record WHERE n < 3"), 2),
    ("two records that changed places", with_sql("UPDATE record SET n = 100 WHERE n = 2",
                                                 "UPDATE record SET n = 2 WHERE n = 3",
                                                 "UPDATE record SET n = 3 WHERE n = 100"), 2),
    ("an end that was cut off", with_sql("DELETE FROM record WHERE n > 4"), 5),
    ("an empty file", with_sql("DELETE FROM record"), 1),
    ("a certificate that is said to be known", with_sql("UPDATE peer SET cert = randomblob(32), record = 1"), 1),
    ("a checkpoint that the relay did not write", forged_checkpoint(3, True), 3),
    ("a new chain that begins behind the head", forged_checkpoint(1000, None), 1000),
]


# Columns that verify need not notice, and why.
HARMLESS = {
    ("start", "one"): "the one row's own key: without the row nothing was removed, which the records contradict if it is not so",
    ("mover", "queue"): "how far an outbox was moved: the relay compares that with its queue when it starts",
    ("mover", "moved"): "the same",
    ("evidence", "time"): "when it was collected first: a proof is of the time of the record, which is chained",
    ("evidence", "last"): "until when it is kept; what is in it proves itself",
}


def other(value):
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return value + "x"
    return bytes([value[0] ^ 1]) + value[1:] if value else b"x"


def flips(path):
    """(table, column, one row with another value there) for each row; what the file itself forbids is left out."""
    with sqlite3.connect(path) as db:
        tables = [name for name, in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        for table in tables:
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            rows = db.execute(f"SELECT * FROM {table}").fetchall()
            for row in {len(r): r for r in rows}.values() if table == "record" else rows[:2]:
                for at, column in enumerate(columns):
                    yield table, columns, row, at, column


def flip(path, table, columns, row, at):
    db = sqlite3.connect(path)
    db.execute("PRAGMA ignore_check_constraints = ON")
    for name, in db.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
        db.execute(f"DROP TRIGGER {name}")
    where = " AND ".join(f"{c} IS ?" for c in columns)
    try:
        changed = db.execute(f"UPDATE {table} SET {columns[at]} = ? WHERE {where}", (other(row[at]), *row)).rowcount
        db.commit()
        return changed == 1
    except sqlite3.IntegrityError:
        return False
    finally:
        db.close()


def test_columns(score):
    """Each column of each table: changed in one row, and noticed."""
    relay = Audited("audit-columns", 2680).start()
    for _ in range(2):
        relay.deliver(BACK)
        relay.deliver(MAY)
    relay.stop()
    good = relay.folder / "good.db"
    shutil.copy(relay.file, good)
    score.check("columns: untouched", relay.audit("verify")[0], 0)
    seen, noticed = collections.Counter(), collections.Counter()
    for table, columns, row, at, column in flips(good):
        shutil.copy(good, relay.file)
        if not flip(relay.file, table, columns, row, at):
            continue
        seen[table, column] += 1
        noticed[table, column] += relay.audit("verify")[0] != 0
    for where, n in seen.items():
        if where not in HARMLESS:
            score.check(f"{'.'.join(where)}: noticed", noticed[where], n)
    score.check("columns: all tables", {t for t, _ in seen} >= {"record", "start", "peer", "evidence", "rrset", "evidence_rrset"}, True)
    score.check("columns: of the known certificates", len([1 for t, _ in seen if t == "peer"]), 10)
    # A crash in the middle of a commit: a journal that nobody may finish who only reads.
    shutil.copy(good, relay.file)
    child = subprocess.Popen([sys.executable, "-c", HALF, str(relay.file)], stdout=subprocess.PIPE)
    child.stdout.readline()
    child.kill()
    child.wait()
    code, out, err = relay.audit("verify")
    score.check("a journal left by a crash: says what to do", (code, "start the relay first" in out + err), (75, True))
    relay.start()
    relay.stop()
    score.check("and then it can be verified", relay.audit("verify")[0], 0)


# Pages are in the file before the commit, and the journal is synced.
HALF = """
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA journal_mode = TRUNCATE")
db.execute("PRAGMA cache_size = 1")
db.execute("PRAGMA cache_spill = 1")
db.execute("BEGIN IMMEDIATE")
db.execute("CREATE TABLE filler (x)")
for _ in range(200):
    db.execute("INSERT INTO filler VALUES (randomblob(4000))")
print("half", flush=True)
time.sleep(60)
"""


def test_tampering(score):
    relay = Audited("audit-tamper", 2650).start()
    for _ in range(3):
        relay.deliver(BACK)
    relay.stop()
    old = relay.folder / "old.db"
    shutil.copy(relay.file, old)
    relay.start()
    for _ in range(4):
        relay.deliver(BACK)
    relay.stop()
    good = relay.folder / "good.db"
    shutil.copy(relay.file, good)
    score.check("untouched", relay.audit("verify")[0], 0)
    head = report.json_lines(relay.audit("verify", "--json")[1])[0]
    for name, change, broken in TAMPERINGS:
        shutil.copy(good, relay.file)
        change(relay.file)
        code, out, _ = relay.audit("verify", "--json")
        score.check(f"{name}: found", (code, report.json_lines(out)[0]["broken"]), (1, broken))
    shutil.copy(old, relay.file)
    code, out, _ = relay.audit("verify", "--json")
    score.check("an old copy: found", (code, report.json_lines(out)[0]["broken"]), (1, 4))
    code, out, _ = relay.audit("--file", str(old), "verify")
    score.check("a copy alone holds", (code, "--head" in out), (0, True))
    code, out, _ = relay.audit("--file", str(old), "--head", f"{head['last']}:{head['hash']}", "verify")
    score.check("a copy against a head that was noted", (code, "record 4 is missing" in out), (1, True))
    code, _, _ = relay.audit("--file", str(good), "--head", f"{head['last']}:{head['hash']}", "verify")
    score.check("the good file against that head", code, 0)
    relay.start()
    score.check("the relay sees at its start that the file is an old one",
                wait_until(lambda: bool(relay.event("audit", what="changed")), 5))
    relay.deliver(BACK)
    code, out, _ = relay.audit("verify", "--json")
    score.check("what comes later does not hide it", (code, report.json_lines(out)[0]["broken"]), (1, 4))
    relay.stop()
    os.unlink(relay.file)
    relay.start()
    relay.deliver(BACK)
    score.check("a file that was removed: found", relay.audit("verify")[0], 1)
    relay.stop()


# -- other records, reading ------------------------------------------------------------------------------

def test_override(score):
    relay = Audited("audit-override", 2660).start()
    relay.queue("policy", "example.org", "may", "--for", "1h")
    relay.queue("policy", "example.org", "clear")
    found = wait_until(lambda: (r := relay.records("--type", "override")) and len(r) == 2 and r, 5) or []
    score.check("an override leaves a record", [(r["set"], r["pattern"], r["policy"]) for r in found],
                [(True, "example.org", "may"), (False, "example.org", None)])
    follower = subprocess.Popen(["danelaw", "-o", f"relay.store={relay.store}", "audit", "list", "-f", "--json"],
                                stdout=subprocess.PIPE, text=True)
    first = [follower.stdout.readline() for _ in range(2)]
    name = relay.send(f"x@{BACK}", b"Subject: audit\r\n\r\nx\r\n")
    score.check("list -f goes on", name in follower.stdout.readline() and len(first) == 2)
    follower.kill()
    relay.stop()
    off = Audited("audit-off", 2664, **{"audit.enabled": "no"}).start()
    off.send(f"x@{BACK}", b"Subject: audit\r\n\r\nx\r\n")
    wait_until(lambda: off.event("sent"), 10)
    off.stop()
    score.check("audit.enabled = no leaves nothing", (bool(off.event("sent")), off.file.exists()), (True, False))
    code, out, err = off.audit("list")
    score.check("no file: one line", (code, out, err.count("\n")), (66, "", 1))


def test_trouble(score):
    """A file that takes no records: mail goes on to a bound, nothing is lost, and later all is there."""
    relay = Audited("audit-trouble", 2670, **{"audit.outbox": 3, "audit.evidence": "no"})
    relay.file.write_text("this is no database, and long enough to be seen as something else\n" * 50)
    relay.start()
    score.check("the log says it", bool(relay.event("audit", what="open")))
    for n in range(6):
        relay.send(f"x@{BACK}", b"Subject: audit\r\n\r\nx\r\n")
        wait_until(lambda: len(relay.events("sent")) > n, 3 if n < 3 else 1)
    score.check("mail goes on to the bound", len(relay.events("sent")), 3)
    score.check("the log says that nothing more is started", bool(relay.event("audit", what="full")))
    score.check("what was taken waits", relay.totals().get("messages"), 3)
    relay.stop()
    relay.file.unlink()
    relay.start()
    score.check("afterwards the rest goes out", wait_until(relay.is_empty, 20))
    found = wait_until(lambda: len(relay.attempts()) == 6, 5)
    score.check("and each attempt has its record", found)
    score.check("in a chain that holds", relay.audit("verify")[0], 0)
    relay.stop()


def test_size(score):
    """Records and evidence that strangers cause do not fill the disk: the oldest go, and what is known of keys stays."""
    relay = Audited("audit-size", 2675, **{"audit.size-max": 1, "audit.evidence": "no"}).start()
    with relay.client() as client:
        for _ in range(16):
            give(client, f"a@{BACK}", f"x@{BACK}", b"Subject: audit\r\n\r\nx\r\n")
    wait_until(lambda: len(relay.attempts()) == 16, 10)
    known = relay.audit("peers", "--json")[1]
    score.check("below the limit nothing goes", (relay.records("--type", "checkpoint"), relay.events("audit", what="size")),
                ([], []))
    relay.stop()
    # What the signed zones of a stranger cost, in one piece.
    with_sql("INSERT INTO rrset VALUES (zeroblob(32), zeroblob(2000000))",
             "INSERT INTO evidence VALUES (zeroblob(32), 0, 0, 25, 'x', 'x', 'x', 2)",
             "INSERT INTO evidence_rrset VALUES (zeroblob(32), 0, zeroblob(32))")(relay.file)
    relay.start()
    cut = wait_until(lambda: relay.records("--type", "checkpoint"), 10)
    score.check("the oldest eighth is signed off", [r["upto"] for r in cut or []], [2])
    score.check("and gone", wait_until(lambda: relay.records()[0]["n"] == 3, 10))
    score.check("in one line of the log", len(relay.events("audit", what="size")), 1)
    size = wait_until(lambda: (n := used(relay.file)) < 1 << 20 and n, 10)
    score.check("its room is free", bool(size))
    now = report.json_lines(relay.audit("peers", "--json")[1])
    score.check("what is known stays known", [(k["first_seen"], k["continuity"]) for p in now for k in p["keys"]],
                [(k["first_seen"], k["continuity"]) for p in report.json_lines(known) for k in p["keys"]])
    score.check("in a chain that holds", relay.audit("verify")[0], 0)
    relay.stop()
    score.check("also without the relay", relay.audit("verify")[0], 0)


def used(path):
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        return db.execute("SELECT (page_count - freelist_count) * page_size "
                          "FROM pragma_page_count, pragma_freelist_count, pragma_page_size").fetchone()[0]


# -- kill -9 ---------------------------------------------------------------------------------------------

class Load:
    """Threads that hand in mail until enough was acknowledged."""

    def __init__(self, relay, threads=6):
        good = [d["name"] for d in report.load()["domains"]
                if d["expect"].get("verdict") == "protected" and d["send"].get("status") == "sent" and not d["rcpt"]
                and not d["slow"] and len(d["servers"]) == 1 and d["servers"][0]["engine"] == "postfix"
                and d["name"].isascii() and d["message"] == "plain"]
        self.relay, self.targets, self.taken = relay, good[:8] or [BACK], []
        self.threads = [threading.Thread(target=self.run, args=(n,)) for n in range(threads)]
        for t in self.threads:
            t.start()

    def run(self, number):
        client = None
        while len(self.taken) < MESSAGES:
            try:
                client = client or self.relay.client()
                to = self.targets[len(self.taken) % len(self.targets)]
                self.taken.append(give(client, f"t@{BACK}", f"x{number}@{to}", b"Subject: audit\r\n\r\nx\r\n"))
                time.sleep(0.15)
            except (OSError, smtplib.SMTPException, ValueError):
                if client:
                    client.close()
                client = None
                time.sleep(0.1)
        if client:
            client.close()

    def end(self):
        for t in self.threads:
            t.join()


def test_kill(score):
    relay = Audited("audit-kill", 2680, **{"queue.retry-first": 1, "queue.retry-max": 2}).start()
    load = Load(relay)
    dice = random.Random(7)
    killed = 0
    for _ in range(KILLS):
        time.sleep(dice.uniform(0.3, 2.0))
        for pid in relay.roles().get("keeper", [])[:1]:
            signal_quietly(pid, signal.SIGKILL)
            killed += 1
    load.end()
    score.check("keepers were killed", killed >= KILLS // 2)
    score.check("all mail went out", wait_until(relay.is_empty, 120, 0.5))
    relay.stop()
    sent, parts = collections.Counter(), collections.Counter()
    for r in relay.attempts():
        parts[r["queue_id"]] += 1
        if r["index"] + 1 == r["count"] and r["outcome"] == "ok":
            sent[r["queue_id"]] += 1
    ids = set(load.taken)
    score.check("enough was taken", len(ids) >= MESSAGES)
    score.check("each message was sent in one record", [n for n in ids if sent[n] != 1][:5], [])
    score.check("records that are about nothing", [n for n in sent if sent[n] > 1][:5], [])
    numbers = [r["n"] for r in relay.records()]
    score.check("numbers without a gap", numbers, list(range(1, len(numbers) + 1)))
    code, out, _ = relay.audit("verify")
    if not score.check("the chain holds", code, 0):
        print(out)


TESTS = {"continuity": test_continuity, "tampering": test_tampering, "columns": test_columns, "override": test_override,
         "trouble": test_trouble, "size": test_size, "kill": test_kill}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("pattern", nargs="*")
    args = parser.parse_args()
    score = Score(args.verbose)
    for name, test in TESTS.items():
        if not args.pattern or any(fnmatch.fnmatch(name, p) for p in args.pattern):
            test(score)
    shutil.rmtree(report.state() / "roll", ignore_errors=True)
    print(f"audit: {score.passed} passed, {score.failed} failed")
    return score.failed > 0


if __name__ == "__main__":
    sys.exit(main())
