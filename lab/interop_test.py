#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What other programs say about the same hosts, compared with `danelaw check`.

Run as: lab/lab run lab/interop_test.py [PATTERN...].  posttls-finger (Postfix) makes the whole journey
over the lab's validating resolver; danetool (GnuTLS) and ldns-dane judge the chain that a host serves
by its TLSA records.  Where they differ from us, interop.toml has the reason; a difference without a
reason fails.
"""

import argparse
import fnmatch
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True

import domains as names     # noqa: E402
import report               # noqa: E402

CERTIFICATE = {"tlsa-invalid", "certificate-expired", "certificate-not-yet-valid",
               "certificate-host-mismatch", "certificate-not-trusted", "dane-required"}


def output(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, errors="replace")
        return done.returncode, done.stdout + done.stderr
    except subprocess.TimeoutExpired:
        return None, ""


# -- the others: each returns {(host, address or None): authenticated | tls | none} ------------------------

def posttls_finger(domain, _doc):
    """Verified: authenticated.  Trusted: the records match, but the MX records were insecure."""
    _, text = output("posttls-finger", "-l", "dane", "-c", "-t", "4", "-T", "4", "-L", "summary", domain["ascii"])
    m = re.search(r"(\w+) TLS connection established to (\S+?)\[(\S+?)\]:25", text)
    if m:
        said = {"Verified": "authenticated", "Trusted": "trusted"}.get(m.group(1), "tls")
        return {(m.group(2).lower(), m.group(3)): said}
    return {(None, None): "none"}


def chains_of(domain, doc):
    """(MX host, base, TLSA records, file with the served chain) where all of them are known, and where
    we saw that chain too: a host that fails before its certificate gives nothing to compare."""
    listed = {s["name"]: s for s in domain["servers"]}
    for host in doc.get("hosts", []):
        server = listed.get(host.get("base")) or listed.get(host["name"])
        records = (host.get("tlsa") or {}).get("records") or []
        if server and len(server["chains"]) == 1 and not server["sni"] and records and \
                host.get("policy") in ("dane", "encrypt") and ours(doc, host["name"], None) != "none":
            yield host["name"], host["base"], records, server["chains"][0]


def ldns_dane(domain, doc):
    out = {}
    for host, base, records, chain in chains_of(domain, doc):
        with tempfile.NamedTemporaryFile("w", suffix=".tlsa") as f:
            for r in [r for r in records if r["data"]]:     # its parser takes no empty data
                f.write(f"_25._tcp.{base}. 300 IN TLSA {r['usage']} {r['selector']} {r['mtype']} {r['data']}\n")
            f.flush()
            code, _ = output("ldns-dane", "-d", "-n", "-t", f.name, "-c", chain, "verify")
        out[(host, None)] = "authenticated" if code == 0 else "tls"
    return out


def danetool(domain, doc):
    out, published = {}, report.load()["tlsa"]
    for host, base, _, chain in chains_of(domain, doc):
        if f"_25._tcp.{base}" not in published:
            continue                    # an alias or a wildcard, which the mirror does not have
        seen = names.mirror(base + ".").rstrip(".") if base.endswith(".test") else base
        code, text = output("danetool", "--check", seen, "--port", "25", "--proto", "tcp", "--local-dns",
                            "--load-certificate", chain)
        good = code == 0 and "Certificate matches" in text
        out[(host, None)] = "authenticated" if good else "tls"
    return out


TOOLS = {"posttls-finger": posttls_finger, "danetool": danetool, "ldns-dane": ldns_dane}


# -- we ----------------------------------------------------------------------------------------------------

def ours(doc, host, address):
    """What `danelaw check` says of one address (or the best of a host, or of the first host tried)."""
    hosts = [h for h in doc.get("hosts", []) if host is None or host in (h["name"], h.get("base"))]
    best = "none"
    for h in hosts:
        for a in h.get("addresses", []):
            if address is not None and a["address"] != address:
                continue
            if a["result"] == "authenticated":
                if address is None and host is None:
                    return "authenticated"
                best = "authenticated"
            elif best == "none" and (a["result"] == "encrypted" or a.get("reason") in CERTIFICATE):
                best = "tls"
    return best


def same(theirs, mine, doc):
    if theirs == "trusted":             # our name for that is verdict `half`
        return mine == "authenticated" and (doc.get("mx") or {}).get("status") == "insecure"
    return theirs == mine


def explanation(table, tool, domain, theirs, mine):
    for entry in table:
        if entry["tool"] == tool and entry.get("theirs", theirs) == theirs and entry.get("ours", mine) == mine \
                and any(fnmatch.fnmatchcase(domain, p) for p in entry["domains"]):
            return entry
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pattern", nargs="*", help="only domains that match, such as 'ta-*'")
    parser.add_argument("-v", "--verbose", action="store_true", help="also say what agrees")
    args = parser.parse_args()
    folder = pathlib.Path(__file__).resolve().parent
    with open(folder / "interop.toml", "rb") as f:
        table = tomllib.load(f)["difference"]
    # the others know nothing of our levels (rule M1), and slow failures teach nothing here
    listed = [d for d in report.load()["domains"] if not d["slow"] and not d["level"] and (
        not args.pattern or any(fnmatch.fnmatchcase(d["name"], p) for p in args.pattern))]
    documents, trouble = report.check_all(listed)
    passed = failed = explained = 0
    used = set()

    def one(job):
        tool, d = job
        return tool, d, TOOLS[tool](d, documents[d["name"]])
    jobs = [(tool, d) for tool in TOOLS for d in listed if d["name"] in documents]
    for name, text in trouble.items():
        failed += 1
        print(f"FAIL {name}: {text}")
    with ThreadPoolExecutor(8) as pool:
        for tool, d, said in pool.map(one, jobs):
            for (host, address), theirs in said.items():
                mine = ours(documents[d["name"]], host, address)
                entry = explanation(table, tool, d["name"], theirs, mine)
                line = f"{d['name']}: {tool} says {theirs}, danelaw {mine}"
                if same(theirs, mine, documents[d["name"]]):
                    passed += 1
                    if args.verbose:
                        print("ok   " + line)
                elif entry:
                    explained += 1
                    used.add(id(entry))
                    if args.verbose:
                        print(f"ok   {line}: {entry['because']}")
                else:
                    failed += 1
                    print("FAIL " + line, flush=True)
    if not args.pattern:
        for entry in table:
            if id(entry) not in used:
                print(f"note: nothing differs any more: {entry['tool']} {entry['domains']}")
    print(f"{passed + explained} comparisons hold, {explained} of them with an explained difference", file=sys.stderr)
    print(f"{passed + explained} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


sys.exit(main())
