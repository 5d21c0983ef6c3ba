#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A disk that somebody else fills to the last block, under load.

First there is ballast: what was acknowledged is delivered while the disk stays full, new mail is deferred.
Then there is none: nothing can be written; the operator is answered, nothing is started that could
not be recorded, nobody is started again and again.  When there is room everything goes on, and nothing is
lost and nothing arrives twice.

Run as: lab/lab run lab/full_test.py.  Needs root and loop devices.
"""

import os
import signal
import smtplib
import sys
import time

sys.dont_write_bytecode = True

import daemon       # noqa: E402
import load         # noqa: E402
from daemon import BACK, Relay, wait_until      # noqa: E402
from disk import CannotHave, Disk       # noqa: E402
from load import NEVER, letter          # noqa: E402

MESSAGES = 400
QUIET = 12                              # seconds that a relay which can do nothing is watched
STARTS = 4                              # processes that may end in that time


def answers(relay):
    """The operator: a list, and what became of one message."""
    began = time.monotonic()
    code, out, _ = relay.queue("list", f"next-hop={NEVER}")
    rows = relay.rows("list", f"next-hop={NEVER}")
    why = relay.queue("why", rows[0]["id"]) if rows else (1, "", "")
    ok = code == 0 and NEVER in out and why[0] == 0 and "451" in why[1] + why[2]
    return ok and time.monotonic() - began < 5


def code_of(relay):
    """What a client is told to its text."""
    try:
        relay.send(f"x@{NEVER}", letter("no-room", 100))
        return 250
    except smtplib.SMTPResponseException as e:
        return e.smtp_code
    except (OSError, smtplib.SMTPException):
        return 0


def ends(relay):
    return len(relay.events("process-ended"))


def goes_on(relay):
    try:
        one = relay.send(f"x@{BACK}", letter(f"room-{time.monotonic_ns()}", 100))
    except (OSError, smtplib.SMTPException):
        return False
    return wait_until(lambda: relay.event("sent", id=one), 10)


def said(relay, what):
    return len(relay.events("disk", what=what))


class Scene:
    def __init__(self, disk, name, port, **options):
        self.disk, self.wrong = disk, []
        self.relay = Relay(name, port, **{"queue.retry-first": 1, "queue.retry-max": 2,
                                          "relay.store": disk.folder / f"{name}.db",
                                          "audit.store": disk.folder / f"{name}-audit.db", **options}).start()
        self.relay.send(f"x@{NEVER}", letter(f"{name}-stays", 100))
        self.work = load.Load(self.relay, load.targets()).start()
        wait_until(lambda: len(self.work.taken) >= MESSAGES, 60, 0.1)

    def claim(self, text, ok, seen=""):
        if not ok:
            self.wrong.append(f"{self.relay.folder.name}: {text} {seen}".rstrip())

    def end(self):
        self.work.stop()
        left = load.settle(self.relay, self.work.domains)
        count = load.Count(self.relay, self.work, {row["id"] for row in left})
        print(f"{self.relay.folder.name}: {count.line()}; {ends(self.relay)} processes ended", flush=True)
        self.wrong += count.wrong() + load.sanitizers(self.relay)
        self.claim("something is left", not left, left[:1])
        self.claim("twice or doubted", count.extra + count.doubts == 0, count.line())
        self.claim("it did not end well", self.relay.stop() == 0)
        return self.wrong


def with_ballast(disk):
    s = Scene(disk, "full", 2870)
    relay = s.relay
    s.claim("no ballast at the start", said(relay, "ballast-made") == 1)
    room = disk.fill()
    s.claim("the ballast is kept", wait_until(lambda: said(relay, "ballast-given-up"), 20))
    s.claim("the operator is not answered", wait_until(lambda: answers(relay), 20, 0.3))
    s.claim("mail is taken on a full disk", wait_until(lambda: code_of(relay) == 452, 10, 0.3), code_of(relay))
    s.work.stop()
    left = load.settle(relay, s.work.domains, 60)
    s.claim("the queue does not drain", not left, len(left))
    s.claim("it ended again and again", ends(relay) <= STARTS, ends(relay))
    s.claim("the ballast is made while there is no room", said(relay, "ballast-made") == 1)
    room()
    s.claim("nothing goes on", wait_until(lambda: goes_on(relay), 40, 0.5))
    s.claim("no ballast again", wait_until(lambda: said(relay, "ballast-made") == 2, 20))
    return s.end()


def without(disk):
    """Whoever filled the disk takes the ballast's blocks too."""
    s = Scene(disk, "fuller", 2880)
    relay, rooms = s.relay, []
    for _ in range(12):
        rooms.append(disk.fill(f"filler-{len(rooms)}"))
        time.sleep(1)
    before = ends(relay)
    began = time.monotonic()
    s.claim("the operator is not answered", wait_until(lambda: answers(relay), 20, 0.3))
    s.claim("mail is taken on a full disk", wait_until(lambda: code_of(relay) == 452, 10, 0.3), code_of(relay))
    time.sleep(max(0, QUIET - (time.monotonic() - began)))
    s.claim("the operator is answered no more", answers(relay))
    s.claim("it ends again and again", ends(relay) - before <= STARTS, ends(relay) - before)
    # One that starts on such a disk can open nothing for writing: it looks.
    os.kill(relay.roles()["keeper"][0], signal.SIGKILL)
    before = ends(relay)
    s.claim("a new keeper does not answer the operator", wait_until(lambda: answers(relay), 20, 0.3))
    s.claim("mail is taken by a new keeper", wait_until(lambda: code_of(relay) == 452, 10, 0.3), code_of(relay))
    code, _, err = relay.queue("retry", f"next-hop={NEVER}")
    s.claim("a change that cannot be written is not refused", code != 0, err)
    time.sleep(QUIET)
    s.claim("a new keeper answers no more", answers(relay))
    s.claim("a new keeper ends again and again", ends(relay) - before <= 2, ends(relay) - before)
    s.claim("it looks", bool(relay.events("store-open", looking="yes")))
    before = ends(relay)
    for room in rooms:
        room()
    s.claim("nothing goes on", wait_until(lambda: goes_on(relay), 60, 0.5))
    s.claim("a storm of starts when there is room", ends(relay) - before <= 1, ends(relay) - before)
    s.claim("no ballast again", wait_until(lambda: said(relay, "ballast-made") >= 2, 20))
    return s.end()


def main():
    try:
        disk = Disk("ext4")
    except CannotHave as e:
        print(f"SKIP {e}\n0 passed, 0 failed")
        return 0
    wrong = []
    try:
        for part in (with_ballast, without):
            wrong += part(disk)
    finally:
        disk.remove()
    for text in wrong:
        print(f"FAIL {text}")
    print(f"{0 if wrong else 2} passed, {len(wrong)} failed", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
