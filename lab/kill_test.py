#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What a death costs: one process after another is killed under load, and what arrives twice is counted for
each kind of death.

A keeper that dies costs nothing: couriers go on and tell its successor.  A courier takes its sessions along:
those whose final dot was out, and no reply recorded, are doubted and may arrive twice.  The end of everything at
once costs as much.  A parent that dies alone costs nearly nothing: couriers hear what is on its way, and the keeper
takes it, before they end.  Nothing is lost, and nothing is doubted silently.

Run as: lab/lab run lab/kill_test.py [--kills N] [KIND...].
"""

import argparse
import os
import random
import signal
import sys
import time

sys.dont_write_bytecode = True

import daemon       # noqa: E402
import load         # noqa: E402
from daemon import Relay, wait_until    # noqa: E402

KILLS = 20
KINDS = ("keeper", "courier", "resolver", "parent", "all")
MESSAGES_A_KILL = 40
FREE = ("keeper", "resolver")           # these cost nothing
SPARED = {"parent": 0.5}                # a kill: children hear the replies that are on their way, for two seconds
MOST = 12                               # a kill of the others: what is between dot and reply with this load


def kill(relay, kind):
    if kind in ("parent", "all"):
        pids = [relay.process.pid, *relay.children()]
        if kind == "all":
            relay.kill()
        else:
            os.kill(relay.process.pid, signal.SIGKILL)
            relay.process.wait()
        if kind == "all" and not wait_until(lambda: not any(daemon.is_alive(pid) for pid in pids), 10, 0.01):
            raise RuntimeError("a process outlives the end of all")
        relay.start()
        return
    pid = random.choice(wait_until(lambda: relay.roles().get(kind), 10))
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: pid not in relay.roles().get(kind, [pid]), 5, 0.01)


def seen_twice(mine):
    return sum(n - 1 for m, n in load.arrivals().items() if m.startswith(mine) and n > 1)


def run(kind, kills, port):
    """(complaints, duplicates a kill)"""
    relay = Relay(f"kill-{kind}", port, **{"queue.retry-first": 1, "queue.retry-max": 2}).start()
    work = load.Load(relay, load.targets()).start()
    done = 0
    for n in range(kills):
        before = len(work.taken)
        # Kills fall at any moment of a busy time: no message is being sent only when something stands still.
        wait_until(lambda b=before: len(work.taken) >= b + MESSAGES_A_KILL, 20, 0.01)
        time.sleep(random.uniform(0, 0.2))
        kill(relay, kind)
        done += 1
    work.stop()
    left = load.settle(relay, work.domains)
    count = load.Count(relay, work, {row["id"] for row in left})
    adopted = sum(int(e.get("adopted", 0)) for e in load.all_events(relay) if e.get("event") == "recovered")
    restarts = sum(1 for e in load.all_events(relay) if e.get("event") == "process-ended")
    print(f"{kind}: {done} kills -9; {count.line()}; {adopted} adopted; {count.extra / done:.2f} twice a kill", flush=True)
    wrong = count.wrong() + load.sanitizers(relay) + ([f"not delivered: {left[0]}"] if left else [])
    if kind in FREE and count.extra + count.doubts:
        wrong.append(f"{count.extra} twice, {count.doubts} doubts; this death costs none")
    if kind in ("keeper", "parent") and count.unsaid > SPARED.get(kind, 0) * done:
        wrong.append(f"{count.unsaid} were committed, and their clients told to send them again")
    if kind == "keeper" and not adopted:
        wrong.append("no keeper has found anything under way: nothing was tested")
    if kind in FREE and restarts != done:
        wrong.append(f"{restarts} processes ended by {done} kills")
    if count.extra > SPARED.get(kind, MOST) * done:
        wrong.append(f"{count.extra} twice by {done} kills")
    if relay.stop() != 0:
        wrong.append("it did not end well")
    return [f"{kind}: {text}" for text in wrong]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--seed", type=int, default=random.randrange(1000000))
    parser.add_argument("kinds", nargs="*", default=[])
    args = parser.parse_args()
    random.seed(args.seed)
    wrong = []
    kinds = args.kinds or KINDS
    for n, kind in enumerate(kinds):
        wrong += run(kind, args.kills, 2830 + 3 * n)
    for text in wrong:
        print(f"FAIL {text}")
    print(f"{len(kinds) - len({w.split(':')[0] for w in wrong})} passed, {len(wrong)} failed; seed {args.seed}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
