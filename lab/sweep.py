#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Each system call that the keeper makes for one message fails in turn, or is its last.

Run as: lab/lab run lab/sweep.py [--short].  The order is random; after nine minutes the rest is left out,
and the last line says how much that was; --seed repeats.  strace follows a keeper in its sandbox while one message goes
through: first to count the calls, then once for each call and fault.  Then the keeper is killed, and its
successor must know the truth:

- the client read 250: the message was delivered, or is in the queue;
- it did not: the message is nowhere; or it is there whole, and only if the keeper's commit ended in an
  error (STORE_IO), or the keeper or its answer was lost: a message more, never a message less;
- twice delivered is only what the relay calls possibly delivered;
- at the end the store is sound, and every text in it is as long as its envelope says.
"""

import argparse
import collections
import random
import re
import shutil
import signal
import smtplib
import sqlite3
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True

import daemon       # noqa: E402
import load         # noqa: E402
from daemon import Relay, give, wait_until    # noqa: E402

DISK = ("pwrite64", "fdatasync", "fsync", "ftruncate", "pread64", "statfs")
OTHER = ("sendmsg", "recvmsg", "write", "memfd_create")
# The filter of the keeper would kill it for strace's own way to skip a call (number -1): getpid instead.
FAULTS = {"EIO": "error=EIO:syscall=getpid", "ENOSPC": "error=ENOSPC:syscall=getpid", "KILL": "signal=KILL"}
LIVES = {"delivered": (daemon.BACK, 3000), "deferred": (load.NEVER, 3000), "large": (daemon.BACK, 400000)}
PORT = 2850
SHORT = 5                               # runs of each life in the short form
LIMIT = 540                             # seconds for the long form


class Life:
    """One relay, and messages that go through it one by one."""

    def __init__(self, name, port):
        self.name = name
        self.domain, self.size = LIVES[name]
        self.relay = Relay(f"sweep-{name}", port, **{"relay.intakes": 1, "relay.couriers": 1,
                                                     "queue.retry-first": 60}).start()
        self.number, self.struck, self.wrong, self.more = 0, 0, [], 0
        self.seen = collections.Counter()

    def keeper(self):
        """The keeper's pid, once it answers."""
        if not wait_until(lambda: self.relay.queue("stats")[0] == 0, 20, 0.02):
            raise RuntimeError("the keeper does not come back")
        return self.relay.roles()["keeper"][-1]

    def through(self):
        """One message; (its name, the queue id or None)."""
        self.number += 1
        name = f"sweep-{self.name}-{self.number}"
        got = None
        try:
            with self.relay.client() as c:
                got = give(c, f"{name}@{daemon.BACK}", f"x@{self.domain}", load.letter(name, self.size))
        except (OSError, smtplib.SMTPException, ValueError):
            pass
        return name, got

    def is_through(self, got):
        word = "deferred" if self.name == "deferred" else "sent"
        return self.relay.event(word, id=got) or self.relay.event("deferred", id=got)

    def traced(self, pid, options):
        """A message goes through while strace follows the keeper: (name, queue id, trace)."""
        trace = self.relay.folder / "trace"
        tracer = subprocess.Popen(["strace", "-f", "-p", str(pid), "-o", str(trace), "-s", "0", *options],
                                  stderr=subprocess.PIPE)
        tracer.stderr.readline()        # attached
        name, got = self.through()
        if got:
            wait_until(lambda: self.is_through(got) or not daemon.is_alive(pid), 5, 0.01)
        if tracer.poll() is None:
            tracer.send_signal(signal.SIGINT)
        tracer.wait()
        tracer.stderr.close()
        return name, got, trace.read_text(errors="replace")

    def calls(self):
        """{system call: how often}, of a message that is not the first."""
        self.through()
        self.through()
        _, got, trace = self.traced(self.keeper(), ["-e", f"trace={','.join(DISK + OTHER)}"])
        if not got:
            raise RuntimeError("no message goes through under strace")
        return collections.Counter(re.findall(r"^\d+ +(\w+)\(", trace, re.M))

    def strike(self, call, number, fault):
        """One run; what is wrong goes to self.wrong."""
        pid, log = self.keeper(), len(self.relay.log_text())
        name, got, trace = self.traced(pid, ["-e", f"trace={call}", "-e", f"inject={call}:{FAULTS[fault]}:when={number}"])
        hit = "INJECTED" in trace or (fault == "KILL" and not daemon.is_alive(pid))
        if "SIGSYS" in trace:
            self.wrong.append(f"{self.name}: {call} {number} {fault}: the sandbox ended it, not the fault")
        self.struck += hit
        self.seen[f"{call} {fault}"] += hit
        daemon.signal_quietly(pid, signal.SIGKILL)
        wait_until(lambda: not daemon.is_alive(pid), 5, 0.01)
        self.keeper()
        said = [daemon.fields_of(line) for line in self.relay.log_text()[log:].splitlines()]
        text = f"{self.name}: {call} {number} {fault}"
        if got:
            self.acknowledged(name, got, text)
        else:
            self.not_acknowledged(name, said, hit and (fault == "KILL" or call in OTHER), text)

    def rows(self, name):
        return self.relay.rows("list", f"sender={name}@{daemon.BACK}")

    def arrived(self, name):
        return load.arrivals()[f"load-{name}"]

    def acknowledged(self, name, got, text):
        if self.rows(name) or self.arrived(name):
            return
        if not wait_until(lambda: self.arrived(name), 5):       # taken by Postfix, not in the maildir yet
            self.wrong.append(f"{text}: LOST, was {got}")

    def not_acknowledged(self, name, said, excused, text):
        if not self.rows(name) and not self.arrived(name):
            return
        self.more += 1
        commit = any(e.get("event") == "store" and e.get("what") == "commit" and e.get("status") == "io" for e in said)
        if not commit and not excused:
            self.wrong.append(f"{text}: kept although the client was told 4xx")

    def end(self):
        known = load.doubts(self.relay)
        twice = [m for m, n in load.arrivals().items() if m.startswith(f"load-sweep-{self.name}-") and n > 1]
        if len(twice) > sum(known.values()):
            self.wrong.append(f"{self.name}: {len(twice)} delivered twice, {sum(known.values())} possibly delivered")
        if self.relay.stop(70) != 0:
            self.wrong.append(f"{self.name}: it did not end well")
        with sqlite3.connect(self.relay.store) as db:
            sound = db.execute("PRAGMA integrity_check").fetchone()[0]
            half = db.execute("SELECT queue_id FROM message WHERE size <> (SELECT ifnull(sum(length(part)), 0) FROM body "
                              "WHERE body.id BETWEEN message.id * 4096 AND message.id * 4096 + 4095)").fetchall()
        if sound != "ok" or half:
            self.wrong.append(f"{self.name}: the store is {sound}, half there: {half}")


