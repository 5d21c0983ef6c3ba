# SPDX-License-Identifier: MIT
"""SMTP servers that misbehave, each in exactly one way (its `fake = "..."` in domains.toml).

Every command that a client sends is logged with whether it came under TLS; every message that is
taken is stored as raw bytes after dot-unstuffing.  `accept` behaves well; it also stands in for
Postfix where Postfix cannot run.
"""

import base64
import itertools
import json
import os
import pathlib
import re
import socket
import ssl
import sys
import threading
import time

STALL = 40                      # seconds: longer than any timeout that the lab configures

# what the fault changes: the reply to one command (the first time it is seen under TLS, or greeting)
REPLIES = {
    "greet-421": ("GREETING", "421 4.3.2 {host} too busy"),
    "greet-554": ("GREETING", "554 5.3.2 {host} no SMTP service here"),
    "greet-garbage": ("GREETING", "SSH-2.0-OpenSSH_9.2p1"),
    "mail-451": ("MAIL", "451 4.3.0 try later"),
    "mail-550": ("MAIL", "550 5.7.1 sender refused"),
    "mail-421": ("MAIL", "421 4.3.2 closing"),
    "rcpt-450": ("RCPT", "450 4.2.1 mailbox busy"),
    "rcpt-550": ("RCPT", "550 5.1.1 no such user"),
    "rcpt-550-plain": ("RCPT", "550 no such user"),
    "data-451": ("DATA", "451 4.3.0 no room"),
    "data-554": ("DATA", "554 5.6.0 no valid recipients"),
    "dot-451": ("DOT", "451 4.3.0 could not store"),
    "dot-554": ("DOT", "554 5.7.1 content refused"),
    "dot-garbage": ("DOT", "OK thank you"),
}
CLOSE_AT = {"close-after-ehlo": ("EHLO", False), "close-after-tls-ehlo": ("EHLO", True),
            "close-after-mail": ("MAIL", True), "close-after-data": ("DATA", True),
            "lost-after-dot": ("DOT", True)}
STALL_AT = {"stall-greeting": ("GREETING", False), "stall-ehlo": ("EHLO", False),
            "stall-starttls": ("STARTTLS", False), "stall-tls-ehlo": ("EHLO", True),
            "stall-mail": ("MAIL", True), "stall-rcpt": ("RCPT", True), "stall-data": ("DATA", True),
            "stall-dot": ("DOT", True)}
OTHERS = {"accept", "no-starttls", "no-ehlo", "starttls-454", "starttls-502", "close-on-connect",
          "close-after-220", "alert", "garbage-after-220", "inject", "inject-late", "stall-handshake",
          "tls11", "anon", "split-replies", "long-ehlo", "lowercase", "no-pipelining", "tls12", "tls13",
          "plain-capabilities", "greylist", "endless-reply", "size-2000", "by-name",
          "rolls"}
FAULTS = set(REPLIES) | set(CLOSE_AT) | set(STALL_AT) | OTHERS


class Gone(Exception):
    """The session is over, by the client's will or by the fault's."""


class Log:
    def __init__(self, path):
        self.file = open(path, "w", buffering=1)
        self.lock = threading.Lock()

    def write(self, **fields):
        with self.lock:
            self.file.write(json.dumps(fields) + "\n")


def rolled(spec):
    """The one chain that `rolls` serves now: <state>/roll/HOST when a test has put it there."""
    now = pathlib.Path(spec["chain_files"][0]).parent.parent / "roll" / spec["host"]
    return [now] if now.exists() else spec["chain_files"][:1]


def context_for(spec):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    fault = spec["fault"]
    for path in rolled(spec) if fault == "rolls" else spec["chain_files"]:
        context.load_cert_chain(path)
    if fault == "tls11":
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    elif fault == "anon":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("aNULL:@SECLEVEL=0")
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    elif fault == "tls12":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    elif fault == "tls13":
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    if spec.get("sni"):
        others = {name: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for name in spec["sni"]}
        for name, path in spec["sni"].items():
            others[name].load_cert_chain(path)

        def pick(sock, name, _context):
            if name in others:
                sock.context = others[name]
        context.sni_callback = pick
    return context


