#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""danelaw sendmail as cron, PHP, git and mail readers call it, against a relay that is played here.

Usage: test_sendmail.py PROGRAM
"""
import email.header
import email.utils
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading

PROGRAM = os.path.abspath(sys.argv[1])
OK, USAGE, DATAERR, NOUSER, NOHOST, UNAVAILABLE, TEMPFAIL, NOPERM, CONFIG = 0, 64, 65, 67, 68, 69, 75, 77, 78
passed = failed = 0


def check(what, condition, seen=""):
    global passed, failed
    if condition:
        passed += 1
    else:
        failed += 1
        print(f"FAIL {what}: {seen}")


class Relay(threading.Thread):
    """Takes one session. `say` changes a reply: {"RCPT TO:<a@b.test>": "550 5.1.1 no"}."""

    def __init__(self, say=None):
        super().__init__(daemon=True)
        self.say, self.lines, self.data = say or {}, [], None
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen()
        self.listener.settimeout(30)
        self.at = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.start()

    def reply(self, line):
        for start, text in self.say.items():
            if line.startswith(start):
                return text
        if line.startswith("EHLO"):
            return "250-relay\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250 SIZE 100000"
        return {"DATA": "354 go", "QUIT": "221 bye"}.get(line, "250 2.0.0 ok")

    def run(self):
        peer, _ = self.listener.accept()
        self.listener.close()
        f = peer.makefile("rwb")
        def answer(text):
            f.write(text.encode() + b"\r\n")
            f.flush()
        answer(self.reply("greeting") if "greeting" in self.say else "220 relay")
        for raw in f:
            line = raw.decode().rstrip("\r\n")
            self.lines.append(line)
            text = self.reply(line)
            answer(text)
            if line == "DATA" and text.startswith("3"):
                self.data = b""
                while (raw := f.readline()) not in (b".\r\n", b""):
                    self.data += raw[1:] if raw.startswith(b".") else raw
                answer(self.say.get("dot", "250 2.0.0 queued"))
            if line == "QUIT" or text.startswith("421"):
                break
        peer.close()


class Result:
    pass


def sendmail(*args, text=b"x\n", say=None, options=(), relay=None):
    r = Result()
    server = relay or Relay(say)
    command = [PROGRAM, "-o", f"relay.smtp={server.at}", "-o", "smtp.helo=host.test", *options, "sendmail", *args]
    done = subprocess.run(command, input=text, capture_output=True, timeout=60)
    if done.returncode not in (USAGE, DATAERR) or server.lines:
        server.join(5)
    r.code, r.out, r.err = done.returncode, done.stdout.decode(), done.stderr.decode()
    r.mail = [x for x in server.lines if x.startswith("MAIL")]
    r.rcpt = [x[9:x.index(">")] for x in server.lines if x.startswith("RCPT")]
    r.lines, r.data = server.lines, server.data
    head, _, r.body = (server.data or b"").partition(b"\r\n\r\n")
    r.head = email.message_from_bytes(head + b"\r\n\r\n")
    return r


def who_calls():
    r = sendmail("root")
    me = os.popen("id -un").read().strip()
    check("sender: the caller", r.mail == [f"MAIL FROM:<{me}@host.test> SIZE={len(r.data)}"], r.mail)
    check("recipient gets a domain", r.rcpt == ["root@host.test"], r.rcpt)
    check("From is added", r.head["From"] == f"<{me}@host.test>", r.head["From"])
    check("Date is added", re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", r.head["Date"] or ""), r.head["Date"])
    check("Message-ID is added", re.fullmatch(r"<[0-9a-f.]+@host\.test>", r.head["Message-ID"] or ""), r.head["Message-ID"])
    check("no header: all is body", r.body == b"x\r\n", r.body)
    check("exit 0, silent", (r.code, r.out, r.err) == (0, "", ""), (r.code, r.err))


def command_lines():
    """How programs call it: all accepted, and what the envelope is then."""
    text = b"To: a@a.test\nSubject: s\n\nbody\n"
    for what, args, sender, rcpts in (
            ("cron", ["-i", "-FCronDaemon", "-B8BITMIME", "-oem", "root"], None, ["root@host.test"]),
            ("cronie", ["-FCronDaemon", "-i", "-B8BITMIME", "-oem", "-oi", "-t", "-f", "root"], "root@host.test", ["a@a.test"]),
            ("PHP", ["-t", "-i", "-fwww@a.test"], "www@a.test", ["a@a.test"]),
            ("git", ["-i", "b@b.test", "c@c.test"], None, ["b@b.test", "c@c.test"]),
            ("git with a sender", ["-f", "me@a.test", "-i", "b@b.test"], "me@a.test", ["b@b.test"]),
            ("mutt", ["-oem", "-oi", "-f", "me@a.test", "-N", "failure,delay", "-R", "hdrs", "--", "b@b.test"], "me@a.test", ["b@b.test"]),
            ("mail", ["-i", "-r", "me@a.test", "-m", "b@b.test"], "me@a.test", ["b@b.test"]),
            ("behind --", ["-i", "--", "-b@b.test"], None, ["-b@b.test"]),
            ("options behind", ["b@b.test", "-oi", "-em"], None, ["b@b.test"]),
            ("no sender", ["-f", "<>", "b@b.test"], "", ["b@b.test"]),
            ("no sender, empty", ["-f", "", "b@b.test"], "", ["b@b.test"]),
            ("names and lists", ["-f", "Me <me@a.test>", "B <b@b.test>, c@c.test"], "me@a.test", ["b@b.test", "c@c.test"]),
            ("twice the same", ["b@b.test", "b@b.test"], None, ["b@b.test"]),
            ("both", ["-t", "b@b.test"], None, ["b@b.test", "a@a.test"]),
            ("-ot", ["-ot", "-bm", "-n", "-U", "-G", "-h", "3", "-L", "tag", "-O", "x=y", "-X", "/nonexistent/log"], None, ["a@a.test"]),
    ):
        r = sendmail(*args, text=text)
        check(f"{what}: exit", r.code == 0, (r.code, r.err))
        check(f"{what}: recipients", r.rcpt == rcpts, r.rcpt)
        if sender is not None:
            check(f"{what}: sender", r.mail[:1] and r.mail[0].startswith(f"MAIL FROM:<{sender}>"), r.mail)
        check(f"{what}: text", r.body == b"body\r\n" and r.head["Subject"] == "s", r.data)
    check("-X writes no log", not os.path.exists("/nonexistent/log"))


def notifications():
    r = sendmail("-N", "success,delay", "-R", "full", "-V", "my id", "b@b.test")
    check("RET and ENVID", r.mail[0].endswith(" RET=FULL ENVID=my+20id"), r.mail)
    check("NOTIFY and ORCPT", "RCPT TO:<b@b.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b@b.test" in r.lines, r.lines)
    for args in (["-N", "never,delay"], ["-N", "often"], ["-R", "some"], ["-V", ""]):
        r = sendmail(*args, "b@b.test")
        check(f"{args}: refused", r.code == USAGE and r.err.count("\n") == 1, (r.code, r.err))


def recipients_of_the_header():
    r = sendmail("-t", text=b"To: \"x, y\" <a@a.test> (no@c.test),\n B <b@b.test>\nCc: G: c@c.test, d;\n"
                            b"bCc: e@e.test,\n\tf@f.test\nSubject: s\n\nTo: nobody@n.test\n")
    check("To, Cc, Bcc", r.rcpt == ["a@a.test", "b@b.test", "c@c.test", "d@host.test", "e@e.test", "f@f.test"], r.rcpt)
    check("Bcc is gone, with its fold", r.head["Bcc"] is None and b"e@e" not in r.data and b"f@f" not in r.data, r.data)
    check("To stays as it was", b"To: \"x, y\" <a@a.test> (no@c.test),\r\n B <b@b.test>\r\n" in r.data, r.data)
    r = sendmail("-t", text=b"Resent-To: r@r.test\nResent-Bcc: s@s.test\nTo: a@a.test\n\nx\n")
    check("Resent-* win", r.rcpt == ["r@r.test", "s@s.test"], r.rcpt)
    check("Resent-Bcc is gone", b"s@s.test" not in r.data, r.data)
    r = sendmail("b@b.test", text=b"To: a@a.test\nBcc: c@c.test\nReturn-Path: <x@y.test>\n\nx\n")
    check("without -t: not read", r.rcpt == ["b@b.test"], r.rcpt)
    check("without -t: Bcc and Return-Path go too", b"c@c.test" not in r.data and b"x@y" not in r.data, r.data)
    r = sendmail("-t", text="To: Jörg <a@bücher.test>\n\nx\n".encode())
    check("a domain in letters", r.rcpt == ["a@xn--bcher-kva.test"], r.rcpt)
    check("raw UTF-8 in the header", "SMTPUTF8" in r.mail[0] and "8BITMIME" in r.mail[0], r.mail)
    r = sendmail("-t", text=b"To: J\xf6rg <a@a.test>\n\nx\n")
    check("raw Latin-1 in the header", "SMTPUTF8" not in r.mail[0] and "8BITMIME" in r.mail[0], r.mail)
    for text, words in ((b"Subject: x\n\nx\n", "no recipients"), (b"To: undisclosed-recipients:;\n\nx\n", "no recipients"),
                        (b"To: John Smith\n\nx\n", "words that are no address"), (b"To: a@b..c\n\nx\n", "not a mail address"),
                        (b"To: a@a.test, <b@b.test\n\nx\n", "no end"), (b"", "no recipients")):
        r = sendmail("-t", text=text)
        check(f"{text}: refused", r.code == DATAERR and words in r.err and not r.lines, (r.code, r.err))


def texts():
    for what, args, text, body in (
            ("a dot ends", [], b"\na\n.\nb\n", b"a\r\n"),
            ("a dot with CRLF ends", [], b"\r\na\r\n.\r\nb\r\n", b"a\r\n"),
            ("a dot at the very end", [], b"\na\n.", b"a\r\n"),
            ("two dots", [], b"\n..\n.a\n", b"..\r\n.a\r\n"),
            ("-i", ["-i"], b"\na\n.\nb\n", b"a\r\n.\r\nb\r\n"),
            ("-oi", ["-oi"], b"\n.\n", b".\r\n"),
            ("no last line end", ["-i"], b"\na", b"a\r\n"),
            ("a dot without a line end", ["-i"], b"\na\n.", b"a\r\n.\r\n"),
            ("mixed line ends", ["-i"], b"\na\r\nb\nc\r\n", b"a\r\nb\r\nc\r\n"),
            ("bare CR and NUL", ["-i"], b"\n10%\r20%\r\r\n\0\n", b"10% 20% \r\n \r\n"),
            ("CR at the end", ["-i"], b"\na\r", b"a\r\n"),
            ("only a header", ["-i"], b"Subject: x\n", b""),
            ("only a header, unfinished", ["-i"], b"Subject: x", b""),
            ("a header and a body in one", ["-i"], b"Subject: x\nhello\n", b"hello\r\n"),
            ("a mailbox's first line", ["-i"], b"From me Mon Jan  1 00:00:00 2026\nSubject: x\n\ny\n", b"y\r\n"),
            ("nothing", [], b"", b""),
            ("an empty line", [], b"\n", b""),
            ("large", ["-i"], b"\n" + b"abcdefg\n" * 10000, b"abcdefg\r\n" * 10000),
    ):
        r = sendmail(*args, "b@b.test", text=text)
        check(f"{what}: body", r.code == 0 and r.body == body, (r.code, r.err, r.data and r.data[-80:]))
        check(f"{what}: header", r.head["Date"] and r.head["From"] and r.head["Message-ID"], r.data and r.data[:200])
    r = sendmail("-f", "me@a.test", "b@b.test", text=b"from: X <x@x.test>\nDATE: y\nmessage-id: <z>\n\nx\n")
    check("nothing is added twice", r.data == b"from: X <x@x.test>\r\nDATE: y\r\nmessage-id: <z>\r\n\r\nx\r\n", r.data)
    for name in ("Plain Name", 'With "quotes" \\ and, comma', "Jörg Müller-Lüdenscheidt und eine lange Reihe Wörter"):
        r = sendmail("-F", name, "-f", "me@a.test", "b@b.test")
        seen = str(email.header.make_header(email.header.decode_header(email.utils.parseaddr(str(r.head["From"]))[0])))
        check(f"-F {name}", seen == name, r.data)
        check(f"-F {name}: short lines", max(map(len, r.data.split(b"\r\n"))) <= 78, r.data)
    r = sendmail("-F", "a\nBcc: evil@x.test", "b@b.test")
    check("-F injects no field", r.head["Bcc"] is None and b"\nBcc" not in r.data, r.data)


def refusals():
    for what, say, code, words in (
            ("unknown user", {"RCPT": "550 5.1.1 no such user"}, NOUSER, "no such user"),
            ("unknown domain", {"RCPT": "550 5.1.2 no such domain"}, NOHOST, "no such domain"),
            ("not allowed", {"RCPT": "550 5.7.1 relaying denied"}, NOPERM, "denied"),
            ("refused somehow", {"RCPT": "550 no"}, UNAVAILABLE, "no"),
            ("later", {"RCPT": "451 4.3.0 later"}, TEMPFAIL, "later"),
            ("sender refused", {"MAIL": "550 5.7.1 not you"}, NOPERM, "not you"),
            ("text refused", {"dot": "554 5.6.0 bad text"}, DATAERR, "bad text"),
            ("disk full", {"dot": "452 4.3.1 full"}, TEMPFAIL, "full"),
            ("closed", {"greeting": "554 5.7.0 go away"}, UNAVAILABLE, "go away"),
            ("shutting down", {"greeting": "421 4.3.2 later"}, TEMPFAIL, "later"),
            ("lost", {"dot": "421 4.3.2 later"}, TEMPFAIL, "later"),
    ):
        r = sendmail("b@b.test", say=say)
        check(what, r.code == code and words in r.err and r.err.count("\n") == 1, (r.code, r.err))
    r = sendmail("-v", "b@b.test", "c@c.test", say={"RCPT TO:<b": "550 5.1.1 no"})
    check("one of two: the other gets it", r.code == NOUSER and r.data is not None and "<c@c.test>: 250" in r.err, (r.code, r.err))
    r = sendmail("b@b.test", "c@c.test", say={"RCPT TO:<b": "550 5.1.1 no", "RCPT TO:<c": "451 4.3.0 wait"})
    check("refused and later: later", r.code == TEMPFAIL, (r.code, r.err))
    r = sendmail("b@b.test", text=b"\n" + b"x" * 200000, say=None)
    check("too big for the relay", r.code == DATAERR and "larger" in r.err, (r.code, r.err))
    r = sendmail("b@b.test", text=b"\n" + b"x" * 200000, options=["-o", "relay.size-max=10000"])
    check("too big at once", r.code == DATAERR and "relay.size-max" in r.err and not r.lines, (r.code, r.err))


def usages():
    for args, code, words in (([], USAGE, "no recipients"), (["-f"], USAGE, "-f"), (["-C", "/etc/passwd", "a"], USAGE, "-C"),
                              (["-bd"], USAGE, "danelaw relay"), (["-q30m"], USAGE, "-q30m"), (["-f", "a, b", "c"], USAGE, "-f"),
                              (["a b"], DATAERR, "a b"), (["a@b@c"], DATAERR, "a@b@c")):
        r = sendmail(*args)
        check(f"{args}", r.code == code and words in r.err and r.err.count("\n") == 1 and not r.lines, (r.code, r.err))
    r = sendmail("--help", relay=Nowhere())
    check("--help", r.code == 0 and r.out.startswith("Usage: danelaw sendmail"), r.out)
    check("-bi does nothing", sendmail("-bi", relay=Nowhere()).code == 0)
    r = sendmail("b@b.test", relay=Nowhere())
    check("the relay is down", r.code == TEMPFAIL and "cannot reach the relay" in r.err, (r.code, r.err))
    done = subprocess.run([PROGRAM, "sendmail", "b@b.test"], input=b"x", capture_output=True, timeout=60)
    check("no listener", done.returncode == CONFIG and b"relay.smtp" in done.stderr, done.stderr)


class Nowhere:
    """A port that nobody listens on."""
    lines, data = [], None

    def __init__(self):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.at = f"127.0.0.1:{self.socket.getsockname()[1]}"

    def join(self, _):
        self.socket.close()


def pass_through():
    r = sendmail("-bs", text=b"EHLO me\r\nMAIL FROM:<a@a.test>\r\nQUIT\r\n")
    check("-bs: to the relay", r.lines == ["EHLO me", "MAIL FROM:<a@a.test>", "QUIT"], r.lines)
    check("-bs: and back", r.out.startswith("220 relay\r\n250-relay") and r.out.endswith("221 bye\r\n") and r.code == 0, r.out)
    check("-bs: relay down", sendmail("-bs", relay=Nowhere()).code == TEMPFAIL)


def names():
    with tempfile.TemporaryDirectory() as folder:
        for name in ("sendmail", "mailq", "newaliases"):
            os.symlink(PROGRAM, os.path.join(folder, name))
        run = lambda *args: subprocess.run([os.path.join(folder, args[0]), *args[1:]], input=b"x", capture_output=True, timeout=60)
        done = run("sendmail")
        check("as sendmail", done.returncode == USAGE and b"no recipients" in done.stderr, done.stderr)
        done = run("sendmail", "--help")
        check("as sendmail: help", done.returncode == 0 and b"sendmail" in done.stdout, done.stdout)
        check("as newaliases", run("newaliases").returncode == 0)
    done = subprocess.run([PROGRAM, "-o", "relay.control=/nonexistent/control", "sendmail", "-bp"], capture_output=True, timeout=60)
    check("-bp asks the relay", done.returncode == TEMPFAIL and b"/nonexistent/control" in done.stderr, done.stderr)


for part in (who_calls, command_lines, notifications, recipients_of_the_header, texts, refusals, usages, pass_through, names):
    part()
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
