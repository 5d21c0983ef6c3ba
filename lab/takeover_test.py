#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What somebody who has taken over one process of the relay does not get.

Run as: lab/lab run lab/takeover_test.py [-v] [PATTERN...].  The control socket as the relay's own user, as a
stranger and as an operator; and what an intake or a courier can do to the others over the channels that it has.
Needs root, to be several users.
"""

import argparse
import fcntl
import fnmatch
import os
import pwd
import shutil
import socket
import subprocess
import sys
import time

sys.dont_write_bytecode = True

import daemon       # noqa: E402
import hand         # noqa: E402
from daemon import BACK, Relay, Score, wait_until    # noqa: E402

KEEPER = 2                              # enum role in src/relay/channel.h

SAY = """
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(10)
try:
    s.connect(sys.argv[1])
    try:
        s.sendall(b"stats\\n")
    except ConnectionError:             # refused: the answer is there already
        pass
    text = b""
    try:
        while piece := s.recv(65536):
            text += piece
    except ConnectionError:             # our line was not read
        pass
    print(text.splitlines()[-1].decode())
except OSError as e:
    print(type(e).__name__)
"""


def say(relay, user, groups=()):
    """The last line that this user gets from the control socket, or the error that keeps it away."""
    done = subprocess.run([sys.executable, "-c", SAY, str(relay.control)], capture_output=True, text=True, timeout=30,
                          user=user, group=user if user != "nobody" else "nogroup", extra_groups=list(groups))
    return done.stdout.strip()


def test_control(score):
    """The kernel says who connects, and the relay's own user is no operator."""
    relay = Relay("takeover-control", 2950, user="nobody", **{"relay.control-group": "mail"}).start()
    there = os.stat(relay.control)
    score.add("control: the socket is root's", [] if there.st_uid == 0 and there.st_mode & 0o777 == 0o660 else
              [there.st_uid, oct(there.st_mode)])
    score.add("control: root may", [] if '"ok":true' in say(relay, "root") else [say(relay, "root")])
    score.add("control: a member of the group may", [] if '"ok":true' in say(relay, "bin", ["mail"]) else
              [say(relay, "bin", ["mail"])])
    for who, groups in (("nobody", ()), ("bin", ())):
        score.add(f"control: {who} finds it closed", [] if say(relay, who, groups) == "PermissionError" else
                  [say(relay, who, groups)])
    os.chmod(relay.control, 0o777)          # and now only the kernel's word is left
    for who, groups in (("nobody", ()), ("nobody", ["mail"]), ("bin", ())):
        got = say(relay, who, groups)
        score.add(f"control: {who} with {list(groups)} is refused by name", [] if "not allowed" in got else [got])
    uid = str(pwd.getpwnam("nobody").pw_uid)
    score.add("control: who was refused is logged", [] if relay.event("operator-refused", uid=uid) else ["no line"])
    relay.send(f"x@never.{BACK}", b"Subject: x\r\n\r\nx\r\n")
    relay.queue("hold", "older-than=0")
    score.add("control: who changed the queue is logged", [] if relay.event("operator", uid="0", change="hold") else
              ["no line"])
    os.kill(relay.roles()["keeper"][0], 9)
    score.add("control: the socket outlives a keeper", [] if wait_until(lambda: '"ok":true' in say(relay, "root"), 10)
              else ["no answer"])
    score.add("control: a second relay leaves it alone", second(relay))
    score.add("control: and goes with the relay", [] if relay.stop() == 0 and not relay.control.exists() else
              ["still there"])


def second(relay):
    """A relay with the same control socket ends with one line and takes nothing away."""
    other = Relay("takeover-second", 2955, user="nobody", **{"relay.control": relay.control}).launch()
    code = other.process.wait(30)
    said = [e for e in other.events("control") if e.get("path") == str(relay.control)]
    return [] if code == 71 and len(said) == 1 and '"ok":true' in say(relay, "root") else [code, said]


def test_unprivileged(score):
    """Started by an ordinary user: that user is the operator, others are not."""
    relay = Relay("takeover-unprivileged", 2960, prefix=["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"])
    shutil.chown(relay.folder, "nobody")
    os.chmod(daemon.report.state(), 0o755)
    relay.start()
    for who, words in (("nobody", '"ok":true'), ("root", '"ok":true'), ("bin", "PermissionError")):
        score.add(f"unprivileged: {who}", [] if words in say(relay, who) else [say(relay, who)])
    relay.stop()


def test_descriptors(score):
    """An intake that hands its page in again and again does not use up the keeper's descriptors."""
    relay = Relay("takeover-descriptors", 2965, user="nobody").start()
    keeper, intake = relay.roles()["keeper"][0], relay.roles()["intake"][0]
    page, most, sent = os.memfd_create("page", os.MFD_ALLOW_SEALING), 0, 0
    os.ftruncate(page, 1 << 20)
    fcntl.fcntl(page, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    channel = hand.channel(intake, keeper)
    channel.settimeout(5)
    until = time.monotonic() + 2
    try:
        while time.monotonic() < until:
            socket.send_fds(channel, [hand.frame("ROSTER", fd=True)], [page])
            sent += 1
            if sent % 100 == 0:
                most = max(most, len(daemon.open_files(keeper)))
    except OSError:                         # cut off
        pass
    channel.close()
    score.add("descriptors: pages, and no end of them", [] if sent and most < 100 and daemon.is_alive(keeper) else
              [f"{sent} sent, the keeper had up to {most} descriptors"])
    relay.stop()


def test_cut_off(score):
    """Who is cut off for nonsense, his own or the fault of a keeper without memory, is brought back or replaced."""
    relay = Relay("takeover-cut-off", 2970, user="nobody").start()
    keeper = relay.roles()["keeper"][0]
    for courier in relay.roles()["courier"]:
        channel = hand.channel(courier, keeper)
        channel.sendall(hand.frame("EVIDENCE", bytes(100)))
        channel.close()
    taken = relay.send(f"x@{BACK}", b"Subject: x\r\n\r\nx\r\n")
    score.add("cut-off: couriers work again", [] if wait_until(lambda: relay.event("sent", id=taken), 20) else
              [relay.rows("list")])
    courier = relay.roles()["courier"][0]
    for _ in range(40):
        if daemon.is_alive(courier) and (parent := hand.channel(courier, relay.process.pid)):
            parent.sendall(hand.frame("LACKING", bytes([KEEPER])))
            parent.close()
    score.add("cut-off: one that is so again and again is replaced", [] if wait_until(
        lambda: not daemon.is_alive(courier) and len(relay.roles()["courier"]) == 2, 10) else [relay.roles()])
    relay.stop()


TESTS = {"control": test_control, "unprivileged": test_unprivileged, "descriptors": test_descriptors,
         "cut-off": test_cut_off}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-v", "--verbose", action="store_true", help="also say what passed")
    parser.add_argument("patterns", nargs="*", default=["*"])
    args = parser.parse_args()
    score = Score(args.verbose)
    if os.geteuid() != 0 or not daemon.can_be_nobody():
        print("SKIP: not root, or there is no user nobody that can reach the lab's folder")
        return 0
    for name, test in TESTS.items():
        if not any(fnmatch.fnmatch(name, p) for p in args.patterns):
            continue
        try:
            test(score)
        except (OSError, RuntimeError, subprocess.SubprocessError) as e:
            score.add(name, [f"broke off: {e!r}"])
    print(f"{score.passed} passed, {score.failed} failed", flush=True)
    return 1 if score.failed or not score.passed else 0


if __name__ == "__main__":
    sys.exit(main())
