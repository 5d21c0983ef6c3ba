# SPDX-License-Identifier: MIT
"""What the tests of the relay's promise share: numbered mail that several clients send at once, what
became of each message, and the count at the end.

A message is *acknowledged* when the client read the 250 to its text.  An acknowledged message is lost
when no server took it and the queue does not have it.  Knows the relay's log and command line, and
where the lab's servers put mail.
"""

import collections
import mmap
import os
import pathlib
import re
import smtplib
import struct
import threading
import time

import daemon
import report
from daemon import give, wait_until

TARGETS = 12                            # domains that take everything
NEVER = "mail-451.test"                 # defers every message, at once
REFUSES = "rcpt-550.test"               # refuses every recipient: the sender must be told
ID = re.compile(rb"^Message-ID: <(load-\S+)@", re.M | re.I)
NOTICE = b"Content-Type: multipart/report"


def targets():
    """Domains whose one server (Postfix or its stand-in) is authenticated and takes everything."""
    good = [d["name"] for d in report.load()["domains"]
            if d["expect"].get("verdict") == "protected" and d["send"].get("status") == "sent" and not d["rcpt"]
            and not d["slow"] and len(d["servers"]) == 1 and (
                d["servers"][0]["engine"] == "postfix" or d["servers"][0]["fault"] == "accept")
            and d["name"].isascii() and d["message"] == "plain"]
    return good[:TARGETS]


def letter(name, size):
    body = "x" * 70 + "\r\n"
    return (f"From: <t@{daemon.BACK}>\r\nTo: <x@lab.test>\r\nSubject: load\r\n"
            f"Message-ID: <load-{name}@client.lab.test>\r\n\r\n" + body * (size // 72 + 1))


class Load:
    """Threads that send until so many messages were acknowledged, or (wanted None) until stop()."""

    def __init__(self, relay, domains, wanted=None, seconds=0, threads=8):
        self.relay, self.domains, self.wanted = relay, domains, wanted
        self.pause = seconds * threads / wanted if wanted else 0
        self.mark = f"{time.monotonic_ns():x}"      # of this load among others in the same lab
        self.lock = threading.Lock()
        self.last, self.taken, self.refused = 0, {}, 0      # taken: {message: (domain, queue id)}
        self.over = False
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(threads)]

    def start(self):
        for t in self.threads:
            t.start()
        return self

    def stop(self):
        self.over = True
        for t in self.threads:
            t.join()

    def next(self):
        """The number of a new message; None: enough."""
        with self.lock:
            if self.over or (self.wanted and len(self.taken) >= self.wanted):
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
                got = give(client, f"t@{daemon.BACK}", f"x{number % 7}@{domain}", letter(f"{self.mark}-{number}", size))
                with self.lock:
                    self.taken[f"load-{self.mark}-{number}"] = (domain, got)
            except (OSError, smtplib.SMTPException, ValueError):
                # Not acknowledged: it may arrive or not, and is sent again under another number.
                with self.lock:
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


def preloading(library, **variables):
    """What stands before the command of a relay that runs with this library in front of the others."""
    sanitizer = "verify_asan_link_order=0:" + os.environ.get("ASAN_OPTIONS", "")     # its runtime wants to be first
    return ("env", f"LD_PRELOAD={library}", f"ASAN_OPTIONS={sanitizer}", *(f"{k}={v}" for k, v in variables.items()))


class Page:
    """What test/live/faults.c reads in every process of the relay."""

    LIBRARY = pathlib.Path(__file__).resolve().parent.parent / "build" / "test" / "live" / "faults.so"

    def __init__(self, name):
        self.path = report.state() / f"faults-{name}.page"
        self.path.write_bytes(bytes(mmap.PAGESIZE))
        with open(self.path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), mmap.PAGESIZE)

    def prefix(self):
        return preloading(self.LIBRARY, DANELAW_TEST_FAULTS=self.path)

    def clock(self, seconds):
        struct.pack_into("q", self.map, 0, seconds)

    def fail_sync(self, code, times):
        struct.pack_into("ii", self.map, 8, code, times)

    def no_random(self, yes):
        """Whoever asks for random octets gets none: for what has no other way to fail for a while."""
        struct.pack_into("i", self.map, 16, int(yes))

    def fail_allocation(self, pid, number):
        """The one of this number from now on, from 1, fails in that process."""
        struct.pack_into("ii", self.map, 20, 0, number)
        struct.pack_into("i", self.map, 20, pid)

    def count_allocations(self, pid):
        """They are counted, and none fails."""
        self.fail_allocation(pid, 0)

    def allocations(self):
        """How many there were since; the count ends."""
        left = struct.unpack_from("i", self.map, 24)[0]
        struct.pack_into("i", self.map, 20, 0)
        return -left

    def has_failed(self):
        """Did that allocation come? The count ends."""
        return self.allocations() >= 0

    def pending(self):
        return max(0, struct.unpack_from("i", self.map, 12)[0])


