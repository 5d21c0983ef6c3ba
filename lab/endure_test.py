#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What the relay survives: processes that hang, channels that break, texts that cannot be read, operators who do
not read.

Run as: lab/lab run lab/endure_test.py [PATTERN...].  A test is one claim; PATTERN picks tests by name.
"""

import argparse
import ctypes
import fnmatch
import os
import signal
import smtplib
import socket
import sqlite3
import sys
import time

sys.dont_write_bytecode = True

import daemon       # noqa: E402
import report       # noqa: E402
from daemon import BACK, Relay, Score, wait_until    # noqa: E402

LIMIT = 5                               # the shortest relay.hang-limit
PIDFD_OPEN, PIDFD_GETFD = 434, 438


def letter(word, body="hello"):
    return f"From: <a@{BACK}>\r\nTo: <b>\r\nSubject: {word}\r\n\r\n{body}\r\n"


def arrived(word, seconds=15):
    def look():
        paths = [*report.state().glob("mail/*/new/*"), *report.state().glob("taken/*/*.eml")]
        return [p for p in paths if word.encode() in p.read_bytes()]
    return wait_until(look, seconds, 0.1) or []


def sends(relay, word, seconds=15):
    """Mail with this word goes in and arrives, sooner or later."""
    def go():
        try:
            return relay.send(f"x@{BACK}", letter(word))
        except (OSError, smtplib.SMTPException):
            return None
    return bool(wait_until(go, seconds, 0.3) and arrived(word))


# -- hanging -------------------------------------------------------------------------------------------

def test_hang(score):
    """A process that is stopped and does not die."""
    relay = Relay("hang", 2800, **{"relay.hang-limit": LIMIT, "relay.intakes": 1, "relay.couriers": 1}).start()
    for role in ("keeper", "courier", "intake", "resolver"):
        pid = relay.roles()[role][0]
        os.kill(pid, signal.SIGSTOP)
        said = wait_until(lambda p=pid: relay.event("process-hangs", pid=str(p)), 4 * LIMIT, 0.2)
        back = wait_until(lambda r=role, p=pid: relay.roles().get(r, [p])[0] != p, 10)
        score.add(f"hang: the {role} is replaced", [] if said and back else [said, relay.roles()])
        if said:
            wrong = said["role"] != role or int(said["silent-for"]) < LIMIT or said["limit"] != str(LIMIT)
            score.add(f"hang: why the {role} is replaced", [said] if wrong else [])
        score.add(f"hang: mail goes on after the {role}", [] if sends(relay, f"hang-{role}") else ["no arrival"])
    seen = len(relay.events("process-hangs"))
    for role, pids in relay.roles().items():
        os.kill(pids[0], signal.SIGSTOP)
    time.sleep(LIMIT / 2)
    for role, pids in relay.roles().items():
        os.kill(pids[0], signal.SIGCONT)
    score.add("hang: who is only slow is not killed", [] if sends(relay, "hang-slow") else ["no arrival"])
    os.kill(relay.process.pid, signal.SIGSTOP)
    time.sleep(2 * LIMIT)
    os.kill(relay.process.pid, signal.SIGCONT)
    time.sleep(LIMIT)
    score.add("hang: a parent that slept blames nobody",
              [] if len(relay.events("process-hangs")) == seen else relay.events("process-hangs"))
    score.add("hang: ends well", [] if relay.stop() == 0 else ["no"])


def test_watchdog(score):
    """What the service manager hears."""
    folder = report.state() / "relay"
    folder.mkdir(exist_ok=True)
    path = folder / "notify"
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(10)
        os.environ.update(NOTIFY_SOCKET=str(path), WATCHDOG_USEC="1000000")
        try:
            relay = Relay("watchdog", 2805, **{"relay.hang-limit": LIMIT}).start()
        finally:
            del os.environ["NOTIFY_SOCKET"], os.environ["WATCHDOG_USEC"]
        heard = [manager.recv(100).decode() for _ in range(4)]
        score.add("watchdog: ready, then alive", [] if heard == ["READY=1"] + 3 * ["WATCHDOG=1"] else heard)
        os.kill(relay.process.pid, signal.SIGSTOP)
        manager.settimeout(3)
        try:
            late = [manager.recv(100) for _ in range(3)]
            score.add("watchdog: silent when the parent hangs", late)
        except TimeoutError:
            score.add("watchdog: silent when the parent hangs", [])
        os.kill(relay.process.pid, signal.SIGCONT)
        manager.settimeout(10)
        score.add("watchdog: and again", [] if manager.recv(100) == b"WATCHDOG=1" else ["no"])
        relay.stop()


# -- channels --------------------------------------------------------------------------------------------

def shut_down(pid, number):
    """shutdown(2) on a socket of another process."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = libc.syscall(PIDFD_OPEN, pid, 0)
    fd = libc.syscall(PIDFD_GETFD, pidfd, number, 0)
    if fd < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    socket.socket(fileno=fd).shutdown(socket.SHUT_RDWR)
    os.close(pidfd)


