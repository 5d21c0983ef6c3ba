#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Every domain of the list through `danelaw check` and `danelaw send`, for real.

Run as: lab/lab run lab/live_test.py [PATTERN...].  A test is one claim about one domain: check says
what the list says; send says what the list says; exactly the right message arrived, or nothing did.
Then claims about all: no mail in clear where TLS is due, no question that must not be asked.
"""

import argparse
import fnmatch
import sys
import time

sys.dont_write_bytecode = True

import report     # noqa: E402


class Score:
    def __init__(self, verbose):
        self.passed = self.failed = 0
        self.verbose = verbose

    def add(self, name, what, complaints):
        if complaints:
            self.failed += 1
            print(f"FAIL {name}: {what}: {'; '.join(complaints)}", flush=True)
        else:
            self.passed += 1
            if self.verbose:
                print(f"ok   {name}: {what}", flush=True)


def test_check(score, domains):
    documents, trouble = report.check_all(domains)
    for d in domains:
        doc = documents.get(d["name"])
        if doc is None:
            score.add(d["name"], "check", [trouble[d["name"]]])
            continue
        complaints = report.differences(d["expect"], doc)
        if not doc.get("explain"):
            complaints.append("no explanation")
        score.add(d["name"], "check", complaints)


def of_recipient(documents, to):
    names = {to, to.rpartition("@")[0] + "@" + to.rpartition("@")[2].encode("idna").decode()}
    names = {n.lower() for n in names}
    return [doc for doc in documents if str(doc.get("rcpt", "")).lower() in names]


def test_send(score, domains):
    """Sends everything; returns {ascii name: [recipients that must have got it]}."""
    results = report.send_all(domains)
    due = {}
    for d in domains:
        code, documents, err = results[d["name"]]
        wanted = report.recipients(d)
        complaints = []
        for to, expect in wanted:
            mine = of_recipient(documents, to)
            if len(mine) != 1:
                last = err.strip().splitlines()[-1:] or [""]
                complaints.append(f"{len(mine)} results for {to} (exit {code}) {last[0][:150]}")
            else:
                complaints += [f"{to}: {text}" if len(wanted) > 1 else text
                               for text in report.differences(expect, mine[0])]
            if expect.get("status") == "sent":
                due.setdefault(d["ascii"], []).append(to)
        statuses = {expect.get("status") for _, expect in wanted}
        right = 75 if "deferred" in statuses else 69 if "failed" in statuses else 0
        if statuses <= {"sent", "deferred"} or len(statuses) == 1:
            if code != right:
                complaints.append(f"exit code {code}, not {right}")
        score.add(d["name"], "send", complaints)
    return due


def test_arrivals(score, domains, due):
    copies = sum(len(to) for to in due.values())
    found = report.wait_for_arrivals(copies)
    by_case = {}
    for arrival in found:
        by_case.setdefault(arrival.case, []).append(arrival)
    for d in domains:
        mine = by_case.pop(d["ascii"], [])
        complaints = []
        got = sorted(local(to) for a in mine for to in a.rcpts)
        want = sorted(local(to) for to in due.get(d["ascii"], []))
        if got != want:
            complaints.append(f"arrived for {got or 'nobody'}, not {want or 'nobody'}")
        body = report.message(d)
        body += b"" if body.endswith(b"\n") else b"\n"
        for a in mine:
            if a.body != body:
                complaints.append(f"not the same octets: {a.where} ({first_difference(a.body, body)})")
            complaints += a.wrong
        score.add(d["name"], "arrival", complaints)
    if by_case:
        score.add("nobody", "arrival", [f"mail of unknown origin: {[a.where for x in by_case.values() for a in x]}"])


def local(address):
    return address.rpartition("@")[0].lower()


def first_difference(a, b):
    for n, (x, y) in enumerate(zip(a, b)):
        if x != y:
            return f"octet {n}: {a[n:n + 20]!r}, not {b[n:n + 20]!r}"
    return f"{len(a)} octets, not {len(b)}"


def test_clear(score, listed):
    """MAIL in clear only where the list says so; nothing sent before a handshake; CRLF everywhere."""
    may_be_clear = {d["ascii"] for d in listed if d["clear"]}
    owner = {s["name"]: d["ascii"] for d in listed for s in d["servers"]}
    clear, early, bare = set(), set(), set()
    for line in report.heard():
        if line.get("verb") == "MAIL" and not line["tls"]:
            clear.add(line["domain"])
        if line.get("early"):
            early.add(line["domain"])
        if line.get("crlf") is False:
            bare.add(line["domain"])
    for host, counts in report.postfix_sessions():
        if counts.get("mail") and not counts.get("starttls"):
            clear.add(owner.get(host, host))
    score.add("all servers", "MAIL in clear", sorted(clear - may_be_clear))
    score.add("all servers", "octets sent ahead of the handshake", sorted(early))
    score.add("all servers", "lines that do not end with CRLF", sorted(bare))


def test_questions(score, listed):
    """`never_asked`: types that must not be asked for in a domain (rule D6)."""
    numbers = {"TLSA": 52}
    forbidden = {(d["ascii"] + ".", numbers[t]): d["name"] for d in listed for t in d["never_asked"]}
    asked = []
    for line in report.json_lines((report.state() / "fakedns.log").read_text()):
        for (zone, number), name in forbidden.items():
            if line.get("type") == number and ("." + line.get("name", "")).endswith("." + zone):
                asked.append(name)
    score.add("name servers", "questions that must not be asked", sorted(set(asked)))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pattern", nargs="*", help="only domains that match, such as 'ee-*'")
    parser.add_argument("-v", "--verbose", action="store_true", help="also say what passed")
    parser.add_argument("--no-send", action="store_true", help="check only")
    args = parser.parse_args()

    listed = report.load()["domains"]
    domains = [d for d in listed if not args.pattern or
               any(fnmatch.fnmatchcase(d["name"], p) for p in args.pattern)]
    score = Score(args.verbose)
    began = time.monotonic()
    test_check(score, domains)
    if not args.no_send:
        due = test_send(score, domains)
        test_arrivals(score, domains, due)
        test_clear(score, listed)
        test_questions(score, listed)
    print(f"{len(domains)} domains in {time.monotonic() - began:.0f} s", file=sys.stderr)
    print(f"{score.passed} passed, {score.failed} failed", flush=True)
    return 1 if score.failed or not score.passed else 0


sys.exit(main())
