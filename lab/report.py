# SPDX-License-Identifier: MIT
"""What the demo and the live tests share: running `danelaw`, the messages, and what arrived where."""

import json
import os
import pathlib
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

SENDER = "tester@client.lab.test"
MARK = b"X-Lab-Case: "
SERVER_ADDS = {b"return-path", b"x-original-to", b"envelope-to", b"delivered-to", b"received"}
TRACE = re.compile(rb"Received: by client\.lab\.test \(Danelaw [^\n]*\n(?:[ \t][^\n]*\n)*")


def state():
    folder = os.environ.get("DANELAW_LAB")
    if not folder:
        sys.exit("this runs inside the lab: lab/lab run lab/...")
    return pathlib.Path(folder)


def load():
    return json.loads((state() / "domains.json").read_text())


# -- messages: what the program reads on stdin, with LF line ends --------------------------------------

def message(domain):
    """The message for one domain of the list, as a file with LF line ends."""
    kind = domain["message"]
    head = [MARK.decode() + domain["ascii"], f"From: <{SENDER}>", f"To: <somebody@{domain['ascii']}>",
            f"Subject: {kind}", "Date: Thu, 01 Jan 2026 00:00:00 +0000",
            f"Message-ID: <{domain['ascii']}@client.lab.test>"]
    body = ["", f"About {domain['ascii']}.", "", "Bye."]
    if kind == "dots":
        body = ["", ".", "..", "...", ".a leading dot", "a trailing dot.", "", ".", "."]
    elif kind == "8bit":
        head += ["MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8",
                 "Content-Transfer-Encoding: 8bit"]
        body = ["", "Grüße, 你好, \u00a0 and \u2028 that is no line end", "\ttabs and trailing blanks  "]
    elif kind == "long-line":
        body = ["", "x" * 998, "y" * 997, "." + "z" * 996]
    elif kind == "no-body":
        body = []
    elif kind == "big":
        body = [""] + [f"line {n} " + "." * (n % 60) for n in range(8000)]
    elif kind == "utf8":
        head += ["MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8"]
        head[3] = "Subject: Grüße"
        body = ["", "ein Gruß"]
    text = "\n".join(head + body)
    return (text if kind == "no-final-newline" else text + "\n").encode()


def recipients(domain):
    """[(address, what must happen to it)]"""
    out = []
    for item in domain["rcpt"] or [{"to": "somebody"}]:
        expect = {k: v for k, v in item.items() if k != "to"} or domain["send"]
        out.append((f"{item['to']}@{domain['name']}", expect))
    return out


# -- running the program ---------------------------------------------------------------------------------

def run(args, data=b"", seconds=120):
    """(exit code, stdout, stderr); exit code None: it did not end in time."""
    try:
        done = subprocess.run(["danelaw", *args], input=data, capture_output=True, timeout=seconds)
        return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    except subprocess.TimeoutExpired as e:
        return None, (e.stdout or b"").decode("utf-8", "replace"), (e.stderr or b"").decode("utf-8", "replace")


def json_lines(text):
    out = []
    for line in text.splitlines():
        try:
            out.append(json.loads(line))
        except ValueError:
            out.append({"unreadable": line[:200]})
    return out


def check_all(domains, at_once=80, jobs=2):
    """{name: document} of `danelaw check --json` for many domains, {name: complaint} for the rest."""
    documents, trouble = {}, {}

    def one(chunk):
        code, out, err = run(["check", "--json", *[d["name"] for d in chunk]], seconds=240)
        found = {}
        for doc in json_lines(out):
            found[str(doc.get("domain", "")).rstrip(".").lower()] = doc
        return chunk, code, found, err
    chunks = [domains[i:i + at_once] for i in range(0, len(domains), at_once)]
    with ThreadPoolExecutor(jobs) as pool:
        for chunk, code, found, err in pool.map(one, chunks):
            for d in chunk:
                doc = found.get(d["name"].lower()) or found.get(d["ascii"])
                if doc:
                    documents[d["name"]] = doc
                else:
                    last = err.strip().splitlines()[-1:] or [""]
                    trouble[d["name"]] = f"no answer from check (exit {code}) {last[0][:150]}"
    return documents, trouble


