# SPDX-License-Identifier: MIT
"""Everybody who may talk to the relay, at their worst: clients, MX hosts, a name server, operators.

Each takes its decisions from a generator of its own, seeded by the run's seed and its own name: the same seed makes the
same decisions, however the threads are scheduled.  What was handed in and what arrived is kept for the model of
fuzz_relay.py.  Runs inside the lab.
"""

import base64
import itertools
import random
import re
import socket
import socketserver
import ssl
import struct
import threading
import time

import domains      # the lab's
import fakedns

ZONE = "fuzz.unsigned.test"             # below a zone without signatures: ours to answer for
HOSTS = 6                               # hN.ZONE, whose hosts lie, break off, hang
HONEST = 250                            # s.ZONE: takes everything; senders live there
NET = "127.99.1."                       # host N is NET + N
NAMES = "127.99.0.53"
MARK = re.compile(rb"X-Fuzz: (\S+)\r\n")
REPLY_LINES = ["250 ok", "250-never", "2", "250", "251 will forward", "354 go on", "334 ", "421 4.3.2 bye", "450 4.2.1 busy",
               "451 4.3.0 later", "452 4.5.3 too many", "500 5.5.2 what", "550 5.1.1 nobody", "552 5.2.2 full", "554 5.7.1 no",
               "600 what", "999 nine", "25 0 x", "250 \x00\x01", "250 \xff\xfe", "hello", "", " ", "250-a\r\n550 b", "0" * 600]
VERBS = ["GREETING", "EHLO", "STARTTLS", "MAIL", "RCPT", "DATA", "BDAT", "DOT", "QUIT", "RSET"]


def noise(dice, most):
    return dice.randbytes(dice.randrange(1, most))


# -- MX hosts ----------------------------------------------------------------------------------------------

class Gone(Exception):
    """The session is over."""


class Host:
    """Port 25 of one address."""

    FAULTS = ["reply", "reply", "reply", "drip", "reset", "close", "noise", "flood", "early", "silent", "tls-noise", "inject"]

    def __init__(self, world, number):
        self.world, self.number, self.sessions = world, number, itertools.count()
        self.socket = socket.create_server((f"{NET}{number}", 25), backlog=256)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.socket.accept()
            dice = random.Random(f"{self.world.seed}/host/{self.number}/{next(self.sessions)}")
            threading.Thread(target=HostSession(self, client, dice).run, daemon=True).start()


