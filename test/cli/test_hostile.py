#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Hostile text in every field that a command shows: no octet of the output may act in a terminal.

Run as: test_hostile.py DANELAW"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading

BAD = "\x1b[2J\x07\r\n\tA\x7f\u0085\u009b31m\u061c\u200e\u2028\u202e\u2066gpj.exe"
ACTS = [chr(c) for c in [*range(0x20), *range(0x7F, 0xA0), 0x61C, 0x200E, 0x200F, 0x2028, 0x2029, *range(0x202A, 0x202F),
                         *range(0x2066, 0x2070)] if chr(c) != "\n"]
danelaw = sys.argv[1]
passed, failed = 0, 0


def look(what, run):
    """Lines of the command's own are fine; a LF of the hostile text would begin one with "\tA"."""
    global passed, failed
    text = (run.stdout + run.stderr).decode("utf-8", "surrogateescape")
    found = sorted({hex(ord(c)) for c in text if c in ACTS or 0xDC80 <= ord(c) <= 0xDCFF})
    if found or "\n\tA" in text or "gpj.exe" not in text:
        failed += 1
        print(f"FAIL {what}: {found} {text[:300]!r}")
    else:
        passed += 1


def rows():
    """Every kind of row, with hostile text wherever there is text."""
    one_try = {k: BAD for k in ("host", "address", "policy", "reason", "code", "detail", "tls", "continuity", "sentence", "cure")}
    rcpt = {k: BAD for k in ("address", "state", "reason", "code", "reply", "host")}
    texts = {k: BAD for k in ("id", "state", "next_hop", "sender", "origin", "reason", "code", "detail", "host")}
    yield {**texts, "delivery": 1, "recipients": [rcpt], "tries": [{**one_try, "at": 1}]}
    yield {"destination": BAD, "waiting": 1, "reason": BAD}
    yield {"reason": BAD, "deliveries": 1}
    yield {"pattern": BAD, "policy": BAD, "expires": 1, "why": BAD, "matches": [BAD]}
    yield {"lacking": 1, "why": BAD}


def serve(path, answer):
    s = socket.socket(socket.AF_UNIX)
    s.bind(path)
    s.listen(8)

    def run():
        while True:
            c, _ = s.accept()
            with c:
                c.makefile("rb").readline()
                c.sendall(answer)
    threading.Thread(target=run, daemon=True).start()


with tempfile.TemporaryDirectory() as folder:
    body = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows())
    for n, end in enumerate(({"ok": True, "count": 1}, {"ok": False, "error": BAD})):
        path = os.path.join(folder, f"control{n}")
        serve(path, (body + json.dumps(end, ensure_ascii=False) + "\n").encode())
        for words in (["list"], ["why", "x"], ["stats"], ["policies"], ["check"], ["--json", "list"], ["--json", "why", "x"]):
            run = subprocess.run([danelaw, "-o", f"relay.control={path}", "queue", *words], capture_output=True, timeout=20)
            look(f"queue {' '.join(words)} ({'ok' if end['ok'] else 'error'})", run)
    words = BAD.replace("\x00", "")
    for command in (["queue", words], ["check", words], ["resolve", words, "MX"], ["send", "-f", words, words], [words], ["audit", words],
                    ["verify", words], ["tlsa", words], ["sendmail", "-f", words, words], ["selfcheck", "--" + words],
                    ["-o", words + "=1", "check", "x"], ["-c", words, "check", "x"]):
        run = subprocess.run([danelaw, *command], capture_output=True, timeout=20, stdin=subprocess.DEVNULL)
        look(f"argument of {command[0][:8]!a}", run)
print(f"hostile: {passed} passed, {failed} failed")
sys.exit(bool(failed) or not passed)