def channels(pid):
    """Numbers of the Unix stream sockets of a child."""
    unix = {line.split()[6] for line in open(f"/proc/{pid}/net/unix").read().splitlines()[1:] if line.split()[4] == "0001"}
    out = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{name}")
        except FileNotFoundError:       # closed meanwhile
            continue
        if target.startswith("socket:[") and target[8:-1] in unix:
            out.append(int(name))
    return set(out)


def test_channels(score):
    """An intake and the keeper lose each other, and both live."""
    relay = Relay("channels", 2810, **{"relay.intakes": 1, "relay.couriers": 1}).start()
    before = relay.roles()
    intake = before["intake"][0]
    parent = max(channels(intake))      # it was born with that one; later ones fill gaps
    if not sends(relay, "channel-before"):
        score.add("channels: at all", ["no arrival"])
    for n in range(3):
        shut_down(intake, (channels(intake) - {parent}).pop())
        score.add(f"channels: mail again after break {n}", [] if sends(relay, f"channel-{n}-") else ["no arrival"])
    score.add("channels: nobody died", [] if relay.roles() == before else [before, relay.roles()])
    score.add("channels: it was said", [] if len(relay.events("reconnected", role="intake")) == 3 else
              [relay.events("reconnected")])
    score.add("channels: ends well", [] if relay.stop() == 0 else ["no"])


# -- the store -------------------------------------------------------------------------------------------

