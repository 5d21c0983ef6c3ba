#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The relay as a whole against hostile clients, MX hosts, DNS and operators, with processes killed and configurations
reloaded meanwhile.  After each round the queue is compared with a model:

 - what a client was told is queued is in the queue, or a host has it, or its sender got a notice; recipient by recipient;
 - a delivery that is not done has a next event: it waits for a time, or a living courier has it, or it is held;
 - no sanitizer speaks, and no process ends that nobody ended.

At last everybody behaves well, and the queue must become empty.

Run as: lab/lab run test/live/fuzz_relay.py [--seconds N] [--seed N].  DANELAW chooses the program (build-asan/danelaw).
"""

import argparse
import os
import pathlib
import random
import signal
import sqlite3
import ssl
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "lab"))

import certs        # noqa: E402
import daemon       # noqa: E402
import hostile      # noqa: E402
import load         # noqa: E402
import report       # noqa: E402
from daemon import BACK, Relay, wait_until      # noqa: E402
from hostile import HONEST, HOSTS, MARK, ZONE   # noqa: E402

NAME, PASSWORD = "ada", "correct horse battery"
ROUND = 7.0                             # seconds of trouble between two looks
CLIENTS, OPERATORS = 6, 2
DRAIN = 60.0                            # seconds, at most, until everything has arrived at last
WAITING, HELD, ACTIVE = 0, 1, 2         # src/store/store.h
WRONG = ["ee-mismatch.test", "rcpt-550.test", "mail-451.test"]   # of the lab: other keys than its records say, and who refuses


class World:
    """Who is there, what was promised and what arrived."""

    def __init__(self, seed, folder):
        self.seed, self.healed, self.lock, self.marks = seed, False, threading.Lock(), 0
        self.promised = {}              # queue id: (mark, recipients)
        self.arrived = set()            # (mark, recipient)
        self.told = set()               # (mark, recipient): in a notice that has arrived
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(folder / "cert.pem")
        self.client_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.client_tls.check_hostname, self.client_tls.verify_mode = False, ssl.CERT_NONE
        self.names = hostile.Names(self)
        self.hosts = [hostile.Host(self, n) for n in (*range(1, HOSTS + 1), HONEST)]

    def new_mark(self):
        with self.lock:
            self.marks += 1
            return f"{self.seed}-{self.marks}"

    @staticmethod
    def some_domain(dice):
        return dice.choice([f"h{dice.randrange(1, HOSTS + 1)}.{ZONE}"] * 6 + [f"s.{ZONE}", BACK, f"none.{ZONE}", dice.choice(WRONG)])

    def forget(self, domains):
        """Mail for these is given up by an operator."""
        with self.lock:
            for one, (mark, rcpts) in self.promised.items():
                self.promised[one] = (mark, [a for a in rcpts if a.rpartition("@")[2] not in domains])

    def accepted(self, queue_id, mark, to):
        with self.lock:
            self.promised[queue_id] = (mark, [a.lower() for a in to])

    def took(self, rcpt, text):
        with self.lock:
            if b"multipart/report" in text:
                self.told |= notice(text)
            elif found := MARK.search(text):
                self.arrived.add((found.group(1).decode(), rcpt.lower()))

    def at_back(self):
        """What the lab's own server of BACK has."""
        for path in [*report.state().glob("mail/*/new/*"), *report.state().glob("taken/*/*.eml")]:
            if found := MARK.search(path.read_bytes()[:16384].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")):
                yield found.group(1).decode()


def notice(text):
    """{(mark, recipient)} of the recipients that a notification says have failed."""
    found = MARK.search(text)
    plain = text.replace(b"\r\n ", b" ").decode("latin-1").lower()
    failed, out = "", set()
    for line in plain.split("\r\n"):
        if line.startswith("final-recipient:"):
            failed = line.partition(";")[2].strip()
        if line.startswith("action: failed") and found:
            out.add((found.group(1).decode(), failed))
    return out


# -- the model -----------------------------------------------------------------------------------------------

def copy_store(relay):
    """The store and its log as they are at one moment: the keeper, who lets nobody else open them, stands still for it."""
    keepers = relay.roles().get("keeper", [])
    copy = relay.folder / "copy.db"
    for pid in keepers:
        daemon.signal_quietly(pid, signal.SIGSTOP)
    try:
        for end in ("", "-wal"):
            source, target = relay.store.with_name(relay.store.name + end), copy.with_name(copy.name + end)
            target.write_bytes(source.read_bytes() if source.exists() else b"")
        copy.with_name(copy.name + "-shm").unlink(missing_ok=True)
    finally:
        for pid in keepers:
            daemon.signal_quietly(pid, signal.SIGCONT)
    return copy


def snapshot(relay):
    """(pending {(queue id, recipient)}, told {(mark, recipient)} by notices that wait, deliveries) of one moment."""
    with sqlite3.connect(copy_store(relay)) as db:
        pending = {(one, to.lower()) for one, to in db.execute(
            "SELECT m.queue_id, r.address FROM recipient r JOIN delivery d ON d.id = r.delivery JOIN message m ON m.id = d.message "
            "WHERE r.state = 0")}
        told = set()
        for (message,) in db.execute("SELECT id FROM message WHERE origin = 'notification'").fetchall():
            parts = db.execute("SELECT part FROM body WHERE id BETWEEN ? AND ? ORDER BY id", (message * 4096, message * 4096 + 4095))
            told |= notice(b"".join(part for (part,) in parts))
        deliveries = db.execute(
            "SELECT m.queue_id, d.id, d.state, d.due, d.alarm, d.expires, d.pending, t.next_due, t.waiting, t.active FROM delivery d "
            "JOIN message m ON m.id = d.message JOIN destination t ON t.id = d.destination WHERE d.state <> 3").fetchall()
    db.close()
    return pending, told, deliveries


def lost(world, relay):
    """Recipients that were promised and are nowhere."""
    with world.lock:
        promised = dict(world.promised)
    pending, waits, _ = snapshot(relay)
    with world.lock:                    # later than the snapshot: what left the queue before it is here
        arrived, told = set(world.arrived), waits | world.told
    back = set(world.at_back())
    return [(one, mark, to) for one, (mark, rcpts) in promised.items() for to in rcpts
            if (one, to) not in pending and (mark, to) not in arrived and (mark, to) not in told
            and not (to.endswith("@" + BACK) and mark in back)]


def without_event(relay):
    """Deliveries that are not done and for which nothing will ever happen."""
    out = []
    couriers = len(relay.roles().get("courier", []))
    for one, number, state, due, alarm, expires, pending, next_due, waiting, active in snapshot(relay)[2]:
        if pending <= 0:
            out.append(f"{one}/{number}: nobody is pending")
        if state == WAITING and (next_due is None or next_due > due or alarm is None or alarm > expires or waiting < 1):
            out.append(f"{one}/{number}: waits for no time: due {due}, its destination {next_due}, alarm {alarm}")
        if state == ACTIVE and (couriers == 0 or active < 1):
            out.append(f"{one}/{number}: active, and nobody has it")
    return out


def ended_alone(relay, killed):
    """Processes that ended though nobody asked them to. Those that a reload sends away end with 0."""
    return [e for e in load.all_events(relay) if e.get("event") == "process-ended" and int(e["pid"]) not in killed
            and e.get("how") != "exit 0"]


def look(world, relay, killed):
    """What is wrong now; what may be on its way gets a moment."""
    wait_until(lambda: relay.totals(), 20, 0.2)
    wait_until(lambda: not lost(world, relay), 3, 0.3)
    wait_until(lambda: not without_event(relay), 15, 0.5)
    wrong = [f"lost: {x}" for x in lost(world, relay)[:5]]
    wrong += [f"no next event: {x}" for x in without_event(relay)[:5]]
    wrong += [f"ended by itself: {e}" for e in ended_alone(relay, killed)[:5]]
    wrong += [f"sanitizer: {x}" for x in load.sanitizers(relay)[:5]]
    if not relay.totals():
        wrong.append("the keeper does not answer")
    return wrong


# -- the trouble ---------------------------------------------------------------------------------------------

def forever(call, end, dice, *words):
    while time.monotonic() < end:
        call(*words[:1], dice, *words[1:]) if call is hostile.Client.once else call(dice, *words)


def make_trouble(relay, dice, killed):
    """One signal of an operator, or of the system."""
    kind = dice.choice(("reload", "intake", "courier", "keeper", "resolver", "all", "none"))
    if kind == "reload":
        relay.process.send_signal(signal.SIGHUP)
    elif kind == "all":
        relay.kill()
        wait_until(lambda: not relay.roles(), 10, 0.05)
        relay.start()
    elif kind != "none":
        pids = wait_until(lambda: relay.roles().get(kind), 5)
        if pids:
            killed.add(pids[0])
            daemon.signal_quietly(pids[0], signal.SIGKILL)
    return kind


def one_round(world, relay, number, killed):
    end = time.monotonic() + ROUND
    threads = [threading.Thread(target=forever, args=(hostile.Client.once, end, random.Random(f"{world.seed}/client/{number}/{n}"), world,
                                                      relay)) for n in range(CLIENTS)]
    threads += [threading.Thread(target=forever, args=(hostile.operator, end, random.Random(f"{world.seed}/operator/{number}/{n}"),
                                                       relay.control)) for n in range(OPERATORS)]
    for t in threads:
        t.start()
    dice, done = random.Random(f"{world.seed}/trouble/{number}"), []
    while (left := end - time.monotonic()) > 1:
        time.sleep(min(left, dice.uniform(0.5, 3)))
        done.append(make_trouble(relay, dice, killed))
    for t in threads:
        t.join(60)
    return done


def drain(world, relay):
    """Everybody behaves, and all that is left arrives."""
    world.healed = True
    end = time.monotonic() + DRAIN

    world.forget(WRONG)

    def empty():
        for domain in WRONG:
            relay.queue("delete", f"next-hop={domain}")
        relay.queue("retry", "state=waiting")
        return relay.is_empty()
    wait_until(empty, end - time.monotonic(), 1)
    return [f"does not become empty: {row}" for row in relay.rows("list")[:5]]


def material():
    folder = report.state() / "relay"
    folder.mkdir(exist_ok=True)
    maker = certs.Certs()
    maker.add_ca({"name": "relay"})
    maker.make({"ca": "relay", "key": "ec", "names": ["client.lab.test"]}, "client.lab.test").write(folder / "cert.pem")
    users = folder / "users"
    users.unlink(missing_ok=True)
    report.run(["passwd", str(users), NAME], PASSWORD.encode() + b"\n")
    return folder


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="of trouble, in rounds (default 60)")
    parser.add_argument("--seed", type=int, default=random.randrange(1000000))
    args = parser.parse_args()
    began = time.monotonic()
    print(f"fuzz-relay: seed {args.seed}", flush=True)
    folder = material()
    world, killed, wrong = World(args.seed, folder), set(), []
    relay = Relay("fuzz", 3100, **{
        "relay.certificate": folder / "cert.pem", "relay.users": folder / "users", "relay.submission": "127.0.0.1:3101",
        "dns.stub": "", "dns.forward": f"{hostile.NAMES}@53", "queue.retry-first": 1, "queue.retry-max": 2, "audit.store": report.state() / "relay" / "fuzz" / "audit.db",
        "relay.intakes": 1, "relay.couriers": 2}).start()
    number = 0
    while not wrong and time.monotonic() - began < args.seconds:
        done = one_round(world, relay, number, killed)
        wrong = look(world, relay, killed)
        print(f"round {number}: {len(world.promised)} promised, {len(world.arrived)} arrived, {len(world.told)} told; {' '.join(done)}",
              flush=True)
        number += 1
    wrong += drain(world, relay) if not wrong else []
    wrong += look(world, relay, killed) if not wrong else []
    if not world.promised or not world.arrived:
        wrong.append("nothing was tried: no message came through")
    code = relay.stop(70)
    wrong += [] if code == 0 else [f"does not end well: {code}"]
    wrong += [f"sanitizer: {x}" for x in load.sanitizers(relay)[:5]]
    for text in wrong:
        print(f"FAIL {text}")
    print(f"{number} rounds, {len(world.promised)} promised, {len(killed)} killed; seed {args.seed}")
    print(f"{0 if wrong else 1} passed, {len(wrong)} failed", flush=True)
    sys.stdout.flush()
    os._exit(1 if wrong else 0)         # threads of hosts wait for clients that are gone


main()
