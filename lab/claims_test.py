#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Single claims about a running relay: each is one line of code that nothing else would miss.

Run as: lab/lab run lab/claims_test.py [PATTERN...].  A test is one claim; PATTERN picks tests by name.
"""

import argparse
import fnmatch
import os
import signal
import sys
import time

sys.dont_write_bytecode = True

import load         # noqa: E402
import report       # noqa: E402
from daemon import BACK, Relay, Score, wait_until   # noqa: E402

UNSIGNED = "implicit.unsigned.test"     # takes everything, and has no DANE
REFUSES = "rcpt-550.test"
RESTART = 1.0                           # seconds that a child waits which lived shorter than that


def letter(word):
    return f"From: <a@{BACK}>\r\nTo: <b>\r\nSubject: {word}\r\n\r\nhello\r\n"


def arrived(word, seconds=15):
    def look():
        paths = [*report.state().glob("mail/*/new/*"), *report.state().glob("taken/*/*.eml")]
        return [p for p in paths if word.encode() in p.read_bytes()]
    return wait_until(look, seconds, 0.1) or []


def test_override(score):
    """M1: what would be delivered without DANE waits under an override that demands it, and goes when that has ended."""
    relay = Relay("claim-override", 3000, **{"queue.retry-first": 1}).start()
    free = relay.send(f"x@{UNSIGNED}", letter("override-none"))
    score.add("override: without one it arrives", [] if wait_until(lambda: relay.event("sent", id=free)) else
              relay.events("deferred"))
    score.add("override: is taken", [] if relay.queue("policy", UNSIGNED, "dane-only", "--for", "1h")[0] == 0 else ["no"])
    kept = relay.send(f"x@{UNSIGNED}", letter("override-demands"))
    said = wait_until(lambda: relay.event("deferred", id=kept))
    score.add("override: the mail is deferred", [] if said and said.get("reason") in ("dane-required", "dns-unproven") else
              [said, relay.event("sent", id=kept)])
    relay.queue("retry", f"id={kept}")
    wait_until(lambda: len(relay.events("deferred", id=kept)) > 1, 10)
    score.add("override: nothing has arrived", [] if not arrived("override-demands", 0) else ["it has"])
    relay.queue("policy", UNSIGNED, "clear")
    relay.queue("retry", f"id={kept}")
    score.add("override: when it has ended it arrives", [] if wait_until(lambda: relay.event("sent", id=kept)) and
              len(arrived("override-demands")) == 1 else relay.events("deferred", id=kept))
    score.add("override: ends well", [] if relay.stop(70) == 0 else ["no"])


def test_together(score):
    """RFC 5321 s5.1: one transaction for all recipients of one destination, however each of them spelled it."""
    relay = Relay("claim-together", 3005, **{"relay.couriers": 1}).start()
    courier = relay.roles()["courier"][0]
    os.kill(courier, signal.SIGSTOP)
    to = [f"a@{BACK}", f"b@{BACK}", f"c@{BACK.upper()}", f"d@{UNSIGNED}"]
    name = relay.send(to, letter("together"))
    rows = relay.rows("list")
    os.kill(courier, signal.SIGCONT)
    got = sorted((r.get("next_hop"), r.get("pending")) for r in rows)
    score.add("together: one delivery for each destination", [] if got == [(BACK, 3), (UNSIGNED, 1)] else rows)
    sent = wait_until(lambda: {e["to"].lower() for e in relay.events("sent", id=name)} == {t.lower() for t in to})
    score.add("together: all are sent", [] if sent else relay.events("deferred", id=name))
    score.add("together: ends well", [] if relay.stop(70) == 0 else ["no"])


def test_restart(score):
    """Who dies as soon as it was born is started again, but not at once: it would take the processor for itself."""
    relay = Relay("claim-restart", 3010, **{"relay.couriers": 1, "relay.intakes": 1}).start()
    time.sleep(1.5 * RESTART)           # everybody is older than that
    waits = []
    for role in ("courier", "resolver", "intake"):
        for _ in range(2):
            pid = relay.roles()[role][0]
            os.kill(pid, signal.SIGKILL)
            began = time.monotonic()
            if not wait_until(lambda r=role, p=pid: relay.roles().get(r, [p])[0] != p, 15, 0.01):
                score.add(f"restart: the {role} comes back", ["never came back"])
                return
            waits.append(time.monotonic() - began)
        score.add(f"restart: the {role} that died young waits", [] if waits[-1] >= 0.9 * RESTART else waits)
        time.sleep(1.5 * RESTART)
    print(f"restart: after {' '.join(f'{w:.2f}' for w in waits)} s", file=sys.stderr)
    name = relay.send(f"x@{BACK}", letter("restart"))
    score.add("restart: mail goes on", [] if wait_until(lambda: relay.event("sent", id=name)) else relay.events("deferred"))
    score.add("restart: ends well", [] if relay.stop(70) == 0 else ["no"])


def test_told(score):
    """RFC 5321 s6.1: nobody fails before the sender could be told: while no notice can be made, the recipient waits."""
    page = load.Page("told")
    relay = Relay("claim-told", 3015, prefix=page.prefix(),
                  **{"queue.retry-first": 1, "queue.retry-max": 1, "relay.couriers": 1}).start()
    courier = relay.roles()["courier"][0]
    os.kill(courier, signal.SIGSTOP)
    name = relay.send(f"x@{REFUSES}", letter("told"))
    page.no_random(True)
    os.kill(courier, signal.SIGCONT)
    late = wait_until(lambda: relay.event("notification-postponed", id=name), 20)
    score.add("told: a notice could not be made", [] if late else [relay.event("notification")])
    waits = [r["id"] for r in relay.rows("list")]
    score.add("told: until then the recipient waits", [] if waits == [name] else [waits])
    score.add("told: and nobody was told", [] if not arrived("told", 0) else ["there is a notice"])
    page.no_random(False)
    score.add("told: then there is one notice", [] if len(arrived("told", 90)) == 1 else arrived("told", 0))
    score.add("told: and the message is gone", [] if wait_until(relay.is_empty) else relay.rows("list"))
    score.add("told: ends well", [] if relay.stop(70) == 0 else ["no"])


TESTS = {"override": test_override, "together": test_together, "restart": test_restart, "told": test_told}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pattern", nargs="*", help=f"of {', '.join(TESTS)}")
    parser.add_argument("-v", "--verbose", action="store_true", help="also say what passed")
    args = parser.parse_args()
    chosen = [n for n in TESTS if not args.pattern or any(fnmatch.fnmatchcase(n, p) for p in args.pattern)]
    score = Score(args.verbose)
    for name in chosen:
        try:
            TESTS[name](score)
        except Exception as e:      # one broken test must not hide the others
            score.add(name, [f"broke off: {e!r}"])
    print(f"{score.passed} passed, {score.failed} failed", flush=True)
    return 1 if score.failed or not score.passed else 0


sys.exit(main())
