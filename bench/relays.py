# SPDX-License-Identifier: MIT
"""What bench/relay measures with: processes and what they cost, the mail server and the load, and the two relays."""

import mmap
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import world

SESSIONS = 50           # clients that hand in mail at the same time
OCTETS = 4096
IDLE = 1000
SINK_PROCESSES = 2
STALLED = 10            # seconds without a message: what is missing will not come
SMTP = 2526             # where the relay under test listens
TICK = os.sysconf("SC_CLK_TCK")
POSTFIX_MASTER = "/usr/lib/postfix/sbin/master"

trouble = []            # what the reader has to know, printed in the end


# -- processes -------------------------------------------------------------------------------------

def stat_of(pid):
    """(parent, seconds of its own, seconds of its dead children), None when it is gone. The scheduler's nanoseconds for
    the living: in ticks, a hundred processes that did a little each would have done nothing."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            word = f.read().rpartition(")")[2].split()
        with open(f"/proc/{pid}/schedstat") as f:
            own = int(f.read().split()[0]) / 1e9
    except OSError:
        return None
    return int(word[1]), own, (int(word[13]) + int(word[14])) / TICK


def tree(root):
    """{pid: stat} of a process and all below it."""
    every = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (s := stat_of(name)):
            every[int(name)] = s
    found, fresh = {}, [root]
    while fresh:
        pid = fresh.pop()
        if pid in every and pid not in found:
            found[pid] = every[pid]
            fresh += [p for p, s in every.items() if s[0] == pid]
    return found


def cpu_of(root):
    """Seconds, user and system, of a tree with its dead; dead children are counted by who waited for them."""
    return sum(own + dead for _, own, dead in tree(root).values())


def pss_of(pids):
    """KiB. Shared pages are divided among those who map them, so the sum is the truth."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as f:
                total += int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M).group(1))
        except (OSError, AttributeError):
            pass
    return total


class Peak(threading.Thread):
    """The largest sum of PSS while it runs, what each process had then, and how many there were."""

    def __init__(self, root):
        super().__init__(daemon=True)
        self.root, self.peak, self.parts, self.processes, self.over = root, 0, {}, 0, threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(0.5):
            parts = {pid: pss_of([pid]) for pid in tree(self.root)}
            self.processes = max(self.processes, len(parts))
            if sum(parts.values()) > self.peak:
                self.peak, self.parts = sum(parts.values()), parts

    def end(self):
        self.over.set()
        self.join()
        return self.peak


def end_tree(process, how=signal.SIGKILL):
    pids = list(tree(process.pid))
    process.send_signal(how)
    if how != signal.SIGKILL:
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            pass
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
    process.wait()
    for _ in range(500):        # what is still dying still holds its sockets
        if not any(is_alive(pid) for pid in pids):
            break
        time.sleep(0.01)


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def listening():
    with socket.socket() as s:
        s.settimeout(2)
        try:
            s.connect(("127.0.0.1", SMTP))
            return s.recv(100).startswith(b"220")
        except OSError:
            return False


# -- the world -------------------------------------------------------------------------------------

class World(world.World):
    """The same little internet, with a mail server that takes mail."""

    def _spawn(self, name, *words):
        if name == "server-ec":
            _, port, _, chain, key = words
            words = (str(self.programs / "bench-sink"), port, str(SINK_PROCESSES), chain, key, str(self.state / "shared"))
        super()._spawn(name, *words)


