# SPDX-License-Identifier: MIT
"""What the tests of the relay share: starting it, its log, its queue, its processes, and mail for it.

Knows the command line, the log's form and /proc.  Runs inside the lab.
"""

import os
import pathlib
import re
import shutil
import signal
import smtplib
import ssl
import subprocess
import threading
import time

import report

HOME = "127.0.0.1"
BACK = "ee-311.test"                     # a domain that takes everything: senders live there
READY_SECONDS = 20
FIELD = re.compile(r'(\S+?)=("(?:[^"\\]|\\.)*"|\S*)')


def wait_until(test, seconds=15.0, pause=0.05):
    """The first true value of test(), or the last false one."""
    end = time.monotonic() + seconds
    while True:
        got = test()
        if got or time.monotonic() > end:
            return got
        time.sleep(pause)


def fields_of(line):
    return {key: value[1:-1] if value.startswith('"') else value for key, value in FIELD.findall(line)}


class Score:
    def __init__(self, verbose):
        self.passed, self.failed, self.verbose = 0, 0, verbose
        self.lock = threading.Lock()

    def add(self, name, complaints):
        with self.lock:
            if complaints:
                self.failed += 1
                print(f"FAIL {name}: {'; '.join(map(str, complaints))}", flush=True)
            else:
                self.passed += 1
                if self.verbose:
                    print(f"ok   {name}", flush=True)


def can_be_nobody():
    """Is there a user nobody here, and can it reach the lab's folder? (Not below a home that is closed to others.)"""
    state = report.state()
    probe = state / "probe"
    probe.touch()
    try:
        shutil.chown(probe, "nobody")
        return all(folder.stat().st_mode & 0o001 for folder in state.resolve().parents)
    except OSError:
        return False
    finally:
        probe.unlink()


class Relay:
    """One relay with a folder of its own.  Ports: smtp PORT, submission PORT+1, submissions PORT+2."""

    def __init__(self, name, port, user="", prefix=(), **options):
        self.folder = report.state() / "relay" / name
        self.port, self.user, self.prefix = port, user, list(prefix)
        self.process, self.number, self.log_path = None, 0, None
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.store, self.control = self.folder / "queue.db", self.folder / "control"
        self.options = {"relay.smtp": f"{HOME}:{port}", "relay.user": user, "relay.store": self.store,
                        "relay.control": self.control, "relay.intakes": 2, "relay.couriers": 2, **options}
        if user:
            os.chmod(report.state(), 0o755)
            shutil.chown(self.folder, user)

    def arguments(self):
        out = []
        for key, value in self.options.items():
            for item in value if isinstance(value, list) else [value]:
                out += ["-o", f"{key}={item}"]
        return out

    def launch(self):
        """Starts it and does not wait."""
        self.number += 1
        self.log_path = self.folder / f"log.{self.number}"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([*self.prefix, "danelaw", *self.arguments(), "relay"],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def start(self):
        self.launch()
        if not wait_until(lambda: self.event("started") or self.process.poll() is not None, READY_SECONDS) or \
                self.process.poll() is not None:
            raise RuntimeError(f"the relay did not start: {self.log_text()[-2000:]}")
        return self

    def stop(self, seconds=30):
        """SIGTERM; its exit code, None when it had to be killed."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def kill(self):
        """Everything at once, as a power failure would."""
        for pid in [self.process.pid, *self.children()]:
            signal_quietly(pid, signal.SIGKILL)
        self.process.wait()

    # -- what it says and is -----------------------------------------------------------------------

    def log_text(self):
        return self.log_path.read_text(errors="replace") if self.log_path else ""

    def events(self, name=None, **wanted):
        out = []
        for line in self.log_text().splitlines():
            got = fields_of(line)
            if (name is None or got.get("event") == name) and all(got.get(k) == v for k, v in wanted.items()):
                out.append(got)
        return out

    def event(self, name, **wanted):
        found = self.events(name, **wanted)
        return found[-1] if found else None

    def children(self):
        path = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        try:
            return [int(pid) for pid in path.read_text().split()]
        except OSError:
            return []

    def roles(self):
        """{role: [pid, ...]} of those that are alive."""
        out = {}
        for e in self.events("process-started"):
            if is_alive(int(e["pid"])):
                out.setdefault(e["role"], []).append(int(e["pid"]))
        return out

    # -- the operator ------------------------------------------------------------------------------

    def queue(self, *words):
        """(exit code, stdout, stderr) of `danelaw queue`."""
        return report.run(["-o", f"relay.control={self.control}", "queue", *words], seconds=30)

    def rows(self, *words):
        """The JSON Lines of `danelaw queue --json ...` without the last, which says how it went."""
        return [row for row in report.json_lines(self.queue("--json", *words)[1]) if "ok" not in row]

    def totals(self):
        return next((row for row in self.rows("stats") if "messages" in row), {})

    def is_empty(self):
        return self.totals().get("messages") == 0

    # -- clients -----------------------------------------------------------------------------------

    def client(self, **more):
        return smtplib.SMTP(HOME, self.port, timeout=20, **more)

    def send(self, to, data, sender=f"tester@{BACK}", mail=(), rcpt=()):
        """One message over port 25; the queue id."""
        with self.client() as c:
            return give(c, sender, to, data, mail, rcpt)


def give(c, sender, to, data, mail=(), rcpt=()):
    """MAIL, RCPT, DATA over an open session; the queue id."""
    c.ehlo_or_helo_if_needed()
    expect(c.docmd(f"MAIL FROM:<{sender}> {' '.join(mail)}".strip()), 250)
    for address in [to] if isinstance(to, str) else to:
        expect(c.docmd(f"RCPT TO:<{address}> {' '.join(rcpt)}".strip()), 250)
    return queue_id(expect(c.data(data), 250))


def expect(reply, code):
    if reply[0] != code:
        raise smtplib.SMTPResponseException(*reply)
    return reply


def queue_id(reply):
    found = re.search(rb"queued as ([0-9a-f]+)", reply[1])
    if not found:
        raise ValueError(f"no queue id in {reply!r}")
    return found.group(1).decode()


def trusting(cafile):
    """A TLS context that takes the lab's CA and nothing else; the name does not matter here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cafile)
    return context


def signal_quietly(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


# -- /proc ---------------------------------------------------------------------------------------------

def open_files(pid):
    try:
        return [os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd")]
    except OSError:
        return []


def memory_kib(pid):
    """Resident memory; 0 for a process that is dying or gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmRSS:\s+(\d+)", text)
    return int(found.group(1)) if found else 0


def cpu_seconds(pid):
    """User and system time; 0 for a process that is gone."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
