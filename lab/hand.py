# SPDX-License-Identifier: MIT
"""A hand inside a running process of the relay: its ends of channels, and what it could say over them.

Knows the frames and the table of messages, and nothing of what they mean.  Needs root, and the process's consent to
nothing: pidfd_getfd(2).
"""

import ctypes
import os
import pathlib
import re
import socket
import struct
import subprocess

PIDFD_GETFD = 438                       # the same on all machines
WITH_FD = 0x8000
TABLE = pathlib.Path(__file__).resolve().parent.parent / "src" / "relay" / "messages.tbl"
NAMES = re.findall(r"^MESSAGE\((\w+),", TABLE.read_text(), re.M)


def frame(name, payload=b"", fd=False):
    return struct.pack(">IH", len(payload) + 2, NAMES.index(name) | (WITH_FD if fd else 0)) + payload


def sockets(pid):
    """{inode: descriptor}"""
    out = {}
    for n in os.listdir(f"/proc/{pid}/fd"):
        try:
            found = re.match(r"socket:\[(\d+)\]", os.readlink(f"/proc/{pid}/fd/{n}"))
        except OSError:
            continue
        if found:
            out[int(found.group(1))] = int(n)
    return out


def pairs():
    """{inode: inode of the other end} of all Unix sockets."""
    out = {}
    for line in subprocess.run(["ss", "-xaH"], capture_output=True, text=True).stdout.splitlines():
        fields = line.split()
        if len(fields) > 7 and fields[5].isdigit() and fields[7].isdigit():
            out[int(fields[5])] = int(fields[7])
    return out


def channel(pid, other):
    """A copy of pid's end of its channel to the other process; None: there is none."""
    mine, others, ends = sockets(pid), sockets(other), pairs()
    for inode, fd in mine.items():
        if ends.get(inode) in others:
            handle = os.pidfd_open(pid)
            copy = ctypes.CDLL(None, use_errno=True).syscall(PIDFD_GETFD, handle, fd, 0)
            os.close(handle)
            return socket.socket(fileno=copy) if copy >= 0 else None
    return None
