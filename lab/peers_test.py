#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The relay and other servers than Postfix: Exim and OpenSMTPD, real ones, as destinations.

Run as: lab/lab run lab/peers_test.py.  What the relay says of each recipient, what is in the mailboxes, and
what the servers themselves say of the session.  Says SKIP where tools/fetch-peers could not bring them.
"""

import argparse
import email
import email.policy
import sys

sys.dont_write_bytecode = True

import peers        # noqa: E402
import report       # noqa: E402
from daemon import BACK, Relay, Score, expect, queue_id, wait_until    # noqa: E402

TEXT = "Grüße, 你好\r\n.\r\n..\r\n.dots\r\n"
TAKEN, REFUSED = ("somebody", "ada", "bob"), "nobody"
CODES = {"exim": "5.0.0", "opensmtpd": "5.2.4"}


def letter(word):
    text = (f"From: <a@{BACK}>\r\nTo: <b@{BACK}>\r\nSubject: {word}\r\nMIME-Version: 1.0\r\n"
            f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{TEXT}")
    return text.encode()


def hand_in(relay, domain, users, word):
    with relay.client() as c:
        c.ehlo()
        expect(c.docmd(f"MAIL FROM:<a@{BACK}> BODY=8BITMIME"), 250)
        for user in users:
            expect(c.docmd(f"RCPT TO:<{user}@{domain}>"), 250)
        return queue_id(expect(c.data(letter(word)), 250))


def fates(relay, id_, n):
    """{recipient: first outcome}, when there are n."""
    def look():
        got = {}
        for e in relay.events():
            if e.get("event") in ("sent", "deferred", "failed") and e.get("id") == id_ and "to" in e:
                got.setdefault(e["to"], e)
        return got if len(got) == n else None
    return wait_until(look, 30) or {}


def mailbox(domain, word):
    paths = (report.state() / "mail" / domain / "new").glob("*")
    return [raw for raw in (p.read_bytes() for p in paths) if word.encode() in raw]


def delivered(score, relay, name, channel):
    """Three recipients get it octet by octet, one is refused and the sender told."""
    domain, word = f"{name}.test", f"peer-{name}"
    id_ = hand_in(relay, domain, (*TAKEN[:2], REFUSED, *TAKEN[2:]), word)
    got = fates(relay, id_, 4)
    for user in TAKEN:
        e = got.get(f"{user}@{domain}", {})
        score.add(f"{name}: {user} is sent", [] if e.get("event") == "sent" else [e or relay.log_text()[-800:]])
    e = got.get(f"{REFUSED}@{domain}", {})
    final = channel != "clear"                          # after a fallback nothing is
    if final:
        score.add(f"{name}: {REFUSED} is refused", [] if e.get("event") == "failed" and e.get("reason") == "smtp-rejected" and
                  e.get("code") == CODES[name] else [e])
    else:
        score.add(f"{name}: {REFUSED} waits", [] if e.get("event") == "deferred" else [e])
    tries = relay.events("try", id=id_)
    score.add(f"{name}: {channel}", [] if tries and tries[-1].get("channel") == channel else [tries])
    copies = wait_until(lambda: len(mailbox(domain, word)) >= len(TAKEN), 20) and mailbox(domain, word)
    score.add(f"{name}: three copies", [] if copies and len(copies) == len(TAKEN) else [copies])
    body = TEXT.replace("\r\n", "\n").encode()
    wrong = [raw for raw in copies or [] if not raw.endswith(b"\n\n" + body)]
    score.add(f"{name}: the same octets", wrong)
    if final:
        notice = wait_until(lambda: mailbox(BACK, f"{REFUSED}@{domain}"), 20)
        score.add(f"{name}: the sender is told", [] if notice else ["nobody was told"])
    return copies or []


def own_view(score, name, copies, wanted):
    """The server's Received field: what it saw of the session."""
    for raw in copies:
        m = email.message_from_bytes(raw, policy=email.policy.compat32)
        top = m.get_all("Received", [""])[0]
        score.add(f"{name}: its own view", [] if all(w in top for w in wanted) else [top])


def exim_log(score):
    """One transaction for four recipients, under TLS, with the name of the host as SNI, and pipelined.  Exim writes
    `L-` where it offered that in vain, and a dot for its own extension to it, which the relay does not use."""
    log = report.state() / "mail" / ".log" / "exim-mainlog"
    lines = [line for line in log.read_text().splitlines() if " <= a@" in line]
    ok = len(lines) == 1 and {"L.", "P=esmtps", "SNI=mx.exim.test"} <= set(lines[0].split())
    score.add("exim: its log: one message, pipelined, with SNI", [] if ok else [lines])


def waits(score, relay, name, domain, code, reason):
    """Nothing arrives, nothing in clear, and the sender is not told yet."""
    word = f"peer-waits-{domain}"
    id_ = hand_in(relay, domain, ("somebody",), word)
    e = fates(relay, id_, 1).get(f"somebody@{domain}", {})
    score.add(f"{domain}: waits with {code}", [] if (e.get("event"), e.get("code"), e.get("reason")) ==
              ("deferred", code, reason) else [e or relay.log_text()[-800:]])
    score.add(f"{domain}: nothing arrived", mailbox(domain, word))
    score.add(f"{domain}: it is in the queue", [] if relay.queue("why", id_)[0] == 0 else ["it is not"])


def arrives(score, relay, name, domain):
    """Authenticated by its TLSA record."""
    word = f"peer-arrives-{domain}"
    id_ = hand_in(relay, domain, ("somebody",), word)
    e = fates(relay, id_, 1).get(f"somebody@{domain}", {})
    score.add(f"{domain}: sent", [] if e.get("event") == "sent" else [e or relay.log_text()[-800:]])
    tries = relay.events("try", id=id_)
    score.add(f"{domain}: authenticated", [] if tries and tries[-1].get("channel") == "authenticated" else [tries])
    score.add(f"{domain}: it arrived", [] if wait_until(lambda: mailbox(domain, word), 20) else ["nothing"])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-v", "--verbose", action="store_true", help="also say what passed")
    score = Score(parser.parse_args().verbose)
    engines = {s["engine"] for d in report.load()["domains"] for s in d["servers"]}
    if not engines >= set(peers.PROGRAMS):
        print(f"SKIP peers: {peers.missing() or 'Postfix cannot run here or tools/fetch-peers was not run'}")
        print("0 passed, 0 failed")
        return 0
    relay = Relay("peers", 2760).start()
    own_view(score, "exim", delivered(score, relay, "exim", "authenticated"), ("with esmtps", "TLS1.3"))
    exim_log(score)
    signs = peers.opensmtpd_signs()
    own_view(score, "opensmtpd", delivered(score, relay, "opensmtpd", "encrypted" if signs else "clear"),
             ("with ESMTPS id" if signs else "with ESMTP id", "(OpenSMTPD)"))
    waits(score, relay, "exim", "exim-mismatch.test", "4.7.323", "tlsa-invalid")
    waits(score, relay, "opensmtpd", "opensmtpd-mismatch.test", "4.7.323", "tlsa-invalid")
    if signs:
        arrives(score, relay, "opensmtpd", "opensmtpd-dane.test")
    else:
        waits(score, relay, "opensmtpd", "opensmtpd-dane.test", "4.7.5", "tls-failed")
    score.add("ends well", [] if relay.stop() == 0 else ["no"])
    print(f"peers: {score.passed} passed, {score.failed} failed", flush=True)
    return 1 if score.failed or not score.passed else 0


sys.exit(main())
