#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Attacks on a running relay, one function each: what the attacker does, and what everybody else notices of it.

Run as: lab/lab run lab/hostile_test.py [PATTERN...] [-v].  PATTERN picks functions by name, without test_.
"""

import argparse
import fnmatch
import signal
import socket
import sqlite3
import sys
import threading
import time

sys.dont_write_bytecode = True

import report       # noqa: E402
from daemon import BACK, Relay, Score, queue_id, wait_until     # noqa: E402

PORT = 5200                              # from here on, ten for each relay
NEVER = "mail-451.test"                  # defers every message, at once
LETTER = "Subject: hostile\r\n\r\nx\r\n"


# -- hosts and clients -----------------------------------------------------------------------------------

class Host:
    """An SMTP server in clear that answers each verb with what it was told, and remembers what it heard."""

    def __init__(self, address, port=25, ehlo=("250-host", "250 ENHANCEDSTATUSCODES"), **said):
        self.said = {"greeting": "220 host ESMTP", "MAIL": "250 2.1.0 ok", "RCPT": "250 2.1.5 ok",
                     "dot": "250 2.0.0 taken", **said}
        self.ehlo, self.heard, self.texts = ehlo, [], []
        self.listener = socket.create_server((address, port), backlog=100)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                c, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.session, args=(c,), daemon=True).start()

    def session(self, c):
        f = c.makefile("rwb")

        def say(text):
            f.write((text + "\r\n").encode("utf-8", "surrogateescape"))
            f.flush()
        try:
            say(self.said["greeting"])
            for line in f:
                self.heard.append(line.rstrip(b"\r\n"))
                verb = line[:4].upper().strip().decode("latin-1")
                if verb in ("EHLO", "LHLO"):
                    for text in self.ehlo:
                        say(text)
                elif verb == "DATA":
                    say("354 go on")
                    text = b""
                    while (line := f.readline()) not in (b".\r\n", b""):
                        text += line
                    self.texts.append(text)
                    say(self.said["dot"])
                elif verb == "QUIT":
                    say("221 bye")
                    break
                else:
                    say(self.said.get(verb, "250 ok"))
        except OSError:
            pass
        c.close()

    def close(self):
        self.listener.close()


def say(client, line):
    """One line of any octets, and the reply."""
    client.send(line + b"\r\n")
    return client.getreply()


def hand_in(client, sender, to, mail=b"", rcpt=b"", text=LETTER):
    """The queue id, or the reply that refused it."""
    for line in (b"MAIL FROM:<" + sender + b">" + mail, b"RCPT TO:<" + to + b">" + rcpt, b"DATA"):
        reply = say(client, line)
        if reply[0] // 100 not in (2, 3):
            client.docmd("RSET")
            return reply
    return queue_id(say(client, text.encode() + b"."))


# -- addresses -------------------------------------------------------------------------------------------

POISON = {                               # what each would do: base/foreign.h, wire/address.h
    "C1": "a\x85b", "C1 in quotes": '"a\x9b31mb"', "override": "\u202egpj.exe", "isolate": "a\u2066b", "mark": "a\u200fb",
    "line separator": "a\u2028b", "decomposed": "e\u0301", "Hangul letters": "\u1100\u1161", "angstrom": "\u212b"}


def test_addresses_at_the_door(score):
    """What could never be told, sent or shown is refused before anything depends on it."""
    relay = Relay("door", PORT).start()
    for what, local in POISON.items():
        address = local.encode() + b"@" + BACK.encode()
        with relay.client() as c:               # a new one each time: too many errors end a session
            c.ehlo()
            said = [say(c, b"MAIL FROM:<" + address + b"> SMTPUTF8"), say(c, b"MAIL FROM:<> SMTPUTF8"),
                    say(c, b"RCPT TO:<" + address + b">")]
        codes = [code for code, _ in said]
        score.add(f"door: {what}", [] if codes == [501, 250, 501] else [said])
    with relay.client() as c:
        c.ehlo()
        malformed = [say(c, b"MAIL FROM:<a\xed\xa0\x80@b.test> SMTPUTF8")[0], say(c, b"MAIL FROM:<a\xff@b.test> SMTPUTF8")[0]]
        score.add("door: no UTF-8", [] if malformed == [501, 501] else [malformed])
        say(c, b"MAIL FROM:<> SMTPUTF8")
        rcpt = b"RCPT TO:<u@" + BACK.encode() + b"> ORCPT="
        hidden = (b"rfc822;good+00evil", b"rfc822;a+C2+85b", b"rfc822;a+0Ab", b"utf-8;a\\x{202E}b", b"utf-8;a\\x{0}b")
        codes = [say(c, rcpt + o)[0] for o in hidden]
        score.add("door: ORCPT that hides what it may not say", [] if codes == [501] * len(hidden) else [codes])
    score.add("door: ends well", [] if relay.stop() == 0 else ["no"])


def poison_queue(path, ids, expired):
    """What an older version took: the sender and the recipient hold a C1 control; `expired`: their time is over."""
    with sqlite3.connect(path) as db:
        triggers = db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            db.execute(f"DROP TRIGGER {name}")
        for n, i in enumerate(ids):
            message, = db.execute("SELECT id FROM message WHERE queue_id = ?", (i,)).fetchone()
            db.execute("UPDATE message SET reverse_path = ?, smtputf8 = 1 WHERE id = ?", (f"a\x85{n}@{BACK}", message))
            if expired:
                db.execute("UPDATE delivery SET expires = 1, warn = NULL WHERE message = ?", (message,))
        for _, text in triggers:
            db.execute(text)
    db.close()


def test_notices_that_can_never_be_written(score):
    """More of them than alarms are looked at in one go: they end with a line each, and others' alarms ring in time."""
    relay = Relay("poison", PORT + 10, **{"queue.warn-after": 25, "queue.lifetime": 60, "queue.retry-first": 300}).start()
    ids = [relay.send(f"u@{NEVER}", LETTER) for _ in range(80)]
    wait_until(lambda: len(relay.events("deferred")) >= len(ids), 30)
    score.add("poison: ends well", [] if relay.stop() == 0 else ["no"])
    poison_queue(relay.store, ids[:79], True)
    poison_queue(relay.store, ids[79:], False)
    relay.start()
    honest = relay.send(f"v@{NEVER}", LETTER, sender=f"honest@{BACK}")
    score.add("poison: every delivery has a next event", [] if relay.queue("check")[0] == 0 else [relay.queue("check")])
    ended = wait_until(lambda: {e["id"] for e in relay.events("expired")} >= set(ids[:79]), 20)
    told = {e["id"] for e in relay.events("notification-impossible")}
    score.add("poison: each ends, and a line says so",
              [] if ended and told >= set(ids[:79]) else [len(relay.events("expired")), len(told)])
    score.add("poison: nothing is put off for ever", [] if not relay.event("notification-postponed") else ["it is"])
    code, out, err = relay.queue("bounce", f"id={ids[79]}")
    gone = wait_until(lambda: relay.event("expired", id=ids[79]), 10)
    score.add("poison: bounce works on one that still waits", [] if code == 0 and gone else [code, out, err])
    warned = wait_until(lambda: relay.event("notification", to=f"honest@{BACK}"), 40)
    score.add("poison: the honest sender is warned in time", [] if warned else ["not within 40 s"])
    over = wait_until(lambda: relay.event("expired", id=honest), 60)
    score.add("poison: and told of the end", [] if over and len(relay.events("notification", to=f"honest@{BACK}")) == 2
              else [over])
    score.add("poison: ends well again", [] if relay.stop() == 0 else ["no"])


