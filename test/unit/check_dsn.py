#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Sample notifications are as the golden files, and Python's email package reads in them what was meant.

    check_dsn.py DSN-SAMPLES GOLDEN-FOLDER [--write]"""

import email
import email.policy
import pathlib
import subprocess
import sys

# name: (third part, per recipient: final address, action, status)
SAMPLES = {
    "expired": ("text/rfc822-headers", [("rfc822;user@example.net", "failed", "4.4.7")]),
    "full": ("message/rfc822", [("rfc822;user@example.net", "failed", "4.4.7")]),
    "too-big": ("text/rfc822-headers", [("rfc822;user@example.net", "failed", "4.4.7")]),
    "hostile": ("message/rfc822", [("rfc822;x??Status: 2.0.0????@example.net", "failed", "5.1.1"),
                                   ("rfc822;user@example.net", "failed", "4.4.7")]),
    "delayed": ("text/rfc822-headers", [("rfc822;user@example.net", "delayed", "4.4.1")]),
    "relayed": ("text/rfc822-headers", [("rfc822;user@example.net", "relayed", "2.0.0")]),
    "utf8": ("message/global", [("utf-8;jörg@bücher.example", "failed", "5.6.7")]),
    "utf8-in-7-bits": ("text/rfc822-headers",
                       [(r"utf-8;j\x{F6}rg@b\x{FC}cher.example", "failed", "5.6.7")]),
}
# sentences that must be in the part for people (M3)
HUMAN = {
    "expired": ["5.7.323 (tlsa-invalid)", "(4.4.7)", "mx.example.net", "3 1 1 8cb0fc6c", "sha256=aa11bb22",
                "What the postmaster of the recipient should change", "Publish a TLSA record"],
    "delayed": ["WARNING ONLY", "4.4.1 (connect-failed)"],
    "relayed": ["handed to a mail system"],
    "utf8": ["<jörg@bücher.example>: failed"],
    "hostile": ["--=_sample??Content-Type: text/html"],
}
failures = []


def want(name, condition, what):
    if not condition:
        failures.append(f"{name}: {what}")


def groups(part_bytes):
    """The groups of fields of the status part, as dictionaries; our own reading, since the package's own
    parser knows message/delivery-status but not its global form."""
    text = part_bytes.decode("utf-8").replace("\r\n ", " ")
    result = []
    for group in text.strip("\r\n").split("\r\n\r\n"):
        pairs = [line.split(": ", 1) for line in group.split("\r\n")]
        result.append(dict(pairs))
        want("fields", len(result[-1]) == len(pairs), f"a field twice: {group}")
    return result


def check(name, raw):
    third, recipients = SAMPLES[name]
    m = email.message_from_bytes(raw, policy=email.policy.default)
    want(name, not m.defects, f"defects {m.defects}")
    want(name, m.get_content_type() == "multipart/report", m.get_content_type())
    want(name, m.get_param("report-type") == "delivery-status", "report-type")
    want(name, m["Auto-Submitted"] == "auto-replied", "Auto-Submitted")
    parts = [p.strip(b"\r\n") for p in raw.split(b"\r\n--=_sample")]
    want(name, len(parts) == 5 and parts[4] == b"--", f"{len(parts)} pieces")
    human, status, original = m.iter_parts()
    want(name, original.get_content_type() == third, original.get_content_type())
    is_global = third.startswith("message/global")
    want(name, status.get_content_type() == f"message/{'global-' if is_global else ''}delivery-status",
         status.get_content_type())
    want(name, is_global or raw.isascii(), "8-bit octets")
    want(name, all(len(line) <= 998 for line in raw.split(b"\r\n")), "a line too long")
    text = parts[1].split(b"\r\n\r\n", 1)[1].decode("utf-8")
    for sentence in HUMAN.get(name, []):
        want(name, sentence in " ".join(text.split()), f"not told: {sentence}")
    per_message, *per_recipient = groups(parts[2].split(b"\r\n\r\n", 1)[1])
    want(name, per_message["Reporting-MTA"] == "dns; relay.example.org", "Reporting-MTA")
    want(name, per_message["Original-Envelope-Id"] == "QQ314159", "Original-Envelope-Id")
    got = [(r["Final-Recipient"], r["Action"], r["Status"]) for r in per_recipient]
    want(name, got == recipients, f"{got}")
    if not is_global:
        want(name, len(status.get_payload()) == len(recipients) + 1, "groups as the package sees them")
    whole = not third.endswith("headers")
    want(name, (b"Bye." in raw) == whole, "whole text")


def main(program, folder, write=False):
    for name in SAMPLES:
        raw = subprocess.run([program, name], check=True, stdout=subprocess.PIPE).stdout
        golden = pathlib.Path(folder) / f"{name}.eml"
        if write:
            golden.write_bytes(raw)
        want(name, golden.exists() and golden.read_bytes() == raw, f"differs from {golden.name}")
        check(name, raw)
    for line in failures:
        print(line)
    print(f"dsn: {len(SAMPLES)} samples, {len(failures)} failures")
    return 1 if failures else 0


sys.exit(main(sys.argv[1], sys.argv[2], "--write" in sys.argv))
