#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Evidence: what `check --evidence` and the relay keep is proven again by `audit prove` with nothing but the anchor, and
nothing that was changed, left out, added, or is of another time or domain is.

Run as: lab/lab run lab/evidence_test.py [-v] [PATTERN...]   (proofs, octets, time, claims, anchors, relay)
"""

import argparse
import base64
import datetime
import fnmatch
import hashlib
import json
import random
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True

import report       # noqa: E402
from audit_test import Audited, Score           # noqa: E402

SAMPLE, OTHER = "wild-tlsa.lab", "ee-311.test"
PROVEN = [OTHER, SAMPLE, "wild-tlsa.test", "tlsa-alias.test", "alias-expanded.test", "alias-original.test",
          "alias-chain.test", "alias-into-insecure.test", "sni-alias.test"]
NONE = ["no-tlsa.unsigned.test", "tlsa-alias-insecure.test", "alias-no-tlsa.test"]
OCTETS = 400
OPTIONAL = {1, 28}      # addresses: kept for completeness, no part of the claim
# No name server: whoever asked one would fail.
OFFLINE = ["-o", "dns.stub=127.0.0.1@1"]


def file(name):
    folder = report.state() / "evidence"
    folder.mkdir(exist_ok=True)
    return folder / f"{name}.json"


def collect(domain):
    """(exit code, the file's text)"""
    path = file(domain)
    path.unlink(missing_ok=True)
    code, _, _ = report.run(["check", "--no-connect", "--evidence", str(path), domain])
    return code, path.read_text() if path.exists() else ""


def prove(text, *words):
    """(exit code, what --json says, standard error)"""
    code, out, err = report.run([*OFFLINE, "audit", "prove", "--json", "--file", "-", *words],
                                text if isinstance(text, bytes) else text.encode())
    lines = report.json_lines(out)
    return code, lines[0] if lines else {}, err


def changed(doc, **values):
    """The document with other values and the id that belongs to them."""
    doc = {**doc, **values}
    doc["tlsa"] = f"_{doc['port']}._tcp.{doc['base']}"
    claim = f"{doc['mx']} {doc['destination']} {doc['host']} {doc['base']} {doc['port']}\0".encode()
    hashes = sorted(hashlib.sha256(base64.b64decode(r)).digest() for r in doc["rrsets"])
    doc["id"] = hashlib.sha256(claim + b"".join(hashes)).hexdigest()
    return doc


def type_of(rrset):
    octets, at = base64.b64decode(rrset), 0
    while octets[at]:
        at += 1 + octets[at]
    return int.from_bytes(octets[at + 1:at + 3], "big")


def refused(score, name, doc, words=""):
    code, said, err = prove(json.dumps(doc))
    score.check(name, (code, words in (said.get("why") or "")), (1, True)) or print("     ", said, err)


# -- tests -----------------------------------------------------------------------------------------------

def test_proofs(score):
    for domain in PROVEN:
        code, text = collect(domain)
        got, said, err = prove(text)
        score.check(f"{domain}: proven", (code, got, said.get("proven")), (0, 0, True)) or print("     ", said, err)
        score.check(f"{domain}: with TLSA records", len(said.get("tlsa", [])) > 0)
        doc = json.loads(text or "{}")
        score.check(f"{domain}: the id is the documented one", changed(doc)["id"], doc["id"])
    for domain in NONE:
        score.check(f"{domain}: no evidence", collect(domain), (69, ""))
    types = [type_of(r) for r in json.loads(collect(SAMPLE)[1])["rrsets"]]
    score.check("a wildcard needs NSEC3", 50 in types)


def same(a, b):
    try:
        return json.loads(a) == json.loads(b)
    except ValueError:
        return False


def test_octets(score):
    """Any octet of the file: refused, or it says the same, or it says openly what it now claims."""
    text = collect(SAMPLE)[1].encode()
    start = text.index(b'"rrsets"')
    rng = random.Random(7)
    places = sorted(rng.sample(range(start), min(start, OCTETS // 2)) +
                    rng.sample(range(start, len(text)), OCTETS // 2))

    def one(at):
        other = bytearray(text)
        other[at] ^= 1 << rng.randrange(7)
        code, said, _ = prove(bytes(other))
        if code != 0 or same(bytes(other), text):
            return None
        doc, was = json.loads(bytes(other)), json.loads(text)
        keys = {k for k in was if doc.get(k) != was[k]}
        # the time is a claim that signatures bound but do not sign; anchors are for information
        return None if keys <= {"anchors"} or (keys == {"time"} and said["time"] == doc["time"]) else (at, keys)

    with ThreadPoolExecutor(4) as pool:
        score.check(f"{len(places)} changed octets", [x for x in pool.map(one, places) if x], [])


def test_time(score):
    doc = json.loads(collect(SAMPLE)[1])
    refused(score, "years later", changed(doc, time="2036-01-01T00:00:00Z"), "ended at")
    refused(score, "years before", changed(doc, time="2016-01-01T00:00:00Z"), "begins at")
    now = datetime.datetime.fromisoformat(doc["time"].replace("Z", "+00:00"))
    for name, seconds, why in (("in the next round of serial numbers", 2 ** 32, "in the future"),
                               ("in the round before", -2 ** 32, "before there was DNSSEC")):
        at = (now + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
        refused(score, name, changed(doc, time=at), why)
    score.check("no time", prove(json.dumps(changed(doc, time="2026-02-31T00:00:00Z")))[0], 65)


def test_claims(score):
    doc, other = json.loads(collect(SAMPLE)[1]), json.loads(collect(OTHER)[1])
    refused(score, "records of another domain", changed(doc, rrsets=other["rrsets"]), "missing")
    refused(score, "another destination", changed(doc, destination=OTHER), "missing")
    refused(score, "another host", changed(doc, host=other["host"]), "not among the MX hosts")
    refused(score, "another base", changed(doc, base=other["base"]), "nothing proves that host")
    refused(score, "another way", changed(doc, mx="none"), "is not its own host")
    refused(score, "the way does not count any more", changed(doc, mx="insecure"), "has no part in this proof")
    refused(score, "another port", changed(doc, port=26), "_26._tcp")
    code, said, _ = prove(json.dumps({**doc, "port": 26}))
    score.check("another port alone", (code, said), (65, {}))
    more = [r for r in other["rrsets"] if r not in doc["rrsets"] and type_of(r) == 52]
    refused(score, "records that nobody asked for", changed(doc, rrsets=doc["rrsets"] + more), "has no part")
    refused(score, "an RRset twice", changed(doc, rrsets=doc["rrsets"] + doc["rrsets"][:1]), "is there twice")
    for i, r in enumerate(doc["rrsets"]):
        if type_of(r) not in OPTIONAL:
            left = changed(doc, rrsets=doc["rrsets"][:i] + doc["rrsets"][i + 1:])
            refused(score, f"without RRset {i} of type {type_of(r)}", left)
    # records change places within the file: order is for readers
    code, said, _ = prove(json.dumps(changed(doc, rrsets=doc["rrsets"][::-1])))
    score.check("another order", (code, said.get("proven")), (0, True))
    for i, r in enumerate(doc["rrsets"]):
        octets = bytearray(base64.b64decode(r))
        octets[-1] ^= 1     # of the last signature
        forged = doc["rrsets"][:i] + [base64.b64encode(octets).decode()] + doc["rrsets"][i + 1:]
        refused(score, f"a forged signature of RRset {i}", changed(doc, rrsets=forged), "does not verify")


def test_anchors(score):
    text = collect(SAMPLE)[1]
    folder = report.state() / "evidence"
    mine = (report.state() / "root.ds").read_text()
    wrong = folder / "wrong.ds"
    wrong.write_text(". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n")
    code, said, _ = prove(text, "--anchor", str(wrong))
    score.check("another root", (code, "no key matches" in (said.get("why") or "")), (1, True))
    elsewhere = folder / "elsewhere.ds"
    elsewhere.write_text(mine.replace(".", "example.org.", 1))
    code, said, _ = prove(text, "--anchor", str(elsewhere))
    score.check("an anchor of another zone", (code, "no trust anchor" in (said.get("why") or "")), (1, True))
    score.check("no anchor file", prove(text, "--anchor", "/nowhere")[0], 78)
    empty = folder / "empty.ds"
    empty.write_text("; nothing\n")
    score.check("an empty anchor file", prove(text, "--anchor", str(empty))[0], 78)
    code, said, err = prove(text, "--anchor", str(report.state() / "root.ds"))
    score.check("the right one", (code, said.get("proven")), (0, True)) or print(said, err)


def break_file(path, statement):
    db = sqlite3.connect(path)
    db.execute(statement)
    db.commit()
    db.close()


def test_relay(score):
    relay = Audited("evidence", 2690).start()
    try:
        for domain in (SAMPLE, OTHER, "tlsa-alias.test", "alias-expanded.test"):
            for number in range(2):
                record = relay.deliver(domain)
                code, out, err = relay.audit("prove", str(record.get("n", 0)), "--json")
                said = (report.json_lines(out) or [{}])[0]
                score.check(f"{domain}: record of message {number + 1}", (code, said.get("proven"), said.get("host")),
                            (0, True, record.get("host"))) or print("     ", said, err)
        ids = {r["evidence"] for r in relay.records("--domain", SAMPLE)}
        score.check("what is the same is kept once", len(ids), 1)
        out = file("exported")
        code, _, _ = relay.audit("prove", str(record["n"]), "--out", str(out))
        score.check("exported", (code, prove(out.read_text())[0]), (0, 0))
        plain = relay.deliver("no-tlsa.unsigned.test")
        score.check("a host without TLSA", relay.audit("prove", str(plain["n"]))[0], 66)
        score.check("the chain stands", relay.audit("verify")[0], 0)
    finally:
        relay.stop()
    db = sqlite3.connect(relay.file)
    kept, used = (db.execute(q).fetchone()[0] for q in ("SELECT count(*) FROM rrset",
                                                        "SELECT count(*) FROM evidence_rrset"))
    db.close()
    score.check("RRsets are kept once", kept < used)
    n = str(record["n"])
    break_file(relay.file, "UPDATE rrset SET octets = zeroblob(length(octets))")
    score.check("changed octets", relay.audit("prove", n)[0], 65)
    break_file(relay.file, "DELETE FROM evidence")
    score.check("removed evidence", relay.audit("prove", n)[0], 66)
    score.check("and the records know nothing of it", relay.audit("verify")[0], 0)


TESTS = {"proofs": test_proofs, "octets": test_octets, "time": test_time, "claims": test_claims, "anchors": test_anchors,
         "relay": test_relay}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("pattern", nargs="*")
    args = parser.parse_args()
    score = Score(args.verbose)
    for name, test in TESTS.items():
        if not args.pattern or any(fnmatch.fnmatch(name, p) for p in args.pattern):
            test(score)
    print(f"evidence: {score.passed} passed, {score.failed} failed")
    return score.failed > 0


if __name__ == "__main__":
    sys.exit(main())