class Session:
    numbers = itertools.count(1)

    def __init__(self, spec, context, sock, log, store):
        self.spec, self.context, self.sock, self.log_file, self.store = spec, context, sock, log, store
        self.fault, self.host = spec["fault"], spec["host"]
        self.number = next(self.numbers)
        self.tls, self.buffer, self.sni, self.tried = False, b"", None, set()
        self.sender, self.rcpts = None, []

    def log(self, **fields):
        self.log_file.write(host=self.host, domain=self.spec["domain"], session=self.number,
                            tls=self.tls, **fields)

    def send(self, data):
        if isinstance(data, str):
            data = data.encode() + b"\r\n"
        if self.fault == "split-replies":
            for byte in data:
                self.sock.sendall(bytes([byte]))
                time.sleep(0.001)
        else:
            self.sock.sendall(data)

    def line(self):
        while b"\n" not in self.buffer:
            more = self.sock.recv(65536)
            if not more:
                raise Gone
            self.buffer += more
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line + b"\n"

    def at(self, step):
        """The fault's moment: stall, hang up, or the reply to send instead of the good one."""
        if STALL_AT.get(self.fault) == (step, self.tls):
            time.sleep(STALL)
            raise Gone
        if CLOSE_AT.get(self.fault) == (step, self.tls):
            raise Gone
        want, text = REPLIES.get(self.fault, (None, None))
        return text.format(host=self.host) if want == step else None

    def run(self):
        try:
            self.sock.settimeout(STALL)
            self.log(event="connect")
            self.greet()
            while True:
                self.command(self.line())
        except (Gone, OSError, ssl.SSLError, ValueError) as e:
            self.log(event="end", why=f"{type(e).__name__} {e}".strip())
        finally:
            self.sock.close()

    def greet(self):
        if self.fault == "close-on-connect":
            raise Gone
        odd = self.at("GREETING")
        self.send(odd or f"220 {self.host} ESMTP lab fake")
        if odd and odd.startswith("421"):
            raise Gone

    def command(self, line):
        text = line.decode("utf-8", "replace").strip()
        verb = text.split(" ")[0].split(":")[0].upper()
        self.log(event="command", verb=verb, line=text, crlf=line.endswith(b"\r\n"))
        odd = self.at(verb)
        if odd:
            self.send(odd)
            if odd.startswith("421"):
                raise Gone
            return
        handler = getattr(self, "do_" + verb.lower(), None)
        if handler:
            handler(text)
        else:
            self.send("500 5.5.2 what?")

    # -- commands ---------------------------------------------------------------------------

    def do_ehlo(self, _):
        if self.fault == "no-ehlo":
            self.send("502 5.5.1 EHLO unknown")
            return
        words = [self.host, "PIPELINING", "SIZE 33554432", "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8"]
        if self.fault == "size-2000":
            words[2] = "SIZE 2000"
        if self.fault == "no-pipelining":
            words.remove("PIPELINING")
        if self.fault == "plain-capabilities":
            words = [self.host]
        if self.fault == "long-ehlo":
            words += [f"X-LAB-{n} " + "x" * 60 for n in range(80)]
        words += self.more_words()
        if not self.tls and self.fault != "no-starttls":
            words.append("StartTLS" if self.fault == "lowercase" else "STARTTLS")
        if self.fault == "endless-reply":
            while True:
                self.send("250-X-AGAIN " + "y" * 400)
        self.send("".join(f"250{'-' if i < len(words) - 1 else ' '}{w}\r\n"
                          for i, w in enumerate(words)).encode())

    def more_words(self):
        return []

    def do_helo(self, _):
        self.send(f"250 {self.host}")

    def do_starttls(self, _):
        refusal = {"no-starttls": "502 5.5.1 no", "starttls-454": "454 4.7.0 TLS not available",
                   "starttls-502": "502 5.5.1 not today"}.get(self.fault)
        if refusal or self.tls:
            self.send(refusal or "503 5.5.1 already")
            return
        if self.fault == "inject":              # one segment: the reply and what an attacker adds
            self.send(b"220 2.0.0 go ahead\r\n250 2.0.0 injected\r\n")
        elif self.fault == "inject-late":
            self.send(b"220 2.0.0 go ahead\r\n")
            time.sleep(0.2)
            self.send(b"250 2.0.0 injected\r\n")
        else:
            self.send("220 2.0.0 go ahead")
        if self.fault == "close-after-220":
            raise Gone
        if self.fault == "stall-handshake":
            time.sleep(STALL)
            raise Gone
        if self.fault == "alert":               # fatal handshake_failure
            self.sock.recv(65536)
            self.sock.sendall(bytes([21, 3, 3, 0, 2, 2, 40]))
            raise Gone
        if self.fault == "garbage-after-220":
            self.sock.recv(65536)
            self.sock.sendall(b"this is not TLS at all, it is a sentence\r\n" * 4)
            raise Gone
        injected = self.buffer                  # bytes that the client sent too early
        self.buffer = b""
        self.sock = self.context.wrap_socket(self.sock, server_side=True)
        self.tls = True
        self.log(event="handshake", version=self.sock.version(), cipher=self.sock.cipher()[0],
                 early=len(injected))

    def do_mail(self, text):
        size = re.search(r" SIZE=(\d+)", text)
        if self.fault == "size-2000" and size and int(size.group(1)) > 2000:
            self.send("552 5.3.4 too big")
            return
        self.sender, self.rcpts = text, []
        self.send("250 2.1.0 ok")

    def do_rcpt(self, text):
        if self.fault == "greylist" and text not in self.spec["seen"]:
            self.spec["seen"].add(text)
            self.send("450 4.2.0 greylisted, come back")
            return
        if self.fault == "by-name" and "<nobody@" in text:
            self.send("550 5.1.1 no such user")
            return
        if self.fault == "by-name" and "<busy@" in text:
            self.send("450 4.2.1 mailbox busy")
            return
        self.rcpts.append(text)
        self.send("250 2.1.5 ok")

    def do_data(self, _):
        if not self.rcpts:                  # RFC 5321 s4.3.2; pipelined, it follows recipients that were refused
            self.send("554 5.5.1 no valid recipients")
            return
        self.send("354 go")
        lines = []
        while (line := self.line()) != b".\r\n":
            lines.append(line[1:] if line.startswith(b".") else line)
        self.log(event="command", verb="DOT", line=".", crlf=True)
        odd = self.at("DOT")
        if not odd or odd.startswith("2"):
            self.keep(b"".join(lines))
        self.send(odd or "250 2.0.0 taken")
        if self.fault == "rolls":           # the next message needs a new handshake
            raise Gone

    def keep(self, body):
        folder = pathlib.Path(self.store) / self.spec["domain"]
        folder.mkdir(parents=True, exist_ok=True)
        stem = folder / f"{time.time_ns()}-{self.number}"
        stem.with_suffix(".json").write_text(json.dumps(
            {"host": self.host, "tls": self.tls, "mail": self.sender, "rcpt": self.rcpts}))
        part = stem.with_suffix(".part")
        part.write_bytes(body)
        part.rename(stem.with_suffix(".eml"))

    def do_noop(self, _):
        self.send("250 2.0.0 ok")

    def do_rset(self, _):
        self.sender, self.rcpts = None, []
        self.send("250 2.0.0 ok")

    def do_quit(self, _):
        self.send("221 2.0.0 bye")
        raise Gone


