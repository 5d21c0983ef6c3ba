#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What many or hostile clients cost the relay, and what others notice of it.

Run as: lab/lab run lab/clients_test.py [GROUP...] [-v].  Groups: the functions below that are called test_GROUP.
"""

import argparse
import os
import socket
import ssl
import sys
import threading
import time

sys.dont_write_bytecode = True

import certs        # noqa: E402
import daemon       # noqa: E402
import report       # noqa: E402
from daemon import Relay, Score, wait_until     # noqa: E402

PORT = 4100
BACK = daemon.BACK
MIB = 1 << 20


def letter(octets):
    return "Subject: large\r\n\r\n" + ("x" * 70 + "\r\n") * (octets // 72)


class Silent:
    """A host that takes connections and never says a word."""

    def __init__(self, address, port):
        self.taken = []
        self.listener = socket.create_server((address, port), backlog=100)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                self.taken.append(self.listener.accept()[0])
            except OSError:
                return

    def close(self):
        self.listener.close()
        for c in self.taken:
            c.close()


def memory_files(relay):
    """{inode: (octets in memory, descriptors)} of the memory files that the relay's processes hold."""
    found = {}
    for pid in [relay.process.pid, *relay.children()]:
        try:
            names = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue
        for n in names:
            path = f"/proc/{pid}/fd/{n}"
            try:
                if os.readlink(path).startswith("/memfd:danelaw-message"):
                    s = os.stat(path)
                    octets, held = found.get(s.st_ino, (s.st_blocks * 512, 0))
                    found[s.st_ino] = octets, held + 1
            except OSError:
                pass
    return found


# -- one text, many deliveries -----------------------------------------------------------------------------

def test_texts(score):
    hosts = [Silent(f"127.3.0.{i}", PORT + 50) for i in range(1, 31)]
    relay = Relay("clients-texts", PORT, **{"smtp.port": PORT + 50, "smtp.timeout-greeting": 20,
                                            "queue.retry-first": 3600}).start()
    relay.send([f"u@[127.3.0.{i}]" for i in range(1, 31)], letter(8 * MIB))
    active = wait_until(lambda: relay.totals().get("active", 0) >= 20)
    held = memory_files(relay)
    score.add("texts: one memory file for all deliveries of a message",
              [] if active and len(held) == 1 and sum(o for o, _ in held.values()) < 9 * MIB else [active, held])
    for h in hosts:
        h.close()
    gone = wait_until(lambda: not memory_files(relay), 20)
    score.add("texts: it is gone with the last delivery", [] if gone else [memory_files(relay)])
    score.add("texts: end", [] if relay.stop() == 0 else ["exit"])


# -- sessions that do nothing, drip, or are cut off --------------------------------------------------------------

def test_sessions(score):
    relay = Relay("clients-sessions", PORT).start()
    for name, words in (("RSET", b"RSET\r\n"), ("NOOP", b"NOOP\r\n"), ("EHLO", b"EHLO x\r\n"), ("VRFY", b"VRFY x\r\n"),
                        ("transactions", b"MAIL FROM:<>\r\nRSET\r\n")):
        said, replies = converse(relay.port, words, 1000)
        score.add(f"sessions: {name} without end ends early",
                  [] if replies <= 102 and said.startswith(b"421 4.7.0") else [replies, said])
    with socket.create_connection(("127.0.0.1", relay.port)) as s:
        s.settimeout(20)
        s.recv(4096)
        s.sendall(b"EHLO x\r\n")
        s.recv(4096)
        s.sendall(f"MAIL FROM:<a@{BACK}>\r\nRCPT TO:<u@{BACK}>\r\nDATA\r\n".encode())
        wait_until(lambda: b"354" in s.recv(4096))
        threading.Timer(1, relay.process.terminate).start()
        said = b""
        try:
            while not said:
                s.sendall(b"x" * 998 + b"\r\n")
                time.sleep(0.001)
                said = said_by(s)
            for _ in range(50):         # who is told late goes on: this must not cost the reply
                s.sendall(b"x" * 998 + b"\r\n")
                time.sleep(0.002)
            said += s.recv(4096)
        except OSError as e:
            said += repr(e).encode()
        score.add("sessions: a text that a drain cuts off hears 421 and no reset",
                  [] if said.startswith(b"421 4.3.2") and b"Error" not in said else [said])
    score.add("sessions: end", [] if relay.stop() == 0 else ["exit"])


def said_by(s):
    """What is there to read now."""
    try:
        return s.recv(4096, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return b""


def converse(port, words, times):
    """Says these lines, each behind the reply to the one before; the last reply and how many there were."""
    with socket.create_connection(("127.0.0.1", port)) as s:
        f, last, n = s.makefile("rb"), b"", 0
        s.settimeout(20)
        f.readline()
        for line in [b"EHLO x\r\n"] + [l + b"\r\n" for l in words.split(b"\r\n")[:-1]] * times:
            try:
                s.sendall(line)
                reply = f.readline()
                while reply[3:4] == b"-":
                    reply = f.readline()
            except OSError:
                break
            if not reply:
                break
            last, n = reply, n + 1
        return last, n


def test_handshake(score):
    """TLS that drips has a minute, on 465 and behind STARTTLS."""
    folder = report.state() / "relay" / "clients-tls"
    folder.mkdir(parents=True, exist_ok=True)
    maker = certs.Certs()
    maker.add_ca({"name": "clients"})
    maker.make({"ca": "clients", "key": "ec", "names": ["mx.lab.test"]}, "mx.lab.test").write(folder / "mx.pem")
    relay = Relay("clients-handshake", PORT, **{
        "relay.submissions": f"127.0.0.1:{PORT + 2}", "relay.certificate": folder / "mx.chain.pem",
        "relay.key": folder / "mx.pem"}).start()
    took = {}

    def drip(name, port, starttls):
        with socket.create_connection(("127.0.0.1", port)) as s:
            if starttls:
                for line in (b"EHLO x\r\n", b"STARTTLS\r\n"):
                    wait_until(lambda: s.recv(4096))
                    s.sendall(line)
                wait_until(lambda: s.recv(4096).startswith(b"220"))
            s.settimeout(1)
            began = time.monotonic()
            for octet in client_hello():
                try:
                    s.sendall(bytes([octet]))
                    if s.recv(4096) == b"":
                        break
                except TimeoutError:
                    continue
                except OSError:
                    break
            took[name] = time.monotonic() - began

    threads = [threading.Thread(target=drip, args=a) for a in (("465", PORT + 2, False), ("STARTTLS", PORT, True))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for name, seconds in took.items():
        score.add(f"handshake: one that drips ends after a minute: {name}", [] if 55 < seconds < 66 else [seconds])
    score.add("handshake: end", [] if relay.stop() == 0 else ["exit"])


def client_hello():
    out = ssl.MemoryBIO()
    try:
        ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname="mx.lab.test").do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


# -- all ---------------------------------------------------------------------------------------------------

GROUPS = {name[5:]: f for name, f in list(globals().items()) if name.startswith("test_")}


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("groups", nargs="*", metavar="GROUP")
    p.add_argument("-v", "--verbose", action="store_true")
    a = p.parse_args()
    score = Score(a.verbose)
    for name, run in GROUPS.items():
        if not a.groups or name in a.groups:
            began = time.monotonic()
            run(score)
            if a.verbose:
                print(f"     {name}: {time.monotonic() - began:.1f} s", flush=True)
    print(f"clients: {score.passed} passed, {score.failed} failed")
    return 1 if score.failed else 0


if __name__ == "__main__":
    sys.exit(main())
