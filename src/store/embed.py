#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A text file as a C string (an array of numbers: string literals have a maximum length).

    embed.py NAME IN OUT"""

import sys

name, source, target = sys.argv[1:]
with open(source, "rb") as f:
    data = f.read() + b"\0"
lines = [", ".join(str(b) for b in data[i:i + 24]) for i in range(0, len(data), 24)]
with open(target, "w", encoding="ascii") as f:
    f.write('#include "store/room.h"\n\nconst char %s[] = {\n\t%s,\n};\n' % (name, ",\n\t".join(lines)))
