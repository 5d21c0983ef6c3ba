#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What many or hostile clients cost the relay, and what others notice of it.

Run as: lab/lab run lab/clients_test.py [GROUP...] [-v].  Groups: the functions below that are called test_GROUP.
"""

import argparse
import multiprocessing
import os
import resource
import select
import signal
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


def shared_memory(relay):
    return sum(octets for octets, _ in memory_files(relay).values())


class Endless:
    """Texts that never end: so many clients from that address, each with so many octets."""

    def __init__(self, address, port, clients, octets, to="u@mydomain.test"):
        self.clients, self.refused, self.taken = [], 0, 0
        chunk = (b"y" * 998 + b"\r\n") * 100
        for _ in range(clients):
            try:
                s = connect(address, port)
                f = s.makefile("rb")
                for line in (None, b"EHLO x", f"MAIL FROM:<a@{BACK}>".encode(), f"RCPT TO:<{to}>".encode(), b"DATA"):
                    if line:
                        s.sendall(line + b"\r\n")
                    reply = f.readline()
                    while reply[3:4] == b"-":
                        reply = f.readline()
                if not reply.startswith(b"354"):
                    self.refused += 1
                    s.close()
                    continue
                for _ in range(octets // len(chunk) + 1):
                    s.sendall(chunk)
                self.taken += 1
                self.clients.append(s)
            except OSError:
                self.refused += 1

    def replies(self):
        """What those who end their text now hear."""
        out = []
        for s in self.clients:
            try:
                s.sendall(b"\r\n.\r\n")
                out.append(s.recv(4096)[:9].decode("latin-1"))
            except OSError as e:
                out.append(repr(e))
        return out

    def close(self):
        for s in self.clients:
            s.close()


def test_unfinished(score):
    """Texts without end: bounded memory and disk, and others' large mail comes through."""
    backend = Backend("127.3.0.9", PORT + 60)
    relay = Relay("clients-unfinished", PORT, **STRANGERS, **{
        "relay.text-memory": 8 * MIB, "relay.text-disk": 64 * MIB}).start()
    first = Endless("127.20.0.1", relay.port, 40, 500000)       # a quarter of the memory, then of the disk
    peak = shared_memory(relay)
    score.add("unfinished: memory of one network", [] if first.taken == 40 and peak <= 3 * MIB else [first.taken, peak])
    second = Endless("127.20.0.2", relay.port, 4, 8 * MIB)      # the same network: no room for all of that
    peak = max(peak, shared_memory(relay))
    ends = second.replies()
    score.add("unfinished: a network has its share", [] if "452 4.3.1" in ends else [ends, second.refused])
    others = [large(f"127.{n}.0.1", relay.port, 3 * MIB) for n in (30, 31, 32)]
    score.add("unfinished: large mail of others", [] if others == ["250"] * 3 else others)
    crowd = [Endless(f"127.{n}.0.1", relay.port, 3, 5 * MIB) for n in range(40, 46)]
    peak = max(peak, shared_memory(relay))
    score.add("unfinished: memory", [] if peak <= 8 * MIB else [peak])
    score.add("unfinished: strangers leave room on the disk", [] if "452 4.3.1" in sum((c.replies() for c in crowd), [])
              else ["all were taken"])
    for c in [first, second, *crowd]:
        c.close()
    again = wait_until(lambda: large("127.33.0.1", relay.port, 3 * MIB) == "250")
    score.add("unfinished: room afterwards", [] if again else ["refused"])
    got = wait_until(lambda: relay.is_empty(), 20)
    score.add("unfinished: what was taken is delivered", [] if got else [relay.totals()])
    score.add("unfinished: end", [] if relay.stop() == 0 else ["exit"])
    backend.close()


def large(address, port, octets):
    return hand_in(address, port, text=letter(octets).encode())


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
        s.settimeout(0)         # else Python waits, whatever the flags
        return s.recv(4096)
    except BlockingIOError:
        return b""
    finally:
        s.settimeout(20)


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


# -- idle clients --------------------------------------------------------------------------------------------------

STRANGERS = {"relay.networks": "192.0.2.1/32", "destination.mydomain.test.route": f"[127.3.0.9]:{PORT + 60}"}


