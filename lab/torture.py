#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The relay under load while its processes are killed, one at a time and all at once: what was
acknowledged arrives, and arrives twice only where the final reply was on its way.

Run as: lab/lab run lab/torture.py [--short].  The receiving side is the lab's Postfix; each message
has a Message-ID of its own, and what is in the maildirs at the end is counted.
"""

import argparse
import collections
import os
import pathlib
import random
import re
import signal
import smtplib
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True

import daemon       # noqa: E402
import report       # noqa: E402
from daemon import Relay, give, wait_until    # noqa: E402

GROWTH_MIB = 8                          # between half way and the end, without kills
TARGETS = 12                            # domains that take everything
HANGS, NEVER = "stall-mail.test", "mail-451.test"
ID = re.compile(rb"^Message-ID: <(torture-\d+)@", re.M | re.I)
ROLES = ("intake", "keeper", "courier", "resolver")


def targets():
    """Domains whose one server (Postfix or its stand-in) is authenticated and takes everything."""
    good = [d["name"] for d in report.load()["domains"]
            if d["expect"].get("verdict") == "protected" and d["send"].get("status") == "sent" and not d["rcpt"]
            and not d["slow"] and len(d["servers"]) == 1 and (
                d["servers"][0]["engine"] == "postfix" or d["servers"][0]["fault"] == "accept")
            and d["name"].isascii() and d["message"] == "plain"]
    return good[:TARGETS]


def letter(number, size):
    body = "x" * 70 + "\r\n"
    return (f"From: <t@{daemon.BACK}>\r\nTo: <x@lab.test>\r\nSubject: torture\r\n"
            f"Message-ID: <torture-{number}@client.lab.test>\r\n\r\n" + body * (size // 72 + 1))


# -- load ----------------------------------------------------------------------------------------------

class Load:
    """Threads that send until so many messages were acknowledged."""

    def __init__(self, relay, wanted, seconds, threads=8):
        self.relay, self.wanted, self.pause = relay, wanted, seconds * threads / wanted
        self.lock = threading.Lock()
        self.last, self.taken, self.refused = 0, {}, 0      # taken: {message: (domain, queue id)}
        self.domains = targets()
        self.threads = [threading.Thread(target=self.run) for _ in range(threads)]

    def start(self):
        for t in self.threads:
            t.start()
        return self

    def next(self):
        """The number of a new message; None: enough."""
        with self.lock:
            if len(self.taken) >= self.wanted:
                return None
            self.last += 1
            return self.last

    def run(self):
        client = None
        while (number := self.next()) is not None:
            domain = self.domains[number % len(self.domains)]
            size = 100000 if number % 50 == 0 else 3000
            began = time.monotonic()
            try:
                client = client or self.relay.client()
                got = give(client, f"t@{daemon.BACK}", f"x{number % 7}@{domain}", letter(number, size))
                with self.lock:
                    self.taken[f"torture-{number}"] = (domain, got)
            except (OSError, smtplib.SMTPException, ValueError):
                # Not acknowledged: it may arrive or not, and is sent again under another number.
                self.refused += 1
                if client:
                    client.close()
                client = None
                time.sleep(0.1)
            time.sleep(max(0, self.pause - (time.monotonic() - began)))
        if client:
            client.close()

    def is_over(self):
        return not any(t.is_alive() for t in self.threads)


def kill_one(relay, kind):
    """SIGKILL for one process, or for all of them and a new start; or what an operator does."""
    if kind == "reload":
        relay.process.send_signal(signal.SIGHUP)
        return True
    if kind == "restart":
        if relay.stop(70) != 0:
            raise RuntimeError("SIGTERM did not end it well")
        relay.start()
        return True
    if kind == "all":
        pids = relay.children()
        relay.kill()
        wait_until(lambda: not any(daemon.is_alive(pid) for pid in pids), 5, 0.01)
        relay.start()
        return True
    if kind == "parent":
        pids = relay.children()
        os.kill(relay.process.pid, signal.SIGKILL)
        relay.process.wait()
        if not wait_until(lambda: not any(daemon.is_alive(pid) for pid in pids), 10, 0.01):
            raise RuntimeError("children outlive the parent")
        relay.start()
        return True
    pids = relay.roles().get(kind, [])
    if pids:
        daemon.signal_quietly(random.choice(pids), signal.SIGKILL)
    return bool(pids)


# -- counting --------------------------------------------------------------------------------------------

def arrivals():
    """How often each message is in the maildirs."""
    count = collections.Counter()
    for path in [*report.state().glob("mail/*/new/*"), *report.state().glob("taken/*/*.eml")]:
        with open(path, "rb") as f:
            found = ID.search(f.read(4096))
        if found:
            count[found.group(1).decode()] += 1
    return count


def all_events(relay):
    for path in relay.folder.glob("log.*"):
        for line in path.read_text(errors="replace").splitlines():
            yield daemon.fields_of(line)


def doubts(relay):
    """How many deliveries the relay itself calls possibly delivered."""
    n = 0
    for e in all_events(relay):
        if e.get("event") == "recovered":
            n += int(e["possibly-delivered"])
        elif e.get("event") == "deferred" and e.get("reason") == "lost-after-data":
            n += 1
    return n


def memory(relay):
    return {role: max(daemon.memory_kib(pid) for pid in pids) // 1024 for role, pids in relay.roles().items()}


# -- what is tried -----------------------------------------------------------------------------------------

def order_of(kills, gentle):
    """What is done, in a random order: every role, everything, the operator's signals."""
    rota = ("reload", "restart") if gentle else (*ROLES, "all", "parent", *ROLES, "reload", "restart")
    kinds = [rota[i % len(rota)] for i in range(kills)]
    random.shuffle(kinds)
    return kinds


