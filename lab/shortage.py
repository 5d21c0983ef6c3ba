#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Each allocation that a process makes for two messages fails in turn, under an exception that demands DANE.

Run as: lab/lab run lab/shortage.py [--short] [--role ROLE] [--seed N].  Two messages go through the relay while one
allocation of one process fails: one to a domain that keeps its promise, one to a domain whose host speaks in clear only.
An exception (`queue policy ... dane-only`) stands for both, and nothing else demands it.  Then:

- nothing has gone out in clear, whatever failed: what is not known is not absent;
- what the client read 250 for is delivered, or is in the queue with a next time, and then delivered;
- the process lives, or has a successor, and the next messages go through as ever.

The order is random; after a minute (--short) or nine the rest is left out, and the last line says how much that was.
"""

import argparse
import random
import smtplib
import sys
import time

sys.dont_write_bytecode = True

import daemon       # noqa: E402
import load         # noqa: E402
from daemon import Relay, give, wait_until    # noqa: E402

ROLES = ("keeper", "courier", "intake", "resolver")
CLEAR = "no-tlsa-clear.test"            # takes everything, in clear
PORT = 4600
SHORT, LONG = 70, 540                   # seconds for all roles together
WARM = 3                                # messages before allocations are counted


class Case:
    def __init__(self, role, port):
        self.role, self.number = role, 0
        self.page = load.Page(f"shortage-{role}")
        self.relay = Relay(f"shortage-{role}", port, prefix=self.page.prefix(),
                           **{"relay.intakes": 1, "relay.couriers": 1, "policy.level": "may", "queue.retry-first": 1,
                              "queue.retry-max": 1, "smtp.timeout-connect": 5}).start()
        self.wrong, self.struck, self.refused = [], 0, 0
        for domain in (daemon.BACK, CLEAR):
            if self.relay.queue("policy", domain, "dane-only", "--for", "24h")[0] != 0:
                self.wrong.append(f"{role}: no exception for {domain}")

    def pid(self):
        """Of the process, once there is one and the relay answers."""
        if not wait_until(lambda: self.relay.roles().get(self.role) and self.relay.queue("stats")[0] == 0, 30, 0.05):
            raise RuntimeError(f"no {self.role} any more")
        return self.relay.roles()[self.role][-1]

    def send(self):
        """Two messages; {name: (domain, queue id)} of those that were taken."""
        taken = {}
        self.number += 1
        for domain in (daemon.BACK, CLEAR):
            name = f"shortage-{self.role}-{self.number}-{domain}"
            try:
                with self.relay.client() as c:
                    taken[name] = domain, give(c, f"{name}@{daemon.BACK}", f"x@{domain}", load.letter(name, 3000))
            except (OSError, smtplib.SMTPException, ValueError):
                self.refused += 1
        return taken

    def outcome(self, got):
        return [e["event"] for e in self.relay.events(id=got) if e.get("event") in ("sent", "deferred", "failed")]

    def settle(self, taken, text):
        """Delivered where the promise is kept; waiting with a next time where it is not."""
        for name, (domain, got) in taken.items():
            want = "sent" if domain == daemon.BACK else "deferred"
            if not wait_until(lambda: want in self.outcome(got), 30, 0.05):
                rows = self.relay.rows("list", f"id={got}")
                self.wrong.append(f"{text}: {name} is not {want}: {self.outcome(got)} {rows}")
            elif domain == CLEAR:
                rows = self.relay.rows("list", f"id={got}")
                if not rows or not rows[0]["due"] or rows[0]["state"] not in ("waiting", "active"):
                    self.wrong.append(f"{text}: {name} has no next time: {rows}")
                self.relay.queue("delete", f"id={got}")

    def in_clear(self):
        return [e for e in self.relay.events("try") if e.get("channel") == "clear" and e.get("reason") == "ok"] + \
            [e for e in self.relay.events("sent") if e.get("next-hop") == CLEAR]

    def count(self):
        for _ in range(WARM):
            self.settle(self.send(), "without a fault")
        self.page.count_allocations(self.pid())
        taken = self.send()
        wait_until(lambda: all(self.outcome(got) for _, got in taken.values()), 20)
        n = self.page.allocations()
        self.settle(taken, "without a fault")
        return n

    def strike(self, number):
        text = f"{self.role}: allocation {number}"
        self.page.fail_allocation(self.pid(), number)
        taken = self.send()
        wait_until(lambda: all(self.outcome(got) for _, got in taken.values()), 3, 0.02)
        self.struck += self.page.has_failed()
        self.pid()
        after = self.send()
        if len(after) < 2:                      # its successor was not ready
            time.sleep(1)
            after = self.send()
        if len(after) < 2:
            self.wrong.append(f"{text}: takes no mail afterwards")
        self.settle({**taken, **after}, text)
        if self.in_clear():
            self.wrong.append(f"{text}: IN CLEAR {self.in_clear()[:2]}")

    def run(self, seconds):
        began, runs = time.monotonic(), 0
        try:
            n = self.count()
            numbers = list(range(1, n + 1))
            random.shuffle(numbers)
            for number in numbers:
                if time.monotonic() - began > seconds or len(self.wrong) > 5:
                    break
                self.strike(number)
                runs += 1
            if not runs or not self.struck:
                self.wrong.append(f"{self.role}: no fault struck")
            print(f"{self.role}: {n} allocations for two messages, {runs} of them failed in turn in "
                  f"{time.monotonic() - began:.0f} s, {self.struck} struck, {self.refused} messages refused with 4yz",
                  flush=True)
            self.wrong += load.sanitizers(self.relay)
        except (RuntimeError, OSError, KeyError, IndexError) as e:
            self.wrong.append(f"{self.role}: broke off: {e!r}")
        finally:
            self.relay.stop(70)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="a minute for all roles together")
    parser.add_argument("--seed", type=int, default=random.randrange(1000000))
    parser.add_argument("--role", choices=ROLES, action="append")
    args = parser.parse_args()
    random.seed(args.seed)
    print(f"shortage, seed {args.seed}", flush=True)
    roles = args.role or ROLES
    wrong, passed = [], 0
    for n, role in enumerate(roles):
        case = Case(role, PORT + 3 * n)
        case.run((SHORT if args.short else LONG) / len(roles))
        passed += not case.wrong
        wrong += case.wrong
    for text in wrong:
        print(f"FAIL {text}")
    print(f"{passed} passed, {len(wrong)} failed", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