class HostSession:
    def __init__(self, host, sock, dice):
        self.host, self.sock, self.dice, self.buffer = host, sock, dice, b""
        good = host.number == HONEST or host.world.healed or dice.random() < 0.4
        self.fault = None if good else dice.choice(Host.FAULTS)
        self.step, self.skip = dice.choice(VERBS), dice.randrange(3)
        self.rcpts, self.text, self.tls = [], b"", False

    def run(self):
        try:
            self.sock.settimeout(20)
            self.say("GREETING", "220 fuzz ESMTP")
            while True:
                self.command(self.line())
        except (Gone, OSError, ssl.SSLError, ValueError):
            pass
        finally:
            self.sock.close()

    def line(self):
        while b"\n" not in self.buffer:
            self.fill()
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.rstrip(b"\r").decode("latin-1")

    def fill(self):
        more = self.sock.recv(65536)
        if not more:
            raise Gone
        self.buffer += more

    def say(self, step, text):
        """The reply to this step, or what the fault makes of it; the code that went out whole."""
        if self.fault and step == self.step and self.skip == 0:
            text = self.misbehave(step, text)
        elif step == self.step:
            self.skip -= 1
        data = text.encode("latin-1") + b"\r\n"
        if self.fault == "drip":
            for i in range(len(data)):
                self.sock.sendall(data[i:i + 1])
                time.sleep(0.002)
        else:
            self.sock.sendall(data)
        return text[:1]

    def misbehave(self, step, text):
        dice, fault = self.dice, self.fault
        if fault == "reply":
            return dice.choice(REPLY_LINES)
        if fault == "reset":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise Gone
        if fault == "close":
            self.sock.sendall(text.encode("latin-1")[:dice.randrange(len(text) + 1)])
            raise Gone
        if fault == "noise":
            self.sock.sendall(noise(dice, 3000))
            return text
        if fault == "flood":
            for _ in range(dice.randrange(1, 400)):
                self.sock.sendall(b"250-" + b"x" * dice.randrange(600) + b"\r\n")
            return text
        if fault == "early":            # the reply to what was not said yet
            return text + "\r\n" + dice.choice(REPLY_LINES)
        if fault == "silent":
            time.sleep(dice.choice((0.5, 3, 8)))
            raise Gone
        return text

    def command(self, line):
        verb = line[:4].upper()
        known = {"EHLO": self.ehlo, "HELO": self.ok, "MAIL": self.mail, "RCPT": self.rcpt, "DATA": self.data,
                 "BDAT": self.bdat, "STAR": self.starttls, "QUIT": self.quit}
        known.get(verb, self.ok)(line)

    def ok(self, line):
        self.say(line[:4].upper(), "250 2.0.0 ok")

    def ehlo(self, _):
        words = [] if self.tls else ["STARTTLS"]
        words += [w for w in ("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "CHUNKING", "SIZE 100000", "AUTH PLAIN")
                  if self.host.number == HONEST or self.dice.random() < 0.7]
        self.say("EHLO", "\r\n".join([*(f"250-{w}" for w in ["fuzz", *words]), "250 ENHANCEDSTATUSCODES"]))

    def starttls(self, _):
        if self.fault == "inject":
            self.sock.sendall(b"220 go\r\n250 2.0.0 injected\r\n250 ENHANCEDSTATUSCODES\r\n")
        else:
            self.say("STARTTLS", "220 go")
        if self.fault == "tls-noise":
            self.sock.sendall(noise(self.dice, 2000))
            raise Gone
        self.sock = self.host.world.tls.wrap_socket(self.sock, server_side=True)
        self.tls, self.buffer = True, b""

    def mail(self, _):
        self.rcpts, self.text = [], b""
        self.say("MAIL", "250 2.1.0 ok")

    def rcpt(self, line):
        address = line.partition("<")[2].partition(">")[0]
        refuse = self.fault and self.dice.random() < 0.1
        if self.say("RCPT", "550 5.1.1 nobody" if refuse else "250 2.1.5 ok") == "2":
            self.rcpts.append(address)

    def data(self, _):
        if not self.rcpts:
            self.say("DATA", "554 5.5.1 nobody")
            return
        if self.say("DATA", "354 go") != "3":
            return
        while not (b"\r\n" + self.buffer).endswith(b"\r\n.\r\n") and b"\r\n.\r\n" not in self.buffer:
            if self.fault == "drip":
                time.sleep(0.01)
            self.fill()
        self.text, _, self.buffer = (b"\r\n" + self.buffer).partition(b"\r\n.\r\n")
        self.take()

    def bdat(self, line):
        words = line.split()
        size = int(words[1])
        while len(self.buffer) < size:
            self.fill()
        self.text, self.buffer = self.text + self.buffer[:size], self.buffer[size:]
        if words[-1].upper() == "LAST":
            self.take("BDAT")
        else:
            self.say("BDAT", "250 2.0.0 more")

    def take(self, step="DOT"):
        """Kept before the reply: whoever hears a 2 must find it here."""
        for rcpt in self.rcpts:
            self.host.world.took(rcpt, self.text)
        self.say(step, "250 2.0.0 taken")
        self.rcpts, self.text = [], b""

    def quit(self, _):
        self.say("QUIT", "221 2.0.0 bye")
        raise Gone


# -- DNS ---------------------------------------------------------------------------------------------------

def name_bytes(name):
    return b"".join(bytes([len(label)]) + label.encode("latin-1") for label in name.rstrip(".").split(".") if label) + b"\0"


def record(owner, rtype, data, ttl=1):
    return name_bytes(owner) + struct.pack("!HHIH", rtype, 1, ttl, len(data)) + data


SOA = record(ZONE, 6, name_bytes(f"ns.{ZONE}") + name_bytes(f"a.{ZONE}") + struct.pack("!IIIII", 1, 60, 60, 60, 1))


def own_answer(packet, name, rtype, end):
    first = name.removesuffix("." + ZONE + ".").split(".")[-1]
    answers = []
    if rtype == 15 and first[:1] in "hs":
        answers = [record(name, 15, struct.pack("!H", 10) + name_bytes(f"m{first[1:] or HONEST}.{ZONE}"))]
    elif rtype == 1 and re.fullmatch(r"m\d+", first):
        answers = [record(name, 1, socket.inet_aton(NET + first[1:]))]
    head = packet[:2] + struct.pack("!HHHHH", 0x8580, 1, len(answers), 0 if answers else 1, 0)
    return head + packet[12:end] + b"".join(answers or [SOA])


def loop_answer(packet, name, end):
    """Aliases that lead to more aliases, or in a circle."""
    links = [record(f"c{i}.{ZONE}", 5, name_bytes(f"c{(i + 1) % 40}.{ZONE}")) for i in range(40)]
    all_of_them = record(name, 5, name_bytes(f"c0.{ZONE}")) + b"".join(links)
    return packet[:2] + struct.pack("!HHHHH", 0x8580, 1, 41, 0, 0) + packet[12:end] + all_of_them


def flip(dice, packet):
    out = bytearray(packet)
    for _ in range(dice.randrange(1, 8)):
        out[dice.randrange(2, len(out))] ^= 1 << dice.randrange(8)
    return bytes(out)


class Names:
    """A name server that the relay asks for everything."""

    LIES = ["drop", "servfail", "refused", "cut", "flip", "flip", "wrong-id", "truncate", "noise", "loop", "pointer", "twice"]

    def __init__(self, world):
        self.world, self.asked = world, itertools.count()
        outer = self

        class Udp(socketserver.BaseRequestHandler):
            def handle(self):
                packet, sock = self.request
                try:
                    for out in outer.replies(packet, False):
                        sock.sendto(out, self.client_address)
                except (OSError, IndexError, struct.error):
                    pass

        class Tcp(socketserver.StreamRequestHandler):
            timeout = 5

            def handle(self):
                try:
                    packet = self.rfile.read(struct.unpack("!H", self.rfile.read(2))[0])
                    for out in outer.replies(packet, True):
                        self.wfile.write(struct.pack("!H", len(out)) + out)
                except (OSError, IndexError, struct.error):
                    pass

        class UdpServer(socketserver.ThreadingUDPServer):
            daemon_threads, max_packet_size = True, 65535

        class TcpServer(socketserver.ThreadingTCPServer):
            daemon_threads, allow_reuse_address, request_queue_size = True, True, 64

        for server in (UdpServer((NAMES, 53), Udp), TcpServer((NAMES, 53), Tcp)):
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def replies(self, packet, tcp):
        dice = random.Random(f"{self.world.seed}/dns/{next(self.asked)}")
        name, rtype, end = fakedns.question(packet)
        ours = name.endswith(f".{ZONE}.")
        good = own_answer(packet, name, rtype, end) if ours else self.forward(packet, tcp)
        # Where senders live everything is true: a notice to a domain that somebody says does not exist ends there.
        honest = self.world.healed or name in (f"s.{ZONE}.", f"m{HONEST}.{ZONE}.")
        if honest or dice.random() > (0.35 if ours else 0.08):
            return [good]
        lie = dice.choice(self.LIES)
        if lie == "drop":
            return []
        if lie in ("servfail", "refused"):
            return [fakedns.answer_with(packet, end, fakedns.RCODES[lie])]
        if lie == "truncate":
            return [] if tcp else [fakedns.answer_with(packet, end, 0, 0x8600)]
        if lie == "pointer":            # a name that points to itself
            return [packet[:2] + struct.pack("!HHHHH", 0x8580, 1, 1, 0, 0) + packet[12:end] + struct.pack("!H", 0xc000 | end)
                    + struct.pack("!HHIH", rtype, 1, 60, 0)]
        return {"cut": lambda: [good[:dice.randrange(12, len(good))]], "flip": lambda: [flip(dice, good)],
                "wrong-id": lambda: [bytes([packet[0] ^ 0x55]) + good[1:]], "noise": lambda: [packet[:2] + noise(dice, 600)],
                "loop": lambda: [loop_answer(packet, name, end)], "twice": lambda: [flip(dice, good), good]}[lie]()

    @staticmethod
    def forward(packet, tcp):
        if tcp:
            with socket.create_connection((domains.RESOLVER, 53), 3) as s:
                s.sendall(struct.pack("!H", len(packet)) + packet)
                f = s.makefile("rb")
                return f.read(struct.unpack("!H", f.read(2))[0])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(3)
            s.sendto(packet, (domains.RESOLVER, 53))
            return s.recv(65535)


# -- clients -----------------------------------------------------------------------------------------------

class Client:
    """One connection to the relay; each method is one bad habit."""

    def __init__(self, world, dice, port, place):
        self.world, self.dice, self.buffer = world, dice, b""
        self.sock = socket.create_connection(("127.0.0.1", port), 10, source_address=(place, 0))
        self.sock.settimeout(10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        data = data.encode("latin-1") if isinstance(data, str) else data
        if self.dice.random() < 0.2:    # in pieces
            while data:
                n = self.dice.randrange(1, 200)
                self.sock.sendall(data[:n])
                data = data[n:]
        else:
            self.sock.sendall(data)

    def reply(self):
        """The last line of the next reply."""
        while True:
            while b"\n" not in self.buffer:
                more = self.sock.recv(65536)
                if not more:
                    raise Gone
                self.buffer += more
            line, self.buffer = self.buffer.split(b"\n", 1)
            if line[3:4] != b"-":
                return line.decode("latin-1").strip()

    def say(self, line):
        self.send(line + "\r\n")
        return self.reply()

    def hello(self):
        self.reply()
        return self.say("EHLO fuzz.example")

    def mail(self):
        """A message like any other, in one of the ways that a text may come; kept by the model."""
        dice = self.dice
        mark = self.world.new_mark()
        to = [f"r{n}@{self.world.some_domain(dice)}" for n in range(dice.randrange(1, 5))]
        sender = f"x{dice.randrange(9)}@s.{ZONE}"
        body = "".join(dice.choice(("hello\r\n", ".\r\n"[:1] + "dot\r\n", "x" * 900 + "\r\n", "\r\n")) for _ in range(dice.randrange(30)))
        text = f"From: <{sender}>\r\nX-Fuzz: {mark}\r\nSubject: fuzz\r\n\r\n{body}"
        if dice.random() < 0.1:
            text += "0123456789\r\n" * 12000
        if self.say(f"MAIL FROM:<{sender}>{dice.choice(('', ' BODY=8BITMIME', ' RET=HDRS ENVID=x'))}")[:1] != "2":
            return
        taken = [a for a in to if self.say(f"RCPT TO:<{a}>")[:1] == "2"]
        if not taken:
            return
        if dice.random() < 0.3:
            pieces = [text[i:i + 5000] for i in range(0, len(text), 5000)]
            for n, piece in enumerate(pieces):
                self.send(f"BDAT {len(piece)}{' LAST' if n == len(pieces) - 1 else ''}\r\n{piece}")
                reply = self.reply()
        else:
            if self.say("DATA")[:1] != "3":
                return
            self.send("\r\n".join("." + line if line.startswith(".") else line for line in text.split("\r\n")) + ".\r\n")
            reply = self.reply()
        if found := re.search(r"^250 .*queued as ([0-9a-f]+)", reply):
            self.world.accepted(found.group(1), mark, taken)

    def good(self):
        self.hello()
        for _ in range(self.dice.randrange(1, 6)):
            self.mail()
        if self.dice.random() < 0.5:
            self.say("QUIT")

    def garbage(self):
        self.send(noise(self.dice, 4000))
        self.reply()

    def long_line(self):
        self.hello()
        self.send(self.dice.choice(("MAIL FROM:<", "EHLO ", "X", "\0")) * self.dice.choice((600, 5000, 300000)))
        self.reply()

    def leaves(self):
        lines = ["EHLO fuzz", f"MAIL FROM:<a@s.{ZONE}>", f"RCPT TO:<b@s.{ZONE}>", "DATA", "From: x", "half a li"]
        self.send("\r\n".join(lines[:self.dice.randrange(1, len(lines) + 1)]) + self.dice.choice(("", "\r\n")))

    def pipelines(self):
        words = ["EHLO x", "HELO", "NOOP", "RSET", "VRFY a", "HELP", "DATA", "QUIT ", "MAIL FROM:<>", f"MAIL FROM:<a@s.{ZONE}> SIZE=9999999999",
                 f"RCPT TO:<b@h1.{ZONE}> NOTIFY=NEVER,DELAY", "RCPT TO:<@a:b@c.example>", "RCPT TO:<postmaster>", "BDAT 0", "BDAT 3\r\nabc",
                 "EXPN x", "AUTH PLAIN", "AUTH LOGIN", "*", "STARTTLS x", ".", "\x80\xff", "MAIL FROM:<a\xc2\x85b@c.example> SMTPUTF8"]
        self.send("\r\n".join(self.dice.choice(words) for _ in range(self.dice.randrange(2, 60))) + "\r\n")
        for _ in range(self.dice.randrange(10)):
            self.reply()
        if self.dice.random() < 0.5:
            self.send(f"RSET\r\n{'x' * 2000}\r\n")

    def half_tls(self):
        self.hello()
        if self.say("STARTTLS")[:3] != "220":
            return
        how = self.dice.randrange(4)
        if how == 0:
            self.send(noise(self.dice, 2000))
        elif how == 1:
            self.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + noise(self.dice, 400))
        elif how == 2:
            self.send("EHLO still in clear\r\n")
        else:
            self.sock = self.world.client_tls.wrap_socket(self.sock)
            self.buffer = b""
            self.say("EHLO fuzz.example")
            self.mail()
            return
        time.sleep(0.1)

    def chunks(self):
        self.hello()
        self.send(f"MAIL FROM:<a@s.{ZONE}>\r\nRCPT TO:<b@h1.{ZONE}>\r\n")
        for _ in range(self.dice.randrange(1, 12)):
            size = self.dice.choice((0, 1, 5, 99999999999999999999, 100000, 17))
            self.send(f"BDAT {size}{self.dice.choice(('', ' LAST', ' last x', ' FIRST'))}\r\n{'y' * min(size, self.dice.randrange(30))}")
            if self.dice.random() < 0.2:
                self.send("DATA\r\nRSET\r\n")
        self.reply()

    def logs_in(self):
        self.hello()
        for _ in range(self.dice.randrange(1, 5)):
            word = base64.b64encode(noise(self.dice, 300)).decode()
            line = self.dice.choice((f"AUTH PLAIN {word}", "AUTH PLAIN", "AUTH LOGIN", f"AUTH {word}", "AUTH PLAIN =", f"AUTH LOGIN {'A' * 20000}"))
            if self.say(line)[:1] == "3":
                self.say(self.dice.choice(("*", word, "", "=", "A" * 3000)))

    def resets(self):
        self.hello()
        self.send("RSET\r\n" * self.dice.choice((100, 3000)))
        for _ in range(50):
            self.reply()

    def eight_bits(self):
        self.hello()
        self.say(f"MAIL FROM:<\xc3\xa4@s.{ZONE}> SMTPUTF8")
        self.say(f"RCPT TO:<\xff\xfe@h1.{ZONE}>")
        self.send(b"DATA\r\n" + noise(self.dice, 3000) + b"\r\n.\r\n" + noise(self.dice, 50) + b"\r\n")
        self.reply()

    HABITS = [good, good, good, good, garbage, long_line, leaves, pipelines, half_tls, half_tls, chunks, logs_in, resets, eight_bits]

    @staticmethod
    def once(world, dice, relay):
        """One connection to one of the ports; whatever the relay does to it is its right."""
        port = relay.port + dice.choice((0, 0, 0, 1))
        try:
            with Client(world, dice, port, f"127.0.8.{dice.randrange(1, 250)}") as c:
                dice.choice(Client.HABITS)(c)
        except (OSError, Gone, ssl.SSLError, ValueError):
            time.sleep(0.05)


# -- operators ---------------------------------------------------------------------------------------------

def operator(dice, path):
    """Somebody at the control socket: nothing that would take mail away, everything else."""
    words = ["list", "list limit=100000", "why id=0", "stats", "show", "policies", "retry id=ffff", "hold next-hop=nobody.example", "nonsense",
             "list state=", "policy", "policy x.example may", "policy *. may 99999999999999999999", "release state=held", "list sender=\x1b[2J"]
    socks = []
    try:
        for _ in range(dice.choice((1, 1, 3, 20))):
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(5)
            s.connect(str(path))
            socks.append(s)
            how = dice.randrange(5)
            line = dice.choice(words).replace(" ", "\t").encode("latin-1")
            data = {0: noise(dice, 5000), 1: line, 2: line + b"\n" + noise(dice, 100), 3: b"\n" * 100}.get(how, line + b"\n")
            s.sendall(data)
            if how == 4 and dice.random() < 0.7:
                s.recv(1 << 16)
        time.sleep(dice.random() * 0.3)
    except OSError:
        time.sleep(0.05)
    finally:
        for s in socks:
            s.close()
