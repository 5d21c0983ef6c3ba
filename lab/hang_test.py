#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Which silence of a process is a hang, and which is a slow disk; and a start right after a kill.

Run as: lab/lab run lab/hang_test.py [-v] [PATTERN...].  The keeper is stopped under the limit that is the default,
loops without an end, sleeps for ever, and waits for a disk that is frozen.  Needs root.
"""

import argparse
import ctypes
import fcntl
import fnmatch
import os
import pathlib
import platform
import signal
import smtplib
import subprocess
import sys
import time

sys.dont_write_bytecode = True

import daemon       # noqa: E402
import disk         # noqa: E402
from daemon import BACK, Relay, Score, is_alive, wait_until    # noqa: E402

DEFAULT = 30                            # relay.hang-limit
SHORT = 5
AT_MOST = 40                            # seconds until a hung process is replaced, by default
FREEZE, THAW = 0xC0045877, 0xC0045878   # FIFREEZE, FITHAW
STARTS = 20

# What epoll_wait() of a process becomes: `jmp .`; and a futex(2) that nobody will ever wake.
LOOP = bytes.fromhex("ebfe")
SLEEP = bytes.fromhex("4883ec08" "c7042400000000" "4889e7" "31f6" "31d2" "4531d2" "b8ca000000" "0f05" "ebf7")


def takes(relay, seconds):
    """How long it took until mail was taken again; None: longer."""
    began = time.monotonic()

    def go():
        try:
            return relay.send(f"x@{BACK}", b"Subject: x\r\n\r\nx\r\n")
        except (OSError, smtplib.SMTPException):
            return None
    return time.monotonic() - began if wait_until(go, seconds, 0.2) else None


def keeper_of(relay):
    return relay.roles()["keeper"][-1]


def test_stopped(score):
    """As it comes out of the box."""
    relay = Relay("hang-stopped", 3000).start()
    pid = keeper_of(relay)
    os.kill(pid, signal.SIGSTOP)
    took = takes(relay, AT_MOST + 20)
    said = relay.event("process-hangs", pid=str(pid)) or {}
    score.add("stopped: replaced, and mail is taken, within 40 s", [] if took is not None and took < AT_MOST and
              not is_alive(pid) else [took, said])
    score.add("stopped: not before the limit", [] if took is not None and took > DEFAULT - 2 else [took])
    score.add("stopped: the line says so", [] if said.get("state") == "stopped" and said.get("role") == "keeper" else [said])
    relay.stop()


def libc_of(pid):
    """Where the C library begins in this process."""
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
        if "/libc.so" in line or "/libc-" in line:
            return int(line.split("-")[0], 16)
    raise RuntimeError("no C library")


def offset_of(name):
    return ctypes.cast(getattr(ctypes.CDLL(None), name), ctypes.c_void_p).value - libc_of("self")


def patch(pid, code):
    """The process does this instead when it next waits for events.  It waits just now, in the middle of
    epoll_wait(): its first octets become a jump to a function that nobody calls."""
    base, start, place = libc_of(pid), offset_of("epoll_wait"), offset_of("strfry")
    with open(f"/proc/{pid}/mem", "r+b", 0) as mem:
        mem.seek(base + place)
        mem.write(code)
        mem.seek(base + start)
        mem.write(b"\xe9" + (place - start - 5).to_bytes(4, "little", signed=True))


def test_code(score):
    """A loop without an end, and a lock that is never let go."""
    if platform.machine() != "x86_64":
        print("SKIP hangs that are made of machine code: not on this machine")
        return
    for name, code, state in (("loops", LOOP, "runs"), ("sleeps", SLEEP, "sleeps")):
        relay = Relay(f"hang-{name}", 3005, **{"relay.hang-limit": SHORT}).start()
        for role in ("keeper", "courier", "resolver", "intake"):
            pid = relay.roles()[role][-1]
            patch(pid, code)
            said = wait_until(lambda p=pid: relay.event("process-hangs", pid=str(p)), 8 * SHORT, 0.2) or {}
            score.add(f"{name}: the {role} is replaced", [] if said.get("state") == state and
                      int(said["silent-for"]) <= 3 * SHORT else [said, relay.log_text()[-300:]])
        score.add(f"{name}: mail goes on", [] if takes(relay, 20) is not None else ["it does not"])
        relay.stop()


def test_disk(score):
    """A disk that does not move for three limits: the keeper waits, and lives; stopped meanwhile, it is replaced."""
    try:
        there = disk.Disk("ext4")
    except disk.CannotHave as e:
        print(f"SKIP the frozen disk: {e}")
        return
    relay = Relay("hang-disk", 3010, **{"relay.hang-limit": SHORT, "relay.store": there.folder / "queue.db"}).start()
    fd = os.open(there.folder, os.O_RDONLY | os.O_DIRECTORY)
    pid = keeper_of(relay)
    try:
        fcntl.ioctl(fd, FREEZE, 0)
        with relay.client() as c:
            c.timeout = 60
            c.sock.settimeout(60)
            c.ehlo()
            c.docmd(f"MAIL FROM:<a@{BACK}>")
            c.docmd(f"RCPT TO:<x@{BACK}>")
            c.docmd("DATA")
            c.send(b"Subject: frozen\r\n\r\nx\r\n.\r\n")
            waits = wait_until(lambda: pathlib.Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] == "D", 10)
            score.add("disk: the keeper waits for it", [] if waits else ["no"])
            time.sleep(3 * SHORT)
            score.add("disk: it is not killed for that", [] if is_alive(pid) and not relay.event("process-hangs") else
                      relay.events("process-hangs"))
            fcntl.ioctl(fd, THAW, 0)
            code, text = c.getreply()
            score.add("disk: and the mail is taken when the disk is back", [] if code == 250 else [code, text])
        score.add("disk: by the same keeper", [] if keeper_of(relay) == pid else ["another one"])
        os.kill(pid, signal.SIGSTOP)
        score.add("disk: stopped it is replaced soon", [] if wait_until(lambda: not is_alive(pid), 4 * SHORT) else ["no"])
    finally:
        try:
            fcntl.ioctl(fd, THAW, 0)
        except OSError:
            pass
        os.close(fd)
    relay.stop()
    there.unmount()


HANGING = ("intake", "keeper", "courier")


def test_restart(score):
    """kill -9 of the parent and a start at once, again and again: no address and no lock is in the way."""
    relay = Relay("hang-restart", 3015, user="nobody" if daemon.can_be_nobody() else "").start()
    slept, failed = [], []
    for n in range(STARTS):
        if n % 2:                       # one that hangs would outlive its parent for ever
            os.kill(relay.roles()[HANGING[n // 2 % len(HANGING)]][-1], signal.SIGSTOP)
        pids = [pid for some in relay.roles().values() for pid in some]
        relay.process.kill()
        relay.process.wait()
        began = time.monotonic()
        try:
            relay.start()
        except RuntimeError as e:
            failed.append(f"{n}: {e}"[-400:])
            relay.kill()
            continue
        slept.append(time.monotonic() - began)
        left = [pid for pid in pids if is_alive(pid)]
        if left:
            failed.append(f"{n}: {left} are still there")
    score.add(f"restart: {STARTS} starts right after kill -9", failed)
    score.add("restart: within 5 s each", [] if slept and max(slept) < 5 else [slept])
    score.add("restart: mail is taken", [] if takes(relay, 5) is not None else ["no"])
    relay.stop()


TESTS = {"stopped": test_stopped, "code": test_code, "disk": test_disk, "restart": test_restart}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-v", "--verbose", action="store_true", help="also say what passed")
    parser.add_argument("patterns", nargs="*", default=["*"])
    args = parser.parse_args()
    score = Score(args.verbose)
    for name, test in TESTS.items():
        if not any(fnmatch.fnmatch(name, p) for p in args.patterns):
            continue
        try:
            test(score)
        except (OSError, RuntimeError, smtplib.SMTPException, subprocess.SubprocessError) as e:
            score.add(name, [f"broke off: {e!r}"])
    print(f"{score.passed} passed, {score.failed} failed", flush=True)
    return 1 if score.failed or not score.passed else 0


if __name__ == "__main__":
    sys.exit(main())
