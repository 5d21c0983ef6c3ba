#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What is said of a destination holds for it however it is written, and exceptions end to the safe side.

Run as: lab/lab run lab/policy_test.py [PATTERN...]   (literal, spelling, sections, closer, clock, restart, unsafe)
"""

import argparse
import fnmatch
import os
import pathlib
import signal
import sys
import time
import urllib.request

sys.dont_write_bytecode = True

import load         # noqa: E402
import report       # noqa: E402
from daemon import BACK, Relay, Score, wait_until   # noqa: E402

CLEAR = "no-tlsa-clear.test"            # takes everything, in clear
LETTER = f"From: <a@{BACK}>\r\nTo: <b>\r\nSubject: policy\r\n\r\nhello\r\n"
DAY = 86400


def fate(relay, to):
    """(sent or deferred, reason) of one message."""
    got = relay.send(to, LETTER)
    ends = wait_until(lambda: [e for e in relay.events(id=got) if e.get("event") in ("sent", "deferred", "failed")], 20)
    return (ends[-1]["event"], ends[-1].get("reason")) if ends else None


def expect(score, name, got, want):
    score.add(name, [] if got == want else [f"{got}, expected {want}"])


WAITS = ("deferred", "dane-required")


def test_literal(score):
    """D10: an address has policies by its value; its route is followed, and opens nothing else."""
    pairs = (("[127.0.0.77]", "[127.0.0.77]"), ("[127.0.0.76]", "[IPv6:::ffff:127.0.0.76]"),
             ("[IPv6:fd00:77::76]", "[IPv6:fd00:77::76]"), ("[fd00:77::77]", "[ipv6:FD00:77:0:0::0.0.0.119]"))
    relay = Relay("policy-literal", 4700, **{f"destination.{title}.level": "dane-only" for title, _ in pairs}).start()
    for title, to in pairs:
        expect(score, f"literal: {title} for {to}", fate(relay, f"u@{to}"), WAITS)
    relay.stop()
    relay = Relay("policy-route", 4703, **{"destination.[127.0.0.77].route": "[127.0.0.78]:2525",
                                           "relay.networks": "192.0.2.1/32"}).start()
    relay.send("u@[127.0.0.77]", LETTER)
    tried = wait_until(lambda: relay.events("try"), 10) or [{}]
    expect(score, "literal: its route is followed", tried[0].get("address"), "127.0.0.78")
    with relay.client() as c:
        c.ehlo()
        c.docmd(f"MAIL FROM:<a@{BACK}>")
        expect(score, "literal: another address is not", c.docmd("RCPT TO:<u@[127.0.0.79]>")[0], 550)
    relay.stop()


def test_spelling(score):
    """An exception is taken under its normal form, or refused."""
    for n, text in enumerate((f"{CLEAR}.", CLEAR.upper(), "no-tlsa-clear。test", "ＮＯ-tlsa-clear.TEST", "*.test")):
        relay = Relay(f"policy-spelling-{n}", 4710 + 3 * n, **{"relay.intakes": 1, "relay.couriers": 1}).start()
        expect(score, f"spelling: {text} is taken", relay.queue("policy", text, "dane-only", "--for", "1h")[0], 0)
        expect(score, f"spelling: {text} holds", fate(relay, f"u@{CLEAR}"), WAITS)
        relay.stop()
    relay = Relay("policy-refused", 4728).start()
    for text in ("*", "*test", "x y", "127.0.0.77", "[127.0.0.77", "u@a.test", "*.*.test"):
        got = relay.queue("policy", text, "dane-only", "--for", "1h")
        score.add(f"spelling: {text} is refused", [] if got[0] == 64 and "no destination" in got[2] else [got])
    score.add("spelling: nothing is in force", relay.rows("policies"))
    relay.stop()


def test_sections(score):
    """Two sections for one destination are an error, in any spelling."""
    base = pathlib.Path(os.environ["DANELAW_CONF"]).read_text()
    path = report.state() / "policy-sections.conf"
    for one, other in ((CLEAR, f"{CLEAR.upper()}."), ("bücher.test", "xn--bcher-kva.test"), ("a.test", "ａ。test"),
                       ("[127.0.0.77]", "[IPv6:::ffff:127.0.0.77]")):
        path.write_text(f'{base}\ndestination "{one}" {{ level = dane-only }}\ndestination "{other}" {{\n level = may }}\n')
        got = report.run(["-c", str(path), "check", "--no-connect", CLEAR], seconds=30)
        score.add(f"sections: {one} and {other}", [] if got[0] == 78 and "is the same as" in got[2] else [got])


def test_closer(score):
    """The destination itself before a wildcard, whoever wrote either."""
    relay = Relay("policy-closer", 4740, **{f"destination.{CLEAR}.level": "dane-only"}).start()
    expect(score, "closer: the configured one holds", fate(relay, f"u@{CLEAR}"), WAITS)
    got = relay.queue("policy", "*.test", "may", "--for", "1h")
    score.add("closer: what stays is said", [] if got[0] == 0 and f"{CLEAR} dane-only (configuration)" in got[1] and
              "matches 1 deliveries" in got[1] else [got])
    relay.queue("retry", f"next-hop={CLEAR.upper()}.")
    wait_until(lambda: len(relay.events("deferred")) > 1, 10)
    expect(score, "closer: a wildcard does not lower it", fate(relay, f"v@{CLEAR}") or WAITS, WAITS)
    score.add("closer: nothing was sent", relay.events("sent"))
    relay.queue("policy", CLEAR, "may", "--for", "1h")
    relay.queue("retry", f"next-hop={CLEAR}")
    score.add("closer: the same name does", [] if wait_until(lambda: relay.events("sent"), 20) else ["it waits"])
    relay.stop()


def test_clock(score):
    """What allows less ends by the earlier clock, what demands more by the later one."""
    for n, (level, seconds, steps, want) in enumerate((
            ("may", 6, [-DAY], WAITS),                       # by the time that has passed
            ("may", 3600, [2 * DAY], WAITS),                 # by the wall clock
            ("dane-only", DAY, [2 * DAY], WAITS),            # not by the wall clock alone
            ("dane-only", 120, [70, 140, 210], WAITS))):     # nor in pieces
        page = load.Page(f"policy-clock-{n}")
        general = "dane-only" if level == "may" else "may"
        relay = Relay(f"policy-clock-{n}", 4750 + 3 * n, prefix=page.prefix(), **{"policy.level": general}).start()
        relay.queue("policy", CLEAR, level, "--for", f"{seconds}s")
        for step in steps:
            page.clock(step)
            relay.queue("stats")
            time.sleep(0.7)
        if level == "may" and steps[0] < 0:
            time.sleep(seconds)
        got = fate(relay, f"u@{CLEAR}") or ("", "")     # with a clock in the past signatures are not valid yet
        expect(score, f"clock: {level} for {seconds} s, clock {steps}", (got[0], want[1] if steps[0] < 0 else got[1]), want)
        relay.stop()


def test_restart(score):
    """A step while no keeper runs: the mail lives as long as it would have, and what demands more stays."""
    page = load.Page("policy-restart")
    relay = Relay("policy-restart", 4765, prefix=page.prefix(), **{"queue.lifetime": 3600}).start()
    relay.queue("policy", CLEAR, "dane-only", "--for", "1h")
    expect(score, "restart: it waits", fate(relay, f"u@{CLEAR}"), WAITS)
    os.kill(relay.roles()["keeper"][-1], signal.SIGKILL)
    page.clock(DAY)
    moved = wait_until(lambda: relay.event("clock-moved"), 15)
    score.add("restart: the step is seen", [] if moved else ["no word of it"])
    time.sleep(2)
    score.add("restart: its lifetime has not ended", relay.events("failed"))
    score.add("restart: it is still there", [] if len(relay.rows("list")) == 1 else [relay.rows("list")])
    expect(score, "restart: the exception still holds", fate(relay, f"v@{CLEAR}") or WAITS, WAITS)
    relay.stop()


def test_unsafe(score):
    """What may replace proofs needs its word in a file, and is said."""
    base = pathlib.Path(os.environ["DANELAW_CONF"]).read_text()
    path = report.state() / "policy-unsafe.conf"
    option = "domain-insecure: ee-311.test"
    line = base.replace("do-not-query-localhost: no", f'do-not-query-localhost: no", "{option}')
    score.add("unsafe: the lab's own options are harmless", [] if line != base else ["not found"])
    path.write_text(line)
    got = report.run(["-c", str(path), "check", BACK], seconds=30)
    score.add("unsafe: refused", [] if got[0] == 78 and "dns.unsafe" in got[2] else [got])
    path.write_text(line.replace("unbound =", "unsafe = yes\n\tunbound ="))
    got = report.run(["-c", str(path), "check", BACK], seconds=30)
    score.add("unsafe: said by check", [] if "UNSAFE" in got[1] and "dns-unsafe" in got[2] else [got])
    relay = Relay("policy-unsafe", 4770, **{"dns.unbound": [option, "do-not-query-localhost: no", "local-zone: test. transparent"],
                                            "relay.metrics": "127.0.0.1:4773"}).start()
    said = wait_until(lambda: relay.event("dns-unsafe"), 5)
    page = urllib.request.urlopen("http://127.0.0.1:4773/metrics", timeout=5).read().decode()
    score.add("unsafe: said by the relay", [] if said and "danelaw_dns_unsafe 1" in page else [said, page[-300:]])
    relay.stop()


TESTS = {"literal": test_literal, "spelling": test_spelling, "sections": test_sections, "closer": test_closer,
         "clock": test_clock, "restart": test_restart, "unsafe": test_unsafe}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pattern", nargs="*", default=["*"])
    parser.add_argument("-v", action="store_true")
    args = parser.parse_args()
    score = Score(args.v)
    for name, test in TESTS.items():
        if any(fnmatch.fnmatch(name, p) for p in args.pattern):
            test(score)
    print(f"{score.passed} passed, {score.failed} failed", flush=True)
    return 1 if score.failed else 0


if __name__ == "__main__":
    sys.exit(main())
