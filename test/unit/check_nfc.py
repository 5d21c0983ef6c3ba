#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""wire/nfc.h against Python's unicodedata: each character alone and beside others, and random texts of those that combine.

Run as: check_nfc.py NFC-LINES NFC.TBL.  Only characters that both know: a newer Python has more of them."""

import pathlib
import random
import re
import subprocess
import sys
import unicodedata as ucd

program, table = sys.argv[1:]
version = re.search(r"of Unicode (\S+);", pathlib.Path(table).read_text()).group(1)
known = ucd if version == ucd.unidata_version else ucd.ucd_3_2_0
every = [chr(c) for c in range(0x20, 0x110000) if not 0xD800 <= c < 0xE000 and known.category(chr(c)) != "Cn"]
split = [c for c in every if known.combining(c) or re.match(r"[0-9A-F]", known.decomposition(c))]
split += [chr(c) for c in [*range(0x1100, 0x1200), 0xAC00, 0xAC01, 0xAC1C]] + list("aeiouAEIOUnsq") * 20
texts = [before + c + after for c in every for before, after in (("", ""), ("a", ""), ("", "\u0301"), ("", "\u0323\u0301"))]
dice = random.Random(7)
for _ in range(60000):
    text = "".join(dice.choice(split) for _ in range(dice.randint(1, 7)))
    texts += [text, ucd.normalize("NFC", text)]
said = subprocess.run([program], input="\n".join(texts).encode() + b"\n", capture_output=True, check=True).stdout.split()
wrong = [t for t, s in zip(texts, said) if (s == b"1") != (ucd.normalize("NFC", t) == t)]
for t in wrong[:10]:
    print("wrong:", ascii(t))
print(f"nfc: {len(texts)} texts, {len(wrong)} wrong, {len(texts) - len(said)} without an answer")
sys.exit(bool(wrong) or len(said) != len(texts))
