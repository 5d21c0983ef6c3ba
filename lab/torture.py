#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The relay under load while everything around it breaks: its processes are killed, one at a time and all
at once, its disk fills up and fails, its resolver hangs, MX hosts hang, its clock jumps.  What was
acknowledged arrives, and arrives twice only where the final reply was on its way: each of these is one
that the relay itself has logged as possibly delivered.

Run as: lab/lab run lab/torture.py [--short].  The receiving side is the lab's Postfix and its stand-ins;
each message has a Message-ID of its own, and what is in the maildirs at the end is counted.
"""

import argparse
import collections
import errno
import os
import pathlib
import random
import signal
import smtplib
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True

import daemon       # noqa: E402
import load         # noqa: E402
import report       # noqa: E402
from daemon import Relay, give, wait_until    # noqa: E402
from disk import CannotHave, Disk       # noqa: E402
from load import NEVER, letter          # noqa: E402

GROWTH_MIB = 8                          # between half way and the end, without kills
HANGS, SILENT = "stall-mail.test", "stall-dot.test"     # before the text, after it
ASIDE = 4                               # messages for each of those that never take one
REFUSED = "refused.test"                # its port is closed
ROLES = ("intake", "keeper", "courier", "resolver")
KILLS = (*ROLES, "parent", "all")
SIGNALS = ("reload", "restart")         # an operator's
FAULTS = ("disk full", "sync error", "resolver hangs", "clock forward", "clock back")
LIMIT = 600                             # seconds that the whole run may take
ROOM = 150                              # of these, for what comes after the load
PROGRESS = 30
LONG = 5                                # seconds: what took longer is told, because the load has a pause there


class World:
    """The relay, its disk and its page."""

    def __init__(self, name, port, **options):
        self.page, self.disk = load.Page(name), None
        try:
            self.disk = Disk("ext4")
            options["relay.store"] = self.disk.folder / "queue.db"
        except CannotHave as e:
            print(f"SKIP disk full under load: {e}")
        self.relay = Relay(name, port, prefix=self.page.prefix(), **options).start()

    def remove(self):
        if self.disk:
            self.disk.remove()


# -- what is done to it ------------------------------------------------------------------------------------

def kill(relay, kind):
    """SIGKILL for one process, or for all of them and a new start."""
    pids = [relay.process.pid, *relay.children()]
    if kind in ROLES:
        mine = wait_until(lambda: relay.roles().get(kind), 5)      # it may be dead already
        if mine:
            daemon.signal_quietly(random.choice(mine), signal.SIGKILL)
        return bool(mine)
    if kind == "all":
        relay.kill()
    else:
        os.kill(relay.process.pid, signal.SIGKILL)
        relay.process.wait()
    if not wait_until(lambda: not any(daemon.is_alive(pid) for pid in pids), 10, 0.01):
        raise RuntimeError(f"a process outlives the end of {kind}")
    relay.start()
    return True


def operate(relay, kind):
    """What an operator does. A restart waits for sessions whose host hangs, as a service manager would: until the timeout of
    the lab ends them, some seconds, and at most a minute. Nothing is taken or delivered then."""
    if kind == "reload":
        relay.process.send_signal(signal.SIGHUP)
        return True
    if relay.stop(70) != 0:
        raise RuntimeError("SIGTERM did not end it well")
    relay.start()
    return True


def fault(world, kind):
    """Something around it breaks, and is whole again a moment later."""
    moment = random.uniform(0.5, 2)
    if kind == "disk full":
        if not world.disk:
            return False
        give_back = world.disk.fill()
        time.sleep(moment)
        give_back()
    elif kind == "sync error":
        world.page.fail_sync(random.choice((errno.EIO, errno.ENOSPC)), random.randint(1, 3))
        wait_until(lambda: not world.page.pending(), 5)
        world.page.fail_sync(0, 0)
    elif kind == "resolver hangs":
        pids = world.relay.roles().get("resolver", [])
        for number, pause in ((signal.SIGSTOP, moment), (signal.SIGCONT, 0)):
            for pid in pids:
                daemon.signal_quietly(pid, number)
            time.sleep(pause)
    else:
        hours = random.uniform(0.5, 3) * (1 if kind == "clock forward" else -1)
        world.page.clock(int(hours * 3600))
        time.sleep(moment)
        world.page.clock(0)
    return True


def do(world, kind):
    if kind in KILLS:
        return kill(world.relay, kind)
    return operate(world.relay, kind) if kind in SIGNALS else fault(world, kind)


def order_of(number, gentle):
    """What is done, in a random order: every kind of end equally often, each fault a sixth as often."""
    if gentle:
        kinds = [SIGNALS[i % len(SIGNALS)] for i in range(number)]
    else:
        each = -(-number // len(KILLS)) if number else 0
        kinds = [*KILLS] * each
        for kind in (*SIGNALS, *FAULTS) if number else ():
            kinds += [kind] * max(1, each // 6)
    random.shuffle(kinds)
    return kinds


def memory(relay):
    return {role: max(daemon.memory_kib(pid) for pid in pids) // 1024 for role, pids in relay.roles().items()}


# -- the run ---------------------------------------------------------------------------------------------

class Run:
    """Load and trouble at the same time, until both are over or the time is."""

    def __init__(self, args, wanted, kills, seconds):
        self.began, self.seconds, self.done = time.monotonic(), seconds, collections.Counter()
        self.wanted, self.args, self.kinds = wanted, args, order_of(kills, args.gentle)
        self.world = World("torture", 2800, **{"queue.retry-first": 1, "queue.retry-max": 2})
        self.load, self.said, self.half = None, 0, {}

    def left(self):
        return LIMIT - ROOM - (time.monotonic() - self.began)

    def progress(self):
        now = int(time.monotonic() - self.began)
        if now >= self.said + PROGRESS:
            self.said = now
            print(f"{now:4} s: {len(self.load.taken)} acknowledged, {self.load.refused} not, "
                  f"{sum(self.done.values())} times trouble", flush=True)

    def go(self):
        relay = self.world.relay
        with relay.client() as c:
            for n in range(ASIDE):
                for domain in (HANGS, NEVER, SILENT):
                    give(c, f"t@{daemon.BACK}", f"x@{domain}", letter(f"aside-{n}", 100))
        self.load = load.Load(relay, [*load.targets(), load.REFUSES], self.wanted, self.seconds).start()
        for kind in self.kinds:
            time.sleep(self.seconds / len(self.kinds) * random.uniform(0, 1.4))
            began = time.monotonic()
            self.done[kind] += do(self.world, kind)
            if time.monotonic() - began > LONG:
                print(f"{began - self.began:4.0f} s: {kind} took {time.monotonic() - began:.1f} s", flush=True)
            self.progress()
            if self.left() < 0:
                break
        wait_until(lambda: len(self.load.taken) >= self.wanted // 2, max(1, self.left()), 0.2)
        self.half = memory(relay)
        while not self.load.is_over() and self.left() > 0:
            time.sleep(0.2)
            self.progress()
        self.load.stop()
        return self

    def judge(self):
        relay = self.world.relay
        end = memory(relay)
        wrong = silent_ones(relay) if not self.args.gentle else []
        left = load.settle(relay, [*self.load.domains, daemon.BACK])
        count = load.Count(relay, self.load, {row["id"] for row in left})
        print(f"{count.line()}; seed {self.args.seed}, {time.monotonic() - self.began:.0f} s")
        print(f"{sum(self.done[k] for k in KILLS)} kills -9; all: "
              f"{', '.join(f'{k} {n}' for k, n in sorted(self.done.items()))}")
        print(f"memory, MiB: half way {self.half}, at the end {end}")
        wrong += count.wrong() + bounces(relay) + load.sanitizers(relay)
        wrong += [f"not delivered in time: {left[0]}"] if left else []
        if count.acknowledged < self.wanted:
            wrong.append(f"only {count.acknowledged} acknowledged in the time that there is")
        wanted = collections.Counter(self.kinds)
        if not self.world.disk:
            del wanted["disk full"]
        wrong += [f"{kind}: {self.done[kind]} times instead of {n}" for kind, n in wanted.items() if self.done[kind] < n]
        if self.args.gentle and count.doubts + count.extra:
            wrong.append("an operator's signals leave no doubt")
        wrong += [f"{role} grows: {self.half[role]} to {end[role]} MiB" for role in self.half
                  if not self.kinds and end.get(role, 0) > self.half[role] + GROWTH_MIB]
        wrong += rest(relay)
        if relay.stop(70) != 0:
            wrong.append("it did not end well")
        self.world.remove()
        return wrong


def silent_ones(relay):
    """The host that never answers the final dot has had each message: `queue why` says so."""
    state = {}

    def look():
        state["rows"] = relay.rows("list", f"next-hop={SILENT}")
        unsure = [row for row in state["rows"] if not row["possibly_delivered"]]
        if unsure:
            relay.queue("retry", f"next-hop={SILENT}")
        return state["rows"] and not unsure
    wait_until(look, 60, 1)
    ids = [row["id"] for row in state["rows"]]
    sure = [one for one in ids if "POSSIBLY DELIVERED" in relay.queue("why", one)[1]]
    ok = len(ids) == ASIDE and sure == ids
    return [] if ok else [f"{SILENT}: {len(ids)} of {ASIDE} in the queue, `queue why` doubts {len(sure)} of them"]


def bounces(relay):
    """Nothing that was done here is a reason to give up on a message."""
    ended = [e for e in load.all_events(relay)
             if e.get("event") == "expired" or (e.get("event") == "failed" and e.get("host") != f"mx.{load.REFUSES}")]
    return [f"bounced: {ended[0]}"] if ended else []


def rest(relay):
    """No descriptor of a message is left, no process spins, nobody is a zombie."""
    wrong = []

    def clear():
        for domain in (HANGS, NEVER, SILENT):
            relay.queue("delete", f"next-hop={domain}")
        return relay.totals().get("active") == 0
    wait_until(clear, 25, 0.3)
    clear()
    time.sleep(1)
    pids = [relay.process.pid, *(pid for some in relay.roles().values() for pid in some)]
    spent = {pid: daemon.cpu_seconds(pid) for pid in pids}
    time.sleep(2)
    for pid in pids:
        if daemon.cpu_seconds(pid) - spent[pid] > 0.1:
            wrong.append(f"{pid} spins: {daemon.cpu_seconds(pid) - spent[pid]:.2f} s in 2 s")
        files = daemon.open_files(pid)
        if any("danelaw-message" in f for f in files) or len(files) > 40:
            wrong.append(f"{pid} holds {len(files)} descriptors")
    zombies = [pid for pid in relay.children() if not daemon.is_alive(pid)]
    return wrong + ([f"zombies: {zombies}"] if zombies else [])


def clock_jumps():
    """What is deferred under a wrong clock is tried again when it is right, at the same pace; and no step
    of the clock ends the lifetime of a message."""
    page = load.Page("clock")
    relay = Relay("clock", 2820, prefix=page.prefix(), **{"queue.retry-first": 1, "queue.retry-max": 2}).start()
    ids = [relay.send(f"x@{domain}", letter(f"clock-{n}", 100))
           for n, domain in enumerate((NEVER, REFUSED, NEVER, REFUSED))]

    def tries():
        return {one: len(relay.events("deferred", id=one)) for one in ids}

    def goes_on():
        before = tries()
        return wait_until(lambda: all(n > before[one] for one, n in tries().items()), 15, 0.2)
    wrong = [] if goes_on() else ["the clock: no second try"]
    for hours in (3, 0, -3, 0, 6 * 24, 0):
        page.clock(hours * 3600)
        wrong += [] if goes_on() else [f"the clock, set to {hours} hours from now: nothing is tried again"]
    moved = len(relay.events("clock-moved"))
    print(f"the clock moved {moved} times; tries: {sorted(tries().values())}")
    wrong += [] if moved == 6 else [f"the clock: {moved} of 6 steps were noticed"]
    wrong += [f"the clock: {text}" for text in bounces(relay) + load.sanitizers(relay)]
    kept = {row["id"] for row in relay.rows("list")}
    wrong += [] if kept == set(ids) else [f"the clock: {len(kept)} of {len(ids)} are in the queue"]
    relay.stop()
    return wrong


def disk_full():
    """A small disk: the relay says 452, keeps what it has, and goes on when there is room."""
    folder = pathlib.Path(report.state()) / "relay" / "small"
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=140m", "lab", str(folder)], check=True)
    relay = Relay("full", 2810, **{"queue.retry-first": 3600, "relay.store": folder / "queue.db"}).start()
    taken, code = [], 0
    try:
        for n in range(200):
            taken.append(relay.send(f"x@{NEVER}", letter(f"full-{n}", 1000000)))
    except smtplib.SMTPResponseException as e:
        code = e.smtp_code
    wait_until(lambda: relay.totals().get("active") == 0, 30, 0.3)
    kept = {row["id"] for row in relay.rows("list")}
    wrong = [] if code == 452 else [f"a full disk: {len(taken)} taken, then {code}"]
    wrong += [] if kept == set(taken) else [f"a full disk: {len(taken)} taken, {len(kept)} kept"]
    wrong += ["a full disk: the keeper ended"] if relay.events("process-ended") else []
    relay.queue("delete", f"next-hop={NEVER}")
    try:
        wait_until(relay.is_empty, 10)
        again = relay.send(f"x@{daemon.BACK}", letter("full-after", 1000000))
        if not wait_until(lambda: relay.event("sent", id=again), 15):
            wrong.append("a full disk: nothing is delivered afterwards")
    except (OSError, smtplib.SMTPException) as e:
        wrong.append(f"a full disk: nothing is taken afterwards: {e!r}")
    print(f"full disk: {len(taken)} messages of 1 MB taken, then {code}; {len(kept)} kept")
    relay.stop()
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="500 messages and 12 kills instead of 10,000 and 300")
    parser.add_argument("--gentle", action="store_true", help="SIGHUP and SIGTERM instead of kills and faults")
    parser.add_argument("--only", choices=["clock", "full"], help="just this part")
    parser.add_argument("--messages", type=int)
    parser.add_argument("--kills", type=int)
    parser.add_argument("--seed", type=int, default=random.randrange(1000000))
    args = parser.parse_args()
    wanted = args.messages or (500 if args.short else 10000)
    kills = args.kills if args.kills is not None else 12 if args.short else 50 * len(KILLS)
    random.seed(args.seed)
    parts = {"clock": clock_jumps, "full": disk_full}
    with ThreadPoolExecutor(len(parts)) as pool:
        beside = [pool.submit(part) for name, part in parts.items() if args.only in (None, name)]
        wrong = []
        if not args.only:
            print(f"torture: {wanted} messages, {kills} kills, seed {args.seed}", flush=True)
            wrong += Run(args, wanted, kills, 15 if args.short else 240).go().judge()
        wrong += [text for done in beside for text in done.result()]
    for text in wrong:
        print(f"FAIL {text}")
    print(f"{0 if wrong else 1} passed, {len(wrong)} failed", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