def torture(wanted, kills, seconds, seed, gentle):
    random.seed(seed)
    relay = Relay("torture", 2800, **{"queue.retry-first": 1, "queue.retry-max": 2}).start()
    with relay.client() as c:
        for n in range(20):
            give(c, f"t@{daemon.BACK}", f"x@{HANGS if n % 2 else NEVER}", letter(f"9{n:09}", 100))
    load, done = Load(relay, wanted, seconds).start(), collections.Counter()
    for kind in order_of(kills, gentle):
        time.sleep(seconds / kills * random.uniform(0.5, 1.2))
        done[kind] += kill_one(relay, kind)
    wait_until(lambda: len(load.taken) >= wanted // 2, seconds, 0.2)
    half = memory(relay)
    wait_until(load.is_over, 60 + seconds, 0.2)
    end = memory(relay)
    left = settle(relay, load)
    time.sleep(1)
    count = arrivals()
    lost = [m for m, (_, got) in load.taken.items() if not count[m] and got not in left]
    twice = {m: n for m, n in count.items() if n > 1}
    extra, doubt = sum(twice.values()) - len(twice), doubts(relay)
    print(f"{len(load.taken)} acknowledged, {load.refused} not, {sum(done.values())} kills "
          f"({', '.join(f'{k} {n}' for k, n in sorted(done.items()))}), seed {seed}")
    print(f"{len(lost)} lost, {extra} delivered twice, {doubt} known as possibly delivered, "
          f"{len(left)} still in the queue")
    print(f"memory, MiB: half way {half}, at the end {end}")
    wrong = [f"lost: {lost[:5]}"] if lost else []
    wrong += [f"more delivered twice than known: {extra} > {doubt}"] if extra > doubt else []
    wrong += [f"not delivered in time: {sorted(left)[:5]}"] if left else []
    wrong += [] if load.is_over() and len(load.taken) >= wanted else [f"only {len(load.taken)} acknowledged"]
    if gentle and doubt + extra + len(lost):
        wrong.append("an operator's signals lose nothing and leave no doubt")
    wrong += [f"{role} grows: {half[role]} to {end[role]} MiB" for role in half
              if not kills and end.get(role, 0) > half[role] + GROWTH_MIB]
    wrong += rest(relay)
    if relay.stop(70) != 0:
        wrong.append("it did not end well")
    return wrong


def settle(relay, load):
    """Waits until everything for the good domains is out; the queue ids that are not."""
    good = set(load.domains)
    state = {}

    def look():
        state["left"] = {row["id"] for row in relay.rows("list", "limit=20000") if row["next_hop"] in good}
        return not state["left"]
    wait_until(look, 60, 0.5)
    return state["left"]


def rest(relay):
    """No descriptor of a message is left, no process spins, nobody is a zombie."""
    wrong = []
    relay.queue("delete", f"next-hop={HANGS}")
    relay.queue("delete", f"next-hop={NEVER}")
    wait_until(lambda: relay.totals().get("active") == 0, 15, 0.3)
    for row in (HANGS, NEVER):
        relay.queue("delete", f"next-hop={row}")
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


def disk_full():
    """A small disk: the relay says 452, keeps what it has, and goes on when there is room."""
    folder = pathlib.Path(report.state()) / "relay" / "small"
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=140m", "lab", str(folder)], check=True)
    relay = Relay("full", 2810, **{"queue.retry-first": 3600, "relay.store": folder / "queue.db"}).start()
    taken, code = [], 0
    try:
        for n in range(200):
            taken.append(relay.send(f"x@{NEVER}", letter(f"8{n:09}", 1000000)))
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
        again = relay.send(f"x@{daemon.BACK}", letter("7000000001", 1000000))
        if not wait_until(lambda: relay.event("sent", id=again), 15):
            wrong.append("a full disk: nothing is delivered afterwards")
    except (OSError, smtplib.SMTPException) as e:
        wrong.append(f"a full disk: nothing is taken afterwards: {e!r}")
    print(f"full disk: {len(taken)} messages of 1 MB taken, then {code}; {len(kept)} kept")
    relay.stop()
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="500 messages and 12 kills instead of 10,000 and 60")
    parser.add_argument("--gentle", action="store_true", help="SIGHUP and SIGTERM instead of kills")
    parser.add_argument("--messages", type=int)
    parser.add_argument("--kills", type=int)
    parser.add_argument("--seed", type=int, default=random.randrange(1000000))
    args = parser.parse_args()
    wanted = args.messages or (500 if args.short else 10000)
    kills = args.kills if args.kills is not None else 12 if args.short else 60
    wrong = torture(wanted, kills, 18 if args.short else 180, args.seed, args.gentle) + disk_full()
    for text in wrong:
        print(f"FAIL {text}")
    print(f"{0 if wrong else 1} passed, {len(wrong)} failed", flush=True)
    return 1 if wrong else 0


sys.exit(main())