class Backend:
    """Takes everything, without a word too much."""

    def __init__(self, address, port):
        self.listener = socket.create_server((address, port), backlog=100)
        self.unknown, self.heard = set(), []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                threading.Thread(target=self.serve, args=(self.listener.accept()[0],), daemon=True).start()
            except OSError:
                return

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)        # else the thread that waits there holds it
        self.listener.close()

    def serve(self, c):
        f = c.makefile("rb")
        text = False
        try:
            c.sendall(b"220 back\r\n")
            for line in f:
                word = line[:4].upper()
                if text:
                    text = line != b".\r\n"
                    if not text:
                        c.sendall(b"250 2.0.0 ok\r\n")
                    continue
                self.heard.append(line.strip().decode("latin-1"))
                text = word == b"DATA"
                c.sendall(b"354 go\r\n" if text else b"221 bye\r\n" if word == b"QUIT" else b"250 2.1.0 ok\r\n")
        except OSError:
            pass
        c.close()


def connect(address, port):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, 0))
    s.settimeout(20)
    s.connect(("127.0.0.1", port))
    return s


def hand_in(address, port, to="u@mydomain.test", text=b"Subject: x\r\n\r\nx\r\n"):
    """What becomes of one small message from that address: "250" or the reply that ended it."""
    try:
        with connect(address, port) as s:
            f = s.makefile("rb")
            steps = (None, b"EHLO x", f"MAIL FROM:<a@{BACK}>".encode(), f"RCPT TO:<{to}>".encode(), b"DATA", text + b".")
            for line in steps:
                if line:
                    s.sendall(line + b"\r\n")
                reply = f.readline()
                while reply[3:4] == b"-":
                    reply = f.readline()
                if reply[:1] not in b"23" or not reply:
                    return reply.decode("latin-1").strip() or "closed"
            return "250"
    except OSError as e:
        return repr(e)


class Idle:
    """Clients that connect and say nothing; who is sent away comes again, some hundred times a second. A process of its
    own, which leaves ours the time to measure."""

    AGAIN = 400         # a second, once all were there

    def __init__(self, port, addresses, clients):
        self.port, self.addresses, self.clients = port, addresses, clients
        self.number = multiprocessing.Value("i", 0)
        self.process = multiprocessing.get_context("fork").Process(target=self.run, daemon=True)
        self.process.start()

    @property
    def came(self):
        return self.number.value

    def run(self):
        mine, poll = {}, select.poll()
        while True:
            began = time.monotonic()
            more = 100 if self.came < self.clients else self.AGAIN // 20
            while len(mine) < self.clients and more > 0:
                try:
                    s = connect(self.addresses[self.came % len(self.addresses)], self.port)
                except OSError:
                    break
                self.number.value += 1
                more -= 1
                mine[s.fileno()] = s
                poll.register(s, select.POLLIN)
            for fd, _ in poll.poll(0):
                try:
                    word = mine[fd].recv(4096)
                except OSError:
                    word = b""
                if not word:
                    poll.unregister(fd)
                    mine.pop(fd).close()
            if self.came >= self.clients:
                time.sleep(max(0, 0.05 - (time.monotonic() - began)))

    def stop(self):
        self.process.kill()
        self.process.join()