def send_one(domain):
    """(exit code, [document per recipient], stderr) of `danelaw send --json`."""
    args = ["send", "--json", "-f", domain["sender"] or SENDER]
    code, out, err = run(args + [to for to, _ in recipients(domain)], message(domain))
    return code, json_lines(out), err


def send_all(domains, jobs=8):
    with ThreadPoolExecutor(jobs) as pool:
        return dict(zip([d["name"] for d in domains], pool.map(send_one, domains)))


# -- what arrived -------------------------------------------------------------------------------------------

class Arrival:
    """One copy that a server took: for whom, our octets with LF line ends, and what is wrong with it."""

    def __init__(self, where, rcpts, raw, on_top=False):
        self.where, self.rcpts, self.wrong = where, rcpts, []
        at = raw.find(MARK)
        self.case = raw[at + len(MARK):].split(b"\n", 1)[0].strip().decode() if at >= 0 else None
        if on_top:
            raw = self.without_server(raw)
        trace = TRACE.match(raw)            # RFC 5321 s4.4: one trace field of ours, on top
        if not trace:
            self.wrong.append("no Received field of danelaw on top")
        self.body = raw[trace.end() if trace else 0:]

    def without_server(self, raw):
        """What the delivering server put above the octets that it received."""
        fields = re.match(rb"(?:[A-Za-z-]+:[^\n]*\n(?:[ \t][^\n]*\n)*)*", raw).group()
        for field in re.findall(rb"[A-Za-z-]+:[^\n]*\n(?:[ \t][^\n]*\n)*", fields):
            if field.split(b":")[0].lower() not in SERVER_ADDS:
                self.wrong.append(f"the server put no Received field on top, but {field!r}")
                return raw
            raw = raw[len(field):]
            if field.startswith(b"Received:"):
                return raw
        return raw


def arrivals():
    """Everything that any server of the lab took."""
    out = []
    for path in sorted(state().glob("mail/*/new/*")):
        raw = path.read_bytes()
        head = raw.split(b"\n\n")[0]       # Postfix, Exim, OpenSMTPD; Postfix has Delivered-To too
        to = [re.findall(rb"^%s: (.*)$" % name, head, re.M) for name in (b"X-Original-To", b"Envelope-to", b"Delivered-To")]
        to = next(filter(None, to), [])
        out.append(Arrival(str(path), [t.decode("utf-8", "replace") for t in to], raw, on_top=True))
    for path in sorted(state().glob("taken/*/*.eml")):
        envelope = json.loads(path.with_suffix(".json").read_text())
        raw = path.read_bytes()
        to = [re.search(r"<(.*)>", line).group(1) for line in envelope["rcpt"]]
        out.append(Arrival(str(path), to, raw.replace(b"\r\n", b"\n")))
        if re.search(rb"[^\r]\n|\r[^\n]", raw):
            out[-1].wrong.append("bare CR or LF")
    return out


def wait_for_arrivals(wanted, seconds=15):
    """Postfix says 250 before it delivers: look until `wanted` copies are there, or time is up."""
    end = time.monotonic() + seconds
    while True:
        found = arrivals()
        if len(found) >= wanted or time.monotonic() > end:
            return found
        time.sleep(0.2)


def heard():
    """What the fakes logged, line by line."""
    out = []
    for line in (state() / "fakes.log").read_text().splitlines():
        try:
            out.append(json.loads(line))
        except ValueError:
            pass
    return out


def postfix_sessions():
    """(MX host, {command: count}) of each session at a Postfix listener."""
    pattern = re.compile(r" lab/(\S+)/smtpd\[\d+\]: disconnect from \S+ (.*)")
    log = state() / "mail" / ".log" / "postfix.log"
    for line in log.read_text(errors="replace").splitlines() if log.exists() else []:
        if m := pattern.search(line):
            counts = dict(part.split("=") for part in m.group(2).split() if "=" in part)
            yield m.group(1), {k: int(v.split("/")[0]) for k, v in counts.items()}


def differences(expect, got):
    """['code is X, not Y', ...] for each key that the list names."""
    return [f"{key} is {got.get(key)!r}, not {want!r}" for key, want in expect.items()
            if got.get(key) != want]