class Sink:
    """The mail server: its knobs and what it saw (bench/sink.h)."""
    KINDS = 4
    COUNTS = ("connections", "full", "resumed", "in_clear", "refused", "open", "held")
    AT = {"pause_ms": 0, "limit": KINDS, "hold": 2 * KINDS, "chunking": 2 * KINDS + 1}
    FIRST_COUNT = 2 * KINDS + 2
    WORDS = FIRST_COUNT + len(COUNTS) + KINDS

    def __init__(self, w):
        path = w.state / "shared"
        world.wait_for("the mail server", lambda: path.exists() and path.stat().st_size == 8 * self.WORDS)
        self.root = w.daemons["server-ec"].pid
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 0)

    def turn(self, knob, value, kind=None):
        """kind: of the hosts that it is for; None: all of them, or the knob is for the whole server."""
        kinds = [kind] if kind is not None else range(self.KINDS) if knob in ("pause_ms", "limit") else [0]
        for k in kinds:
            struct.pack_into("=Q", self.map, 8 * (self.AT[knob] + k), value)

    def now(self):
        words = struct.unpack_from(f"={self.WORDS - self.FIRST_COUNT}Q", self.map, 8 * self.FIRST_COUNT)
        counts = dict(zip(self.COUNTS, words))
        kinds = list(words[len(self.COUNTS):])
        return counts | {"messages": sum(kinds), "kinds": kinds}

    def wait(self, before, n, began, kind=None, seconds=None):
        """Until n more messages have come, or nothing comes any more, or so many seconds are over; returns (how many came,
        seconds from the first to the last). kind: only those to such hosts count."""
        def get(counts):
            return counts["messages"] if kind is None else counts["kinds"][kind]
        first = last = None
        seen = 0
        moved = started = time.monotonic()
        while seen < n:
            time.sleep(0.01)
            now, came = time.monotonic(), get(self.now()) - get(before)
            if came > seen:
                first, last, moved = first or now, now, now
            elif now - moved > STALLED:
                break
            seen = came
            if seconds is not None and now - started > seconds:
                break
        return seen, (last or 0) - (first if began is None else began) if last else 0.0