def test_idle(score):
    """Idle clients that are twice as many as there are places for strangers, from 120 addresses, and mail of others."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    backend = Backend("127.3.0.9", PORT + 60)
    known = [f"127.9.{n}.1" for n in range(20)]
    relay = Relay("clients-idle", PORT, **STRANGERS, **{"relay.clients-max": 1000}).start()
    before = [hand_in(a, relay.port) for a in known]
    score.add("idle: mail before", [] if set(before) == {"250"} else before)
    crowd = Idle(relay.port, [f"127.20.{n // 60}.{n % 60 + 1}" for n in range(120)], 2200)
    wait_until(lambda: crowd.came > 2200, 20)
    got = []
    for turn in range(3):
        got += [hand_in(a, relay.port) for a in known]
        time.sleep(0.5)
    score.add("idle: all mail of clients that brought some before", [] if set(got) == {"250"} else [crowd.came, got])
    strange = [hand_in(f"127.30.{n}.1", relay.port) for n in range(20)]
    score.add("idle: nearly all mail of strangers from elsewhere",
              [] if strange.count("250") >= 18 else [crowd.came, strange])
    score.add("idle: the log says so", [] if wait_until(lambda: relay.event("clients-sent-away")) else ["not a word"])
    crowd.stop()
    score.add("idle: mail afterwards", [] if hand_in("127.31.0.1", relay.port) == "250" else ["refused"])
    score.add("idle: end", [] if relay.stop() == 0 else ["exit"])
    backend.close()


def greeting(address, port):
    s = connect(address, port)
    return s, s.recv(4096)


def is_served(s, word):
    """Has it a greeting, and nothing more?"""
    try:
        s.settimeout(0)
        s.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return word.startswith(b"220")
    except OSError:
        pass
    return False


def test_limits(score):
    """Of all and of an address, over several intakes."""
    relay = Relay("clients-limits", PORT, **STRANGERS, **{
        "relay.clients-max": 16, "relay.clients-per-address": 4, "relay.intakes": 4}).start()
    held = [greeting("127.20.0.1", relay.port) for _ in range(7)]
    good = sum(word.startswith(b"220") for _, word in held)
    refused = [word for _, word in held if not word.startswith(b"220")]
    score.add("limits: of an address", [] if good == 4 and all(b"421 4.7.0" in w for w in refused) else [held])
    more = [greeting(f"127.21.{n}.1", relay.port) for n in range(30)]
    alive = wait_until(lambda: (n := sum(is_served(*x) for x in held + more)) <= 12 and n, 5)
    score.add("limits: of strangers", [] if alive and 9 <= alive else [sum(is_served(*x) for x in held + more)])
    for s, _ in held + more:
        s.close()
    score.add("limits: end", [] if relay.stop() == 0 else ["exit"])


# -- strangers: whom they may write to, and how much ---------------------------------------------------------------

def test_strangers(score):
    backend = Backend("127.3.0.9", PORT + 60)
    folder = report.state() / "relay" / "clients-strangers.files"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "people").write_text("alice@mydomain.test\n")
    relay = Relay("clients-strangers", PORT, **STRANGERS, **{
        "destination.mydomain.test.verify-recipients": "table", "destination.mydomain.test.recipients": folder / "people",
        "relay.client-messages-per-minute": 20, "relay.client-recipients-per-minute": 30, "relay.intakes": 1}).start()
    said = {to: hand_in("127.20.0.1", relay.port, f"{to}@mydomain.test") for to in ("alice", "Alice", "postmaster", "bob")}
    score.add("strangers: recipients in a table", [] if list(said.values())[:3] == ["250"] * 3 and
              said["bob"].startswith("550 5.1.1") else [said])
    (folder / "people").write_text("alice@mydomain.test\nbob@mydomain.test\n")
    relay.process.send_signal(signal.SIGHUP)
    again = wait_until(lambda: hand_in("127.20.0.2", relay.port, "bob@mydomain.test") == "250")
    score.add("strangers: a reload reads the table again", [] if again else ["bob is unknown"])
    (folder / "people").write_text("alice at mydomain.test\n")
    relay.process.send_signal(signal.SIGHUP)
    kept = wait_until(lambda: relay.event("reload-failed") or "people:1:" in relay.log_text())
    said = hand_in("127.20.0.3", relay.port, "bob@mydomain.test")
    score.add("strangers: a broken table is not taken", [] if kept and said == "250" else [kept, said])
    many = [hand_in("127.21.0.1", relay.port, "alice@mydomain.test") for _ in range(22)]
    score.add("strangers: messages in a minute",
              [] if many[:20] == ["250"] * 20 and many[21].startswith("450 4.7.1") else many)
    other = hand_in("127.21.0.2", relay.port, "alice@mydomain.test")
    score.add("strangers: others have their own", [] if other == "250" else [other])
    with connect("127.22.0.1", relay.port) as s:
        f = s.makefile("rb")
        f.readline()
        s.sendall(b"HELO x\r\n")
        f.readline()
        s.sendall(b"MAIL FROM:<>\r\n" + b"RCPT TO:<alice@mydomain.test>\r\n" * 32)
        got = [f.readline()[:9] for _ in range(33)]
    score.add("strangers: recipients in a minute", [] if got[1:31] == [b"250 2.1.5"] * 30 and
              got[31:] == [b"450 4.7.1"] * 2 else got)
    score.add("strangers: end", [] if relay.stop() == 0 else ["exit"])
    backend.close()


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