# -- notices ---------------------------------------------------------------------------------------------

def test_notices_to_forged_senders(score):
    """A stranger's mail for a routed domain: few notices reach the address that it names, and a line tells of the others."""
    good, bad = Host("127.3.0.21"), Host("127.3.0.22", RCPT="550 5.1.1 no such user")
    relay = Relay("forged", PORT + 30, **{"relay.networks": "192.0.2.1/32", "queue.warn-after": 1, "queue.retry-first": 1,
                                          "destination.good.test.route": "[127.3.0.21]", "destination.bad.test.route":
                                          "[127.3.0.22]", "destination.never.test.route": "[127.3.0.23]"}).start()

    def about(to):
        return len(relay.events("notification", to=to))

    with relay.client() as c:
        c.ehlo()
        for _ in range(40):
            hand_in(c, b"success@ee-311.test", b"u@good.test", rcpt=b" NOTIFY=SUCCESS")
        for _ in range(40):
            hand_in(c, b"failure@ee-311.test", b"u@bad.test")
        hand_in(c, b"delay@ee-311.test", b"u@never.test")
    wait_until(lambda: len(relay.events("sent", to="u@good.test")) + len(relay.events("failed", to="u@bad.test")) >= 80, 40)
    score.add("forged: successes", [] if about("success@ee-311.test") == 5 else [about("success@ee-311.test")])
    told = about("failure@ee-311.test")             # the same network has used up five of its twenty
    score.add("forged: failures", [] if 15 <= told <= 16 else [told])
    dropped = relay.events("notification-dropped")
    score.add("forged: a line for each of the others", [] if len(dropped) + told + 5 == 80 else [len(dropped), told])
    wait_until(lambda: len(relay.events("deferred", to="u@never.test")) > 1, 10)
    score.add("forged: no word of a delay", [] if about("delay@ee-311.test") == 0 else [about("delay@ee-311.test")])
    score.add("forged: ends well", [] if relay.stop() == 0 else ["no"])
    good.close()
    bad.close()