# -- counting --------------------------------------------------------------------------------------------

def taken():
    """The text of each message in the maildirs and at the stand-ins, with its name in our load; once for each copy."""
    for path in [*report.state().glob("mail/*/new/*"), *report.state().glob("taken/*/*.eml")]:
        with open(path, "rb") as f:
            text = f.read(16384)
        if found := ID.search(text):
            yield found.group(1).decode(), text


def arrivals():
    """How often each message has arrived."""
    return collections.Counter(name for name, text in taken() if NOTICE not in text)


def notices():
    """{message: [queue id of each notification about it that its sender has got]}"""
    out = {}
    for name, text in taken():
        if NOTICE in text and (found := re.search(rb"^Message-ID: <([0-9a-f]+)@", text, re.M | re.I)):
            out.setdefault(name, []).append(found.group(1).decode())
    return out


def all_events(relay):
    for path in relay.folder.glob("log.*"):
        for line in path.read_text(errors="replace").splitlines():
            yield daemon.fields_of(line)


def sanitizers(relay):
    """What AddressSanitizer and UBSan said, where the program was built with them."""
    found = []
    for path in relay.folder.glob("log.*"):
        found += re.findall(r"^.*(?:ERROR: \w+Sanitizer|runtime error: ).*$", path.read_text(errors="replace"), re.M)
    return [f"{len(found)} times: {found[0]}"] if found else []


def doubts(relay):
    """The queue ids of the deliveries that the relay itself calls possibly delivered, each once or more."""
    count = collections.Counter()
    for e in all_events(relay):
        if e.get("event") == "possibly-delivered" or \
                (e.get("event") == "deferred" and e.get("reason") == "lost-after-data"):
            count[e["id"]] += 1
    return count


def settle(relay, domains, seconds=60):
    """Waits until everything for these domains is out; the rows of what is not."""
    good, state = set(domains), {}

    def look():
        state["left"] = [row for row in relay.rows("list", "limit=20000") if row["next_hop"] in good]
        return not state["left"]
    wait_until(look, seconds, 0.5)
    time.sleep(1)                       # Postfix says 250 before the file is in its place
    return state["left"]


class Count:
    """What became of the mail, when the load is over and the rest has settled."""

    def __init__(self, relay, load, queued):
        """queued: the ids in the queue now."""
        mine = f"load-{load.mark}-"
        arrived = {m: n for m, n in arrivals().items() if m.startswith(mine)}
        told = {m: ids for m, ids in notices().items() if m.startswith(mine)}
        self.acknowledged, self.refused, self.told = len(load.taken), load.refused, len(told)
        self.queued = len([1 for _, got in load.taken.values() if got in queued])
        # A message that cannot be delivered has reached its end when its sender is told.
        self.lost = sorted(m for m, (_, got) in load.taken.items()
                           if m not in arrived and m not in told and got not in queued)
        id_of = {m: got for m, (_, got) in load.taken.items()}
        known = doubts(relay)
        self.doubts = sum(known.values())
        # Their clients send them again: copies that no relay can know of.
        self.unsaid = len([m for m in arrived if m not in load.taken])
        # Also of those that were never acknowledged: by number only, because the client got no queue id.
        twice = {m: n - 1 for m, n in arrived.items() if n > 1}
        self.extra = sum(twice.values())
        self.unknown = sorted(m for m, n in twice.items() if m in id_of and n > known[id_of[m]])
        nameless = sum(n for m, n in twice.items() if m not in id_of)
        if nameless > self.doubts - sum(n for m, n in twice.items() if m in id_of):
            self.unknown.append(f"{nameless} never acknowledged")
        # A notification is a message of the relay's own, and doubted by its own id.
        for m, ids in told.items():
            if any(ids.count(one) - 1 > known[one] for one in ids) or len(set(ids)) > 1:
                self.unknown.append(f"notification about {m}")

    def line(self):
        return (f"{self.acknowledged} acknowledged, {self.refused} not, {self.unsaid} of these arrived; {len(self.lost)} lost; "
                f"{self.extra} delivered twice, {self.doubts} known as possibly delivered; "
                f"{self.told} senders told; {self.queued} still in the queue")

    def wrong(self):
        out = [f"lost: {' '.join(self.lost[:5])}"] if self.lost else []
        if self.unknown:
            out.append(f"delivered twice and not known as possibly delivered: {' '.join(self.unknown[:5])}")
        return out