class Source:
    def __init__(self, programs):
        self.program = str(programs / "bench-source")

    def start(self, domains, n, per_connection, sessions=SESSIONS):
        process = subprocess.Popen([self.program, str(SMTP), str(sessions), str(n), str(per_connection), str(OCTETS)],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        process.stdin.write("\n".join(domains) + "\n")
        process.stdin.close()
        return process

    @staticmethod
    def end(process):
        """(accepted, seconds)"""
        word = process.stdout.read().split()
        process.wait()
        if len(word) != 4:
            raise world.Trouble("the load generator did not finish")
        if int(word[1]) or int(word[2]):
            trouble.append(f"{word[1]} messages refused, {word[2]} lost on the way in")
        return int(word[0]), int(word[3]) / 1e6

    def idle(self, n):
        return subprocess.Popen([self.program, str(SMTP), "idle", str(n)], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True)


# -- the relays ------------------------------------------------------------------------------------

class Danelaw:
    name = "danelaw"
    ROLES = ("keeper", "resolver")

    def __init__(self, w, programs, state, options=()):
        self.program = programs.parent / "danelaw"
        self.base = state / "danelaw"
        self.base.mkdir()
        os.chmod(self.base, 0o777)
        self.conf, self.log, self.process, self.more = w.conf, state / "danelaw.log", None, list(options)

    def start(self, frozen=False, full=False):
        """frozen: nothing is sent. full: a full handshake for every session."""
        options = [f"relay.smtp=127.0.0.1:{SMTP}", f"relay.store={self.base}/queue.db",
                   f"relay.control={self.base}/control", "relay.user=nobody", "relay.clients-per-address=5000", *self.more]
        if frozen:
            options.append("queue.parallel=1")
        if full:
            options.append("tls.sessions=0")
        words = [str(self.program), "-c", self.conf]
        for o in options:
            words += ["-o", o]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([*words, "relay"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.root = self.process.pid
        def ready():
            if self.process.poll() is not None:
                raise world.Trouble(f"danelaw relay ended: {self.log.read_text().strip().splitlines()[-1:]}")
            return listening()
        world.wait_for("danelaw relay (see danelaw.log)", ready, 60)
        if frozen:
            for role, pids in self.roles().items():
                if role == "couriers":
                    for pid in pids:
                        os.kill(pid, signal.SIGSTOP)

    def roles(self):
        """In the order of their birth: keeper, resolver, couriers, intakes."""
        pids = sorted(p for p in tree(self.root) if p != self.root)
        half = 2 + (len(pids) - 2) // 2
        return {"parent": [self.root], "keeper": pids[:1], "resolver": pids[1:2], "couriers": pids[2:half],
                "intakes": pids[half:]}

    def cpu_by_role(self):
        return {role: sum((stat_of(p) or (0, 0, 0))[1] for p in pids) for role, pids in self.roles().items()}

    def stop(self):
        end_tree(self.process)

    def reset(self):
        for path in self.base.iterdir():
            path.unlink()


class Postfix:
    name = "postfix"
    MAIN = """compatibility_level = 3.6
config_directory = {base}/etc
queue_directory = {queue}
data_directory = {base}/data
mail_owner = postfix
setgid_group = postdrop
myhostname = client.bench
mydestination =
alias_maps =
local_recipient_maps =
inet_interfaces = 127.0.0.1
inet_protocols = all
smtp_bind_address =
mynetworks = 127.0.0.0/8
smtpd_client_connection_count_limit = 0
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_peername_lookup = no
smtp_dns_support_level = dnssec
smtp_tls_security_level = dane
smtputf8_enable = yes
maillog_file = {base}/log/postfix.log
maillog_file_prefixes = {base}
notify_classes =
biff = no
{more}"""
    MASTER = """127.0.0.1:{port} inet n - n - {smtpds} smtpd
cleanup unix n - n - 0 cleanup
{qmgr}tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsproxy unix - - n - 0 tlsproxy
postlog unix-dgram n - n - 1 postlogd
"""

    def __init__(self, w, programs, state, _options=()):
        self.base, self.process = state / "postfix", None
        owner = pwd.getpwnam("postfix")
        self.uid, self.gid = owner.pw_uid, owner.pw_gid
        for name in ("etc", "data", "log", "queue"):
            (self.base / name).mkdir(parents=True)
        os.chown(self.base / "data", self.uid, self.gid)
        for name in ("dynamicmaps.cf", "postfix-files"):
            if os.path.exists(f"/etc/postfix/{name}"):
                shutil.copy(f"/etc/postfix/{name}", self.base / "etc" / name)
        self.reset()

    def reset(self):
        shutil.rmtree(self.base / "queue")
        (self.base / "queue").mkdir()
        for name in ("incoming", "active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "saved", "trace",
                     "private", "public", "maildrop"):
            path = self.base / "queue" / name
            path.mkdir()
            os.chown(path, self.uid, self.gid)
            os.chmod(path, 0o710 if name == "public" else 0o700)
        (self.base / "queue" / "pid").mkdir()

    def start(self, frozen=False, full=False):
        """frozen: without a queue manager, what was accepted lies in the folder incoming. Then nobody must wait for the
        queue manager's leave (in_flow_delay)."""
        more = "in_flow_delay = 0\n" if frozen else "" if full else ("smtp_tls_session_cache_database = btree:${data_directory}/smtp_scache\n"
                                          "smtp_tls_connection_reuse = yes\n")
        (self.base / "etc" / "main.cf").write_text(
            self.MAIN.format(base=self.base, queue=self.base / "queue", more=more))
        (self.base / "etc" / "master.cf").write_text(self.MASTER.format(
            port=SMTP, smtpds=IDLE + 100 if frozen else "-", qmgr="" if frozen else "qmgr unix n - n 300 1 qmgr\n"))
        with open(self.base / "master.log", "ab") as log:
            self.process = subprocess.Popen([POSTFIX_MASTER, "-c", str(self.base / "etc"), "-d"],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.root = self.process.pid
        world.wait_for("Postfix (see postfix/log)", listening, 60)

    def cpu_by_role(self):
        """By program; of what has ended already only the sum is known."""
        by = {}
        for pid, (_, own, dead) in tree(self.root).items():
            try:
                name = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
            except OSError:
                continue
            by[name] = by.get(name, 0) + own
            if dead:
                by["ended"] = by.get("ended", 0) + dead
        return by

    def roles(self):
        return {"master": [self.root]}

    def stop(self):
        end_tree(self.process, signal.SIGTERM)


# -- what is printed -------------------------------------------------------------------------------

def tell(relay, what):
    """Progress, for who waits; the table comes at the end."""
    print(f"... {relay.name}: {what}", file=sys.stderr, flush=True)


def title(text):
    print(text, flush=True)


def line(what, text):
    print(f"  {what:<34} {text}", flush=True)


def table(head, rows):
    rows = [head] + [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    for row in rows:
        print("  " + "  ".join([row[0].ljust(widths[0])] + [c.rjust(x) for c, x in zip(row[1:], widths[1:])]).rstrip())
    print(flush=True)