# -- texts that go with their envelope --------------------------------------------------------------------

def test_chunks_that_are_refused(score):
    """Nobody's mail waits for ever because a host offers BDAT and has it not, whichever process comes with it again."""
    host = Host("127.3.0.24", ehlo=("250-host", "250-PIPELINING", "250 CHUNKING"), BDAT="502 5.5.1 what")
    relay = Relay("chunks", PORT + 40, **{"queue.retry-first": 600}).start()
    letter = relay.send("u@[127.3.0.24]", LETTER)
    wait_until(lambda: relay.event("deferred", id=letter), 10)
    relay.process.send_signal(signal.SIGHUP)        # the new couriers know nothing of it
    wait_until(lambda: relay.event("reloaded"), 10)
    time.sleep(1)
    relay.queue("retry", f"id={letter}")
    sent = wait_until(lambda: relay.event("sent", id=letter), 10)
    asked = sum(line.startswith(b"BDAT") for line in host.heard)
    score.add("chunks: DATA the second time", [] if sent and asked == 1 else [sent, asked, host.heard])
    score.add("chunks: ends well", [] if relay.stop() == 0 else ["no"])
    host.close()


class Flights:
    """A host that answers a flight at its end, and hangs up, without a word to any of it, where `poison` is in it."""

    def __init__(self, address, poison):
        self.poison, self.lost = poison, 0
        self.listener = socket.create_server((address, 25), backlog=100)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                c, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.session, args=(c,), daemon=True).start()

    def session(self, c):
        f = c.makefile("rb")
        try:
            c.sendall(b"220 host\r\n")
            while line := f.readline():
                verb, unsaid = line[:4].upper(), b""
                while verb in (b"MAIL", b"RCPT"):
                    self.look(line)
                    unsaid += b"250 ok\r\n"
                    line = f.readline()
                    verb = line[:4].upper()
                if verb == b"BDAT":
                    self.look(f.read(int(line.split()[1])))
                elif verb == b"DATA":
                    c.sendall(unsaid + b"354 go on\r\n")
                    unsaid = b""
                    while (line := f.readline()) not in (b".\r\n", b""):
                        self.look(line)
                c.sendall(unsaid + (b"250-host\r\n250-PIPELINING\r\n250 CHUNKING\r\n" if verb == b"EHLO" else b"250 ok\r\n"))
        except (OSError, ValueError):
            pass
        c.close()

    def look(self, octets):
        if self.poison in octets:
            self.lost += 1
            raise ValueError


