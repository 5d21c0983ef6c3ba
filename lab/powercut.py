#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Power cuts: the relay's store is on a disk of its own, whose power fails again and again under load.

Run as: lab/lab run lab/powercut.py [--short].  A cut is the file system's own shutdown, without a flush
of its log: from then on nothing more reaches the disk, and whatever was in memory alone (dirty pages,
the journal's tail) is gone at the next mount, as after the loss of power.  The other modes of that call
write the journal out first, which is what a power failure does not do.  Nothing acknowledged may be
missing afterwards.

The same is done with a relay whose fsync does nothing (libeatmydata): that one must lose mail, or this
test could not see a loss.  What it cannot show: a disk that lies about its own cache.
"""

import argparse
import pathlib
import random
import sys
import time

sys.dont_write_bytecode = True

import daemon       # noqa: E402
import load         # noqa: E402
from daemon import Relay, wait_until    # noqa: E402
from disk import CannotHave, Disk, KINDS      # noqa: E402

NO_SYNC = "libeatmydata.so"
PORT = 2830


def no_sync_library():
    """Where libeatmydata is; None: not installed."""
    found = sorted(pathlib.Path("/usr/lib").glob(f"*/{NO_SYNC}"))
    return found[0] if found else None


def cut(relay, disk):
    """Power off.  A power failure ends disk and processors at once.  Where the file system keeps its word
    to whoever still runs (`honest`), half of the cuts end the disk a moment before the processes: what a
    relay does with a dead disk must not be an acknowledgement."""
    pids = [relay.process.pid, *relay.children()]
    disk_first = disk.honest and random.random() < 0.5
    if disk_first:
        disk.cut()
        time.sleep(random.choice([0, 0, 0.1]))
        relay.kill()
    else:
        relay.kill()
        disk.cut()
    if not wait_until(lambda: not any(daemon.is_alive(pid) for pid in pids), 10, 0.01):
        raise RuntimeError("a process outlives kill -9")
    disk.unmount()
    disk.mount()


def queued(relay):
    return {row["id"] for row in relay.rows("list", "limit=100000")}


def cuts(kind, number, prefix=()):
    """So many cuts under load; the count at the end, and what is wrong beside it."""
    disk = Disk(kind)
    relay = Relay(f"power-{kind}", PORT, prefix=prefix,
                  **{"relay.store": disk.folder / "queue.db", "queue.retry-first": 60}).start()
    good = load.targets()
    clients = load.Load(relay, [d for one in good for d in (one, load.NEVER)]).start()
    wrong = []
    try:
        for _ in range(number):
            time.sleep(random.uniform(0.3, 1.5))
            cut(relay, disk)
            relay.start()
    except RuntimeError as e:           # with a damaged store it does not start
        wrong.append(str(e).strip().splitlines()[-1][:300])
    clients.stop()
    if not wrong:
        for domain in good:
            relay.queue("retry", f"next-hop={domain}")
        left = load.settle(relay, good, 30)
        wrong += [f"not delivered in time: {left[0]}"] if left else []
    count = load.Count(relay, clients, set() if wrong else queued(relay))
    if relay.process.poll() is None and relay.stop(70) != 0:
        wrong.append("it did not end well")
    disk.remove()
    return count, wrong


def with_sync(kind, number):
    """Nothing may be missing."""
    count, wrong = cuts(kind, number)
    print(f"{kind}, {number} cuts: {count.line()}", flush=True)
    wrong += count.wrong()
    if not count.acknowledged or not count.queued:
        wrong.append("no load")
    return [f"{kind}: {text}" for text in wrong]


def without_sync(kind, number):
    """The counter-test: something must be missing, or the cuts cut nothing."""
    library = no_sync_library()
    if not library:
        print(f"SKIP {kind} without fsync: {NO_SYNC} is not installed (package eatmydata)")
        return []
    count, wrong = cuts(kind, number, load.preloading(library))
    print(f"{kind}, the same without fsync: {count.line()}{'; ' + wrong[0] if wrong else ''}", flush=True)
    return [] if count.lost else [f"{kind}: without fsync nothing is lost: the cuts cut nothing"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="4 cuts on each file system instead of 40")
    parser.add_argument("--cuts", type=int)
    parser.add_argument("--seed", type=int, default=random.randrange(1000000))
    parser.add_argument("--kind", choices=KINDS, action="append")
    args = parser.parse_args()
    random.seed(args.seed)
    number = args.cuts or (4 if args.short else 40)
    print(f"power cuts, seed {args.seed}", flush=True)
    wrong, passed = [], 0
    for kind in args.kind or KINDS:
        try:
            for part, n in ((with_sync, number), (without_sync, 2)):
                found = part(kind, n)
                wrong += found
                passed += not found
        except CannotHave as e:
            print(f"SKIP power cuts on {e}")
    for text in wrong:
        print(f"FAIL {text}")
    print(f"{passed} passed, {len(wrong)} failed", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
