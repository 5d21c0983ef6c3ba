#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Slots: thousands of deliveries to hosts that never say a word hold up nobody else's mail.

Run as: lab/lab run lab/slots_test.py [PATTERN...].  A host that is silent is a socket that listens and is never accepted
from: the connection is up, and no greeting comes.
"""

import argparse
import fnmatch
import resource
import socket
import sys
import threading
import time

sys.dont_write_bytecode = True

from daemon import BACK, Relay, Score, expect, queue_id, wait_until   # noqa: E402

SILENT = 4000
PATIENCE = 5.0                          # seconds until mail to a host that works must have gone
OTHER = "ee-312.test"                   # takes everything, too; nothing goes there before the attack
GREETING = 120                          # seconds that the relay waits for one: longer than a test


def letter(word):
    return f"From: <a@{BACK}>\r\nTo: <b>\r\nSubject: {word}\r\n\r\nhello\r\n"


def address(n):
    return f"127.3.{1 + n // 200}.{1 + n % 200}"


class Silent:
    """Hosts that never speak."""

    def __init__(self, n):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 2 * n + 500)), hard))
        self.sockets = []
        for i in range(n):
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((address(i), 25))
            s.listen(20)
            self.sockets.append(s)

    def close(self):
        for s in self.sockets:
            s.close()


class Host:
    """A host in clear. rcpt: its answer to RCPT. most: sessions at a time, the others hear 421. poison: it hangs up at a
    line of text with this word."""

    def __init__(self, at, port=25, rcpt="250 ok", most=None, poison=None, pause=0.0):
        self.rcpt, self.most, self.poison, self.pause = rcpt, most, poison, pause
        self.now, self.refused, self.taken, self.lock = 0, 0, [], threading.Lock()
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((at, port))
        self.socket.listen(500)
        threading.Thread(target=self.loop, daemon=True).start()

    def loop(self):
        while True:
            try:
                c, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.guarded, args=(c,), daemon=True).start()

    def guarded(self, c):
        with self.lock:
            if self.most is not None and self.now >= self.most:
                self.refused += 1
                c.sendall(b"421 4.7.0 too many sessions\r\n")
                c.close()
                return
            self.now += 1
        try:
            self.session(c)
        except OSError:
            pass
        finally:
            with self.lock:
                self.now -= 1
            c.close()

    def session(self, c):
        f = c.makefile("rwb")

        def say(text):
            f.write(text.encode() + b"\r\n")
            f.flush()
        say("220 host")
        for line in f:
            verb = line[:4].upper()
            if verb == b"RCPT":
                say(self.rcpt)
            elif verb == b"DATA":
                say("354 go")
                if not self.text(f):
                    return
                time.sleep(self.pause)
                say("250 ok")
            elif verb == b"QUIT":
                say("221 bye")
                return
            else:
                say("250 ok")

    def text(self, f):
        lines = []
        while True:
            line = f.readline()
            if not line or (self.poison and self.poison in line):
                return False
            if line == b".\r\n":
                self.taken.append(b"".join(lines))
                return True
            lines.append(line)


def took(relay, ids, began, seconds=PATIENCE):
    """Seconds until all are sent; None: not in time."""
    ids = set(ids)
    done = wait_until(lambda: ids <= {e["id"] for e in relay.events("sent")}, seconds + 5, 0.1)
    spent = time.monotonic() - began
    return spent if done and spent <= seconds else None


def one_by_one(relay, n, sender, to):
    with relay.client() as c:
        c.ehlo()
        for i in range(n):
            expect(c.docmd(f"MAIL FROM:<{sender(i)}>"), 250)
            expect(c.docmd(f"RCPT TO:<{to(i)}>"), 250)
            queue_id(expect(c.data(letter("silent")), 250))


def complain(name, spent):
    return [] if spent is not None else [f"{name}: not within {PATIENCE} s"]


def honest(score, relay, name, targets):
    """Mail of somebody else to each of these, while the attack goes on."""
    for what, to in targets.items():
        began = time.monotonic()
        q = relay.send(to, letter(f"{name} {what}"), sender=f"honest@{OTHER}")
        score.add(f"{name}: {what}", complain(what, took(relay, [q], began)))


def test_notices(score):
    """Mail that our own backend refuses makes notices to silent hosts, 4,000 of them."""
    silent, back = Silent(SILENT), Host("127.3.0.9", 2424, rcpt="550 5.1.1 no such user")
    relay = Relay("slots-notices", 3050, **{"destination.mydomain.test.route": "[127.3.0.9]:2424",
                                            "smtp.timeout-greeting": GREETING}).start()
    relay.send(f"x@{BACK}", letter("before"))
    wait_until(lambda: relay.events("sent"), 15)
    one_by_one(relay, SILENT, lambda i: f"x@[{address(i)}]", lambda i: "nobody@mydomain.test")
    wait_until(lambda: relay.totals().get("waiting", 0) > SILENT / 2, 60, 0.5)
    back.rcpt = "250 ok"
    honest(score, relay, "notices", {"the own backend": "boss@mydomain.test", "a host that worked": f"x@{BACK}",
                                     "a host that is new": f"x@{OTHER}"})
    relay.kill()
    silent.close()


def test_one_message(score):
    """Messages of one sender with thousands of recipients at as many silent hosts."""
    silent = Silent(SILENT)
    relay = Relay("slots-message", 3055, **{"smtp.timeout-greeting": GREETING}).start()
    relay.send(f"x@{BACK}", letter("before"))
    wait_until(lambda: relay.events("sent"), 15)
    for i in range(0, SILENT, 1000):
        relay.send([f"u@[{address(n)}]" for n in range(i, i + 1000)], letter("silent"), sender=f"spam@{BACK}")
    time.sleep(3)
    active = relay.totals().get("active", 0)
    score.add("one message: it has many slots, and not all", [] if 100 < active < 1000 else [active])
    honest(score, relay, "one message", {"a host that worked": f"x@{BACK}", "a host that is new": f"x@{OTHER}"})
    relay.kill()
    silent.close()


def test_limit(score):
    """A host that serves two sessions and turns the others away: what two can do, and nobody pays with an attempt."""
    host = Host("127.3.0.10", most=2, pause=0.05)
    relay = Relay("slots-limit", 3060).start()
    began = time.monotonic()
    ids = [relay.send("u@[127.3.0.10]", letter(f"limit-{n}")) for n in range(100)]
    spent = took(relay, ids, began, 20)
    score.add("limit: all are delivered", [] if spent is not None else [relay.totals(), host.refused])
    score.add("limit: once each", [] if len(host.taken) == 100 else [len(host.taken)])
    score.add("limit: few are turned away", [] if host.refused < 30 else [host.refused])
    score.add("limit: ends well", [] if relay.stop(70) == 0 else ["no"])


def test_poison(score):
    """Messages that make a host hang up hold up no other message for it."""
    Host("127.3.0.11", poison=b"POISON")
    relay = Relay("slots-poison", 3065).start()
    for n in range(12):
        relay.send("u@[127.3.0.11]", letter("x") + "POISON\r\n" + "more\r\n" * 8000, sender=f"evil{n}@{BACK}")
    wait_until(lambda: len(relay.events("deferred")) >= 12, 15)
    began = time.monotonic()
    q = relay.send("boss@[127.3.0.11]", letter("honest"), sender=f"honest@{OTHER}")
    score.add("poison: the honest message goes", complain("it", took(relay, [q], began)))
    score.add("poison: ends well", [] if relay.stop(70) == 0 else ["no"])


def test_back(score):
    """When a host works again, all that waits for it goes, however late it was to be tried."""
    relay = Relay("slots-back", 3070, **{"queue.retry-first": 4, "queue.retry-max": 600}).start()
    old = [relay.send("u@[127.3.0.12]", letter(f"old-{n}")) for n in range(5)]
    wait_until(lambda: len(relay.events("deferred")) >= 20, 60, 0.2)
    Host("127.3.0.12")
    relay.queue("retry", f"id={old[0]}")
    first = wait_until(lambda: relay.event("sent"), 60, 0.1)
    began = time.monotonic()
    spent = took(relay, old, began)
    score.add("back: all go with the first", [] if first and spent is not None else [relay.events("sent")])
    score.add("back: ends well", [] if relay.stop(70) == 0 else ["no"])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("pattern", nargs="*")
    p.add_argument("-v", "--verbose", action="store_true")
    args = p.parse_args()
    score = Score(args.verbose)
    tests = {k[5:]: v for k, v in globals().items() if k.startswith("test_")}
    for name, test in tests.items():
        if not args.pattern or any(fnmatch.fnmatch(name, x) for x in args.pattern):
            test(score)
    print(f"slots: {score.passed} passed, {score.failed} failed")
    return 1 if score.failed or not score.passed else 0


if __name__ == "__main__":
    sys.exit(main())