def test_texts_that_end_sessions(score):
    """A host that hangs up over a text before it has answered anything stays open for others; and a success does not make
    the poison go round and round."""
    for n, what in enumerate(("text", "address")):
        at = f"127.3.0.{25 + n}"
        host = Flights(at, b"poison")
        relay = Relay(f"flights{n}", PORT + 50 + 10 * n, **{"queue.retry-first": 60}).start()
        for i in range(12):
            sender, text = (f"e{i}@{BACK}", LETTER + "poison\r\n") if what == "text" else (f"poison{i}@{BACK}", LETTER)
            relay.send(f"u@[{at}]", text, sender=sender)
        time.sleep(2)
        letter = relay.send(f"boss@[{at}]", LETTER, sender="honest@ee-312.test")
        sent = wait_until(lambda: relay.event("sent", id=letter), 10)       # noqa: B023
        time.sleep(2)
        score.add(f"flights: {what}: honest mail goes", [] if sent else [relay.rows("stats")])
        score.add(f"flights: {what}: each was tried once", [] if host.lost == 12 else [host.lost])
        score.add(f"flights: {what}: a next event", [] if relay.queue("check")[0] == 0 else [relay.queue("check")])
        score.add(f"flights: {what}: ends well", [] if relay.stop() == 0 else ["no"])


# -- names -----------------------------------------------------------------------------------------------

def asked_for(zone):
    """How many questions for names of the zone have reached the name server that misbehaves."""
    lines = report.json_lines((report.state() / "fakedns.log").read_text())
    return sum(row["name"].rstrip(".").endswith(zone) for row in lines)


def test_aliases_without_end(score):
    """An MX host that is an alias of an alias ...: what an attempt costs is bounded, and a bounce pays no more."""
    zone = "alias-endless.test"
    relay = Relay("aliases", PORT + 20, **{"queue.retry-first": 3600}).start()
    began = asked_for(zone)
    first = relay.send(f"u@{zone}", LETTER)
    wait_until(lambda: relay.event("deferred", id=first), 30)
    cost = asked_for(zone) - began
    score.add("aliases: one attempt", [] if 0 < cost < 100 else [f"{cost} questions"])
    time.sleep(6)                           # the resolver remembers a failure for five seconds
    before = asked_for(zone)
    bounced = relay.send("u@rcpt-550.test", LETTER, sender=f"x@mx.{zone}")     # not backed off
    wait_until(lambda: relay.event("failed", id=bounced), 30)
    notice = wait_until(lambda: relay.event("notification", to=f"x@mx.{zone}"), 10) or {}
    wait_until(lambda: relay.event("deferred", id=notice.get("id")), 30)
    cost = asked_for(zone) - before
    score.add("aliases: a bounce", [] if 0 < cost < 100 else [f"{cost} questions"])
    why = wait_until(lambda: relay.queue("why", first)[1], 5)
    score.add("aliases: the bound is named", [] if "11 aliases" in why else [why])
    score.add("aliases: ends well", [] if relay.stop() == 0 else ["no"])


# -- all -------------------------------------------------------------------------------------------------

TESTS = {name[5:]: f for name, f in list(globals().items()) if name.startswith("test_")}


def guarded(score, name):
    try:
        TESTS[name](score)
    except Exception as e:      # one broken test must not hide the others
        score.add(name, [f"broke off: {e!r}"])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pattern", nargs="*", help=f"of {', '.join(TESTS)}")
    parser.add_argument("-v", "--verbose", action="store_true", help="also say what passed")
    args = parser.parse_args()
    chosen = [n for n in TESTS if not args.pattern or any(fnmatch.fnmatchcase(n, p) for p in args.pattern)]
    score, began = Score(args.verbose), time.monotonic()
    threads = [threading.Thread(target=guarded, args=(score, n)) for n in chosen]   # most of their time is waiting
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print(f"{len(chosen)} attacks in {time.monotonic() - began:.0f} s", file=sys.stderr)
    print(f"{score.passed} passed, {score.failed} failed", flush=True)
    return 1 if score.failed or not score.passed else 0


sys.exit(main())