def test_damage(score):
    """Texts that are not all there keep back their own message and no other."""
    relay = Relay("damage", 2815, **{"queue.retry-first": 3600}).start()
    small = relay.send("x@mail-451.test", letter("damage-small"))
    big = relay.send("x@mail-451.test", letter("damage-big", "0123456789\r\n" * 60000))
    sound = relay.send("x@mail-451.test", letter("damage-sound"))
    wait_until(lambda: relay.event("deferred", id=sound))
    relay.stop(70)
    with sqlite3.connect(relay.store) as db:
        ids = dict(db.execute("SELECT queue_id, id FROM message"))
        db.execute("DELETE FROM body WHERE id = ?", (ids[small] * 4096,))
        db.execute("DELETE FROM body WHERE id = ?", (ids[big] * 4096 + 1,))
    db.close()
    relay.start()
    keeper = relay.roles()["keeper"]
    relay.queue("retry", "next-hop=mail-451.test")
    held = wait_until(lambda: {r["id"] for r in relay.rows("list", "state=held")} == {small, big}, 15)
    score.add("damage: held", [] if held else relay.rows("list"))
    score.add("damage: loudly", [] if {e["id"] for e in relay.events("held")} == {small, big} else relay.events("held"))
    why = relay.queue("why", big)
    score.add("damage: why says so", [] if "held" in why[1] and "incomplete" in why[1] and "bounce" in why[1] else [why])
    score.add("damage: the sound one is tried", [] if wait_until(lambda: relay.event("deferred", id=sound), 20) else
              relay.rows("list"))
    score.add("damage: others come and go", [] if sends(relay, "damage-other") else ["no arrival"])
    relay.queue("bounce", f"id={big}")
    got = wait_until(lambda: relay.event("notification", status="ok"), 10)
    score.add("damage: bounce tells the sender", [] if got and arrived("damage-big") else [got])
    relay.queue("delete", f"id={small}")
    score.add("damage: delete", [] if wait_until(lambda: [r["id"] for r in relay.rows("list")] == [sound], 10) else
              relay.rows("list"))
    score.add("damage: the keeper lives", [] if relay.roles()["keeper"] == keeper else [relay.roles()])
    relay.stop(70)
    # Behind the first page, which holds nothing but the schema's root.
    with open(relay.store, "r+b") as f:
        for page in range(1, os.path.getsize(relay.store) // 4096):
            f.seek(page * 4096)
            f.write(b"damage" * 100)
    relay.launch()
    code = relay.process.wait(20)
    score.add("damage: a database that is broken is not used", [] if code != 0 and "corrupt" in relay.log_text() else
              [code, relay.log_text()[-500:]])


# -- the control socket ------------------------------------------------------------------------------------

MANY = 20000
LATER = 4102444800000                   # due in 2100


def fill(store, n):
    """So many messages in a queue that nobody has open."""
    with sqlite3.connect(store) as db:
        db.execute("INSERT INTO destination (name) VALUES ('mail-451.test')")
        there = db.execute("SELECT id FROM destination WHERE name = 'mail-451.test'").fetchone()[0]
        for i in range(1, n + 1):
            db.execute("INSERT INTO message (id, queue_id, arrived, expires, reverse_path, origin, size, eight_bit, smtputf8, "
                       "pending) VALUES (?, ?, 1, ?, '', 'test', 1, 0, 0, 1)", (i, f"{i:016x}", LATER))
            db.execute("INSERT INTO body VALUES (?, x'78')", (i * 4096,))
            db.execute("INSERT INTO delivery (id, message, destination, sender, due, arrived, expires, pending) "
                       "VALUES (?, ?, ?, 0, ?, 1, ?, 1)",
                       (i, i, there, LATER, LATER))
            db.execute("INSERT INTO recipient (delivery, n, address) VALUES (?, 0, 'x@mail-451.test')", (i,))
        db.execute("UPDATE destination SET waiting = ?, next_due = ? WHERE id = ?", (n, LATER, there))
        db.execute("UPDATE totals SET messages = ?1, bytes = ?1, waiting = ?1, recipients = ?1, last_message = ?1, "
                   "last_delivery = ?1", (n,))
    db.close()


def operator(relay, line):
    """A connection to the control socket that has said this line."""
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(60)
    s.connect(str(relay.control))
    s.sendall(line.replace(" ", "\t").encode() + b"\n")
    return s


def last_line(s):
    text = b""
    while piece := s.recv(1 << 20):
        text = (text + piece)[-4096:]
    return text.splitlines()[-1] if text else b""


def test_control(score):
    """Long answers, large changes, operators who do not read and operators who hang up."""
    relay = Relay("control", 2820).start()
    relay.stop()
    fill(relay.store, MANY)
    relay.start()
    keeper = relay.roles()["keeper"][0]
    rows = relay.rows("list", "limit=1000000")
    score.add("control: a long list", [] if len({r["id"] for r in rows}) == MANY else [len(rows)])
    score.add("control: a limit", [] if [len(relay.rows("list", f"limit={n}")) for n in (0, 1, 200, 201)] ==
              [0, 1, 200, 201] else ["another number"])
    before = daemon.memory_kib(keeper)
    stalled = [operator(relay, "list limit=1000000") for _ in range(20)]
    score.add("control: mail goes on while nobody reads", [] if sends(relay, "control-stalled") else ["no arrival"])
    score.add("control: others are answered", [] if len(relay.rows("list")) == 1000 else ["no"])
    grown = daemon.memory_kib(keeper) - before
    score.add("control: who does not read costs a page", [] if grown < 20 * 1024 else [f"{grown} KiB"])
    score.add("control: who reads late gets all", [] if b'"ok":true' in last_line(stalled[0]) else ["no"])
    for s in stalled[:10]:
        s.close()
    got = relay.queue("hold", "next-hop=mail-451.test", "limit=250")
    score.add("control: a change with a limit", [] if got[1] == "hold: 250\n" else [got])
    with operator(relay, "hold state=waiting") as s:
        arrives = sends(relay, "control-during")
        said = last_line(s)
    relay.kill()                        # what was called "ok" is on the disk
    score.add("control: a large change", [] if b'{"ok":true,"count":%d}' % (MANY - 250) == said else [said])
    score.add("control: mail goes on meanwhile", [] if arrives else ["no arrival"])
    relay.start()
    held = relay.totals().get("held")
    score.add("control: ok comes after the commit", [] if held == MANY else [held])
    for _ in range(5):                  # unless it was done before we could hang up
        with operator(relay, "release state=held"):
            wait_until(lambda: relay.totals().get("held") < MANY, 10, 0)
        time.sleep(1)
        held = relay.totals().get("held")
        if held:
            break
        relay.queue("hold", "state=waiting")
    score.add("control: a client that hangs up stops its command", [] if 0 < held < MANY else [held])
    score.add("control: no bare delete", [] if relay.queue("delete")[0] == 75 else [relay.queue("delete")])
    test_policies(score, relay)
    keeper = relay.roles()["keeper"][0]
    with operator(relay, "list limit=1000000") as s:
        gone = wait_until(lambda: len(relay.rows("list", "limit=1")) == 1 and is_over(s), 45, 1)
        score.add("control: who never reads is sent away", [] if gone else ["still there"])
    score.add("control: the keeper lives", [] if relay.roles()["keeper"] == [keeper] else [relay.roles()])
    score.add("control: ends well", [] if relay.stop() == 0 else ["no"])


def is_over(s):
    """The other end is closed, whatever is still to be read here."""
    try:
        s.send(b"x")
        return False
    except (BrokenPipeError, ConnectionResetError):
        return True


def test_policies(score, relay):
    for n in range(450):
        with operator(relay, f"policy d{n:03}.test may 60") as s:
            if b'"ok":true' not in last_line(s):
                score.add("control: policies", ["refused"])
                return
    rules = relay.rows("policies")
    score.add("control: all policies", [] if len({r["pattern"] for r in rules}) == 450 else [len(rules)])
    got = relay.queue("policy", "nobody.test", "clear")
    score.add("control: no such policy", [] if got[0] == 69 else [got])


TESTS = {"hang": test_hang, "watchdog": test_watchdog, "channels": test_channels, "damage": test_damage,
         "control": test_control}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pattern", nargs="*", help=f"of {', '.join(TESTS)}")
    parser.add_argument("-v", "--verbose", action="store_true", help="also say what passed")
    args = parser.parse_args()
    chosen = [n for n in TESTS if not args.pattern or any(fnmatch.fnmatchcase(n, p) for p in args.pattern)]
    score, began = Score(args.verbose), time.monotonic()
    for name in chosen:
        try:
            TESTS[name](score)
        except Exception as e:      # one broken test must not hide the others
            score.add(name, [f"broke off: {e!r}"])
    print(f"{len(chosen)} groups in {time.monotonic() - began:.0f} s", file=sys.stderr)
    print(f"{score.passed} passed, {score.failed} failed", flush=True)
    return 1 if score.failed or not score.passed else 0


sys.exit(main())