class Submission(Session):
    """A submission server.  Its spec also has `mechanisms` (with blanks; offered under TLS, and in clear
    where there is no STARTTLS), `user` and `password` (without them nobody needs to log in) and
    `implicit`: TLS before the greeting."""

    user = None

    def greet(self):
        if self.spec.get("implicit"):
            self.sock = self.context.wrap_socket(self.sock, server_side=True)
            self.tls = True
        super().greet()

    def more_words(self):
        offered = self.spec.get("mechanisms") and (self.tls or self.fault == "no-starttls")
        return [f"AUTH {self.spec['mechanisms']}"] if offered else []

    def answer(self, question):
        self.send("334 " + base64.b64encode(question).decode())
        return base64.b64decode(self.line())

    def do_auth(self, text):
        words = text.split(" ")
        if words[1] == "PLAIN":
            raw = base64.b64decode(words[2]) if len(words) > 2 else self.answer(b"")
            _, user, password = raw.split(b"\0")
        else:
            user, password = self.answer(b"Username:"), self.answer(b"Password:")
        if (user.decode(), password.decode()) == (self.spec.get("user"), self.spec.get("password")):
            self.user = user
            self.send("235 2.7.0 welcome")
        else:
            self.send("535 5.7.8 wrong")

    def do_mail(self, text):
        if self.spec.get("user") and not self.user:
            self.send("530 5.7.0 log in first")
            return
        super().do_mail(text)


def listen(spec, address, log, store, port=25, session=Session):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind((address, port))
    sock.listen(64)
    context = context_for(spec)

    def loop():
        while True:
            client, _ = sock.accept()
            now = context_for(spec) if spec["fault"] == "rolls" else context
            threading.Thread(target=session(spec, now, client, log, store).run,
                             daemon=True).start()
    threading.Thread(target=loop, daemon=True).start()


def main(state):
    """Reads <state>/fakes.json, listens, then creates <state>/fakes.ready."""
    threading.stack_size(256 * 1024)
    specs = json.loads((pathlib.Path(state) / "fakes.json").read_text())
    log = Log(os.path.join(state, "fakes.log"))
    for spec in specs:
        if spec["fault"] not in FAULTS:
            raise SystemExit(f"fakes: unknown fault {spec['fault']} of {spec['host']}")
        spec["seen"] = set()
        for address in spec["addresses"]:
            listen(spec, address, log, os.path.join(state, "taken"))
    (pathlib.Path(state) / "fakes.ready").touch()
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1])
