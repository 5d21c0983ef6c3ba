#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What many or hostile clients cost the relay, and what others notice of it.

Run as: lab/lab run lab/clients_test.py [GROUP...] [-v].  Groups: the functions below that are called test_GROUP.
"""

import argparse
import os
import socket
import sys
import threading
import time

sys.dont_write_bytecode = True

import daemon       # noqa: E402
from daemon import Relay, Score, wait_until     # noqa: E402

PORT = 4100
BACK = daemon.BACK
MIB = 1 << 20


def letter(octets):
    return "Subject: large\r\n\r\n" + ("x" * 70 + "\r\n") * (octets // 72)


class Silent:
    """A host that takes connections and never says a word."""

    def __init__(self, address, port):
        self.taken = []
        self.listener = socket.create_server((address, port), backlog=100)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                self.taken.append(self.listener.accept()[0])
            except OSError:
                return

    def close(self):
        self.listener.close()
        for c in self.taken:
            c.close()


def memory_files(relay):
    """{inode: (octets in memory, descriptors)} of the memory files that the relay's processes hold."""
    found = {}
    for pid in [relay.process.pid, *relay.children()]:
        try:
            names = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue
        for n in names:
            path = f"/proc/{pid}/fd/{n}"
            try:
                if os.readlink(path).startswith("/memfd:danelaw-message"):
                    s = os.stat(path)
                    octets, held = found.get(s.st_ino, (s.st_blocks * 512, 0))
                    found[s.st_ino] = octets, held + 1
            except OSError:
                pass
    return found


# -- one text, many deliveries -----------------------------------------------------------------------------

def test_texts(score):
    hosts = [Silent(f"127.3.0.{i}", PORT + 50) for i in range(1, 31)]
    relay = Relay("clients-texts", PORT, **{"smtp.port": PORT + 50, "smtp.timeout-greeting": 20,
                                            "queue.retry-first": 3600}).start()
    relay.send([f"u@[127.3.0.{i}]" for i in range(1, 31)], letter(8 * MIB))
    active = wait_until(lambda: relay.totals().get("active", 0) >= 20)
    held = memory_files(relay)
    score.add("texts: one memory file for all deliveries of a message",
              [] if active and len(held) == 1 and sum(o for o, _ in held.values()) < 9 * MIB else [active, held])
    for h in hosts:
        h.close()
    gone = wait_until(lambda: not memory_files(relay), 20)
    score.add("texts: it is gone with the last delivery", [] if gone else [memory_files(relay)])
    score.add("texts: end", [] if relay.stop() == 0 else ["exit"])


# -- all ---------------------------------------------------------------------------------------------------

GROUPS = {name[5:]: f for name, f in list(globals().items()) if name.startswith("test_")}


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("groups", nargs="*", metavar="GROUP")
    p.add_argument("-v", "--verbose", action="store_true")
    a = p.parse_args()
    score = Score(a.verbose)
    for name, run in GROUPS.items():
        if not a.groups or name in a.groups:
            began = time.monotonic()
            run(score)
            if a.verbose:
                print(f"     {name}: {time.monotonic() - began:.1f} s", flush=True)
    print(f"clients: {score.passed} passed, {score.failed} failed")
    return 1 if score.failed else 0


if __name__ == "__main__":
    sys.exit(main())