def plan(calls, short):
    """[(call, number, fault)]: all, in a random order; or a few of each kind."""
    out = [(call, n, fault) for call, count in calls.items() for n in range(1, count + 1) for fault in FAULTS
           if call in DISK or fault != "ENOSPC"]
    random.shuffle(out)
    if not short:
        return out
    syncs = [x for x in out if x[0] == "fdatasync"]
    rest = [x for x in out if x[0] != "fdatasync"]
    return random.sample(syncs, min(SHORT // 2, len(syncs))) + random.sample(rest, SHORT - SHORT // 2)


def sweep(life, short):
    began, runs = time.monotonic(), 0
    try:
        calls = life.calls()
        runs_planned = plan(calls, short)
        for call, number, fault in runs_planned:
            life.strike(call, number, fault)
            runs += 1
            if runs % 100 == 0:
                print(f"{time.monotonic() - began:4.0f} s: {life.name}: {runs} of {len(runs_planned)}", flush=True)
            if time.monotonic() - began > LIMIT:
                break
        life.end()
        print(f"{life.name}: {' '.join(f'{c} {n}' for c, n in sorted(calls.items()))}; {runs} of {len(runs_planned)} "
              f"runs in {time.monotonic() - began:.0f} s, {life.struck} faults struck, "
              f"{life.more} kept without an acknowledgement", flush=True)
        if not life.struck:
            life.wrong.append(f"{life.name}: no fault struck")
    except (RuntimeError, OSError, KeyError, IndexError) as e:
        life.wrong.append(f"{life.name}: broke off: {e!r}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help=f"{SHORT} faults for each life instead of all")
    parser.add_argument("--seed", type=int, default=random.randrange(1000000))
    parser.add_argument("--life", choices=list(LIVES), action="append")
    args = parser.parse_args()
    if not shutil.which("strace"):
        print("SKIP the sweep: strace is not installed\n0 passed, 0 failed")
        return 0
    random.seed(args.seed)
    print(f"sweep, seed {args.seed}", flush=True)
    lives = [Life(name, PORT + 3 * n) for n, name in enumerate(args.life or LIVES)]
    threads = [threading.Thread(target=sweep, args=(life, args.short)) for life in lives]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    wrong = [text for life in lives for text in life.wrong]
    for text in wrong:
        print(f"FAIL {text}")
    print(f"{sum(not life.wrong for life in lives)} passed, {len(wrong)} failed", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
