# SPDX-License-Identifier: MIT
"""Building the lab's state folder, and running it inside its own namespaces.

Outside: lock the state folder, start `unshare` and wait.  Inside, process 1 only reaps; its child
mounts, adds addresses to lo, builds what is stale, starts the daemons, runs the command.  When the
command ends, process 1 ends, and the kernel ends everything else in the process namespace.
"""

import ctypes
import fcntl
import hashlib
import importlib.util
import json
import os
import pathlib
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

import domains
import peers
import postfix

LAB = pathlib.Path(__file__).resolve().parent
PROJECT = LAB.parent
MAX_AGE = 8 * 3600              # signatures and certificates are remade after this many seconds
READY_SECONDS = 60
CLIENT_PATIENCE = 5             # seconds that the program under test waits in each phase
PHASES = ("connect", "greeting", "ehlo", "starttls", "handshake", "mail", "rcpt", "data-init",
          "data-block", "data-done", "quit")

TRY = """
  danelaw check ee-311.test                    the whole story of one domain
  danelaw check --json at-tlsa.expired.test    the same for a program
  printf 'Subject: hi\\r\\n\\r\\nhello\\r\\n' | danelaw send -f me@client.lab.test you@ee-311.test
  ls "$DANELAW_LAB"/mail/*/new                 what arrived at Postfix
  cat "$DANELAW_LAB"/fakes.log                 what the misbehaving servers heard
  dig +dnssec _25._tcp.mx.ee-311.test TLSA     (the resolver at 127.0.0.54 validates)
  lab/lab list                                 every domain and what should happen
"""


def say(text):
    print(f"lab: {text}", file=sys.stderr, flush=True)


class Trouble(Exception):
    """The lab cannot run here; the text says why."""


# -- building --------------------------------------------------------------------------------------

NEEDS = {"knotd": "knot", "keymgr": "knot", "dnssec-signzone": "bind9-utils", "ldns-signzone": "ldnsutils",
         "ip": "iproute2", "unshare": "util-linux", "mount": "mount"}


def look_for_programs():
    os.environ["PATH"] = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/local/sbin:/usr/sbin:/sbin"
    missing = {package for program, package in NEEDS.items() if not shutil.which(program)}
    if not importlib.util.find_spec("cryptography"):
        missing.add("python3-cryptography")
    if missing:
        raise Trouble(f"the lab needs these Debian packages: {' '.join(sorted(missing))}")


def stand_in():
    """True where real Postfix cannot run (not installed, or its user is not mapped here): fakes take
    its place."""
    if not os.path.exists(postfix.MASTER):
        return True
    try:
        ids = sum(int(line.split()[2]) for line in open("/proc/self/uid_map"))
    except OSError:
        return False
    return ids < 1000


def fingerprint():
    h = hashlib.sha256(f"{sys.version} {stand_in()} {peers.there()}".encode())
    for path in sorted(LAB.glob("*.py")) + [domains.FILE]:
        if path.name.endswith("_test.py") or path.name in ("torture.py", "powercut.py", "sweep.py", "daemon.py",
                                                           "report.py", "load.py", "disk.py", "audited.py"):
            continue
        h.update(path.read_bytes())
    return h.hexdigest()


def fresh(state):
    try:
        stamp = json.loads((state / "stamp.json").read_text())
    except (OSError, ValueError):
        return False
    age = time.time() - stamp["made"]
    return stamp["fingerprint"] == fingerprint() and 0 <= age < MAX_AGE and \
        stamp["state"] == str(state)


def build(state):
    """Certificates, zones, configurations.  Takes a few seconds; kept while nothing changed."""
    import certs
    import fakedns
    import zones
    (state / "stamp.json").unlink(missing_ok=True)
    world = domains.load()
    absent = ("postfix", *peers.PROGRAMS) if stand_in() else () if peers.there() else tuple(peers.PROGRAMS)
    for server in world.servers:
        if server.engine in absent:
            server.engine, server.fault = "fake", server.options.get("stand_in", "accept")
    for server in world.servers:
        server.options.pop("stand_in", None)
    maker = certs.Certs()
    for spec in world.cas:
        maker.add_ca(spec)
    tls = state / "tls"
    shutil.rmtree(tls, ignore_errors=True)
    tls.mkdir(parents=True)
    for name, ca in maker.cas.items():
        for part, signed in ca.items():
            if signed:
                (tls / f"ca-{name}-{part}.pem").write_bytes(signed.pem())
    fakes = []
    for server in world.servers:
        if server.engine == "none":
            server.chains = [maker.make(spec, server.name) for spec in server.certs]
            continue
        server.chains = [maker.make(spec, server.name) for spec in server.certs]
        server.chain_files = [chain.write(tls / f"{server.index:03d}-{n}-{server.name[:60]}.pem")
                              for n, chain in enumerate(server.chains)]
        sni = {name: maker.make(spec, name).write(tls / f"{server.index:03d}-sni-{name[:60]}.pem")
               for name, spec in server.sni.items()}
        if server.engine == "fake":
            fakes.append({"host": server.name, "domain": domains.a_label(server.domain),
                          "fault": server.fault, "addresses": server.addresses(),
                          "chain_files": server.chain_files, "sni": sni})
    shown = {}
    for owner, notations, server in world.tlsa:
        for text in notations:
            rdata = maker.tlsa(text, server.chains)
            generic = f"\\# {len(rdata)} {rdata.hex()}"
            world.add(owner, "TYPE52", generic)
            if owner.endswith(".test."):
                world.add(domains.mirror(owner), "TYPE52", generic)
            if len(rdata) < 3:
                continue
            usage, selector, mtype = rdata[:3]
            shown.setdefault(owner.rstrip("."), []).append(f"{usage} {selector} {mtype} {rdata[3:].hex()}")
    zones.Zones(world, state).build()
    (state / "fakes.json").write_text(json.dumps(fakes, indent=1))
    if not stand_in():
        postfix.Postfix(world, state).build()
        peers.build(world, state)
    fakedns.rules(world)
    write_conf(world, state)
    write_domains(world, state, shown)
    (state / "stamp.json").write_text(json.dumps(
        {"made": time.time(), "fingerprint": fingerprint(), "state": str(state)}))


def write_conf(world, state):
    quote = json.dumps              # libconfuse strings escape like these
    levels = "".join(f"destination {quote(d.ascii)} {{ level = {d.spec['level']} }}\n"
                     for d in world.domains if "level" in d.spec)
    timeouts = "".join(f"\ttimeout-{phase} = {CLIENT_PATIENCE}\n" for phase in PHASES)
    (state / "danelaw.conf").write_text(f"""# written by lab/world.py; do not edit
dns {{
	anchor = {quote(str(state / "root.ds"))}
	stub = "{domains.ROOT_NS}@53"
	unbound = {{ "local-zone: test. transparent", "do-not-query-localhost: no" }}
	sig-skew = 300
	timeout = 10
}}
smtp {{
	helo = "{domains.HELO}"
	own-addresses = {{ "127.11.0.1" }}
{timeouts}}}
{levels}""")
    bin_dir = state / "bin"
    bin_dir.mkdir(exist_ok=True)
    wrapper = bin_dir / "danelaw"
    program = shlex.quote(str(PROJECT / "build" / "danelaw"))
    wrapper.write_text("#!/bin/sh\n"
                       f"exec \"${{DANELAW:-{program}}}\" -c {shlex.quote(str(state / 'danelaw.conf'))} \"$@\"\n")
    wrapper.chmod(0o755)


def write_domains(world, state, shown):
    """What the tests read: the list after expansion, with addresses and TLSA data."""
    out = []
    for d in world.domains:
        servers = [{"name": s.name, "engine": s.engine, "fault": s.fault,
                    "addresses": s.addresses(), "sni": bool(s.sni), "chains": [f.replace(".pem", ".chain.pem")
                                                           for f in s.chain_files]}
                   for s in world.servers if s.domain == d.name]
        out.append({"name": d.name, "ascii": d.ascii, "about": d.about, "rule": d.rule,
                    "expect": d.expect, "send": d.send, "group": d.group, "servers": servers,
                    "rcpt": d.spec.get("rcpt"), "message": d.spec.get("message", "plain"),
                    "sender": d.spec.get("sender"), "slow": d.spec.get("slow", False),
                    "clear": d.spec.get("clear", False), "never_asked": d.spec.get("never_asked", []),
                    "level": d.spec.get("level")})
    (state / "domains.json").write_text(json.dumps(
        {"domains": out, "tlsa": shown, "demo": world.demo}, indent=1))


# -- inside the namespaces -------------------------------------------------------------------------

def run_quiet(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Trouble(f"{' '.join(command)}: {done.stderr.strip()}")


def bind(source, target):
    run_quiet("mount", "--bind", str(source), str(target))


def set_up_network(world):
    """Everything on lo.  127/8 is there by itself, except for named, which looks for its address
    on an interface; IPv6 addresses are added one by one."""
    lines = ["link set lo up", f"addr add {domains.RESOLVER}/8 dev lo"]
    v6 = [s.ipv6 for s in world.servers if "6" in s.families]
    lines += [f"addr add {a}/128 dev lo nodad" for a in v6]
    done = subprocess.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n",
                          capture_output=True, text=True)
    if done.returncode:
        raise Trouble(f"ip: {done.stderr.strip()}")
    subprocess.run(["hostname", domains.HELO], capture_output=True)


def spawn(state, name, command, **more):
    log = open(state / f"{name}.log", "wb")
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **more)


def soa_query(zone):
    import zones
    return struct.pack("!HHHHHH", 4711, 0x0000, 1, 0, 0, 0) + zones.wire_name(zone) + \
        struct.pack("!HH", 6, 1)


def answers(address, zone, recursive=False):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.5)
        query = soa_query(zone)
        if recursive:
            query = query[:2] + b"\x01\x00" + query[4:]
        try:
            s.sendto(query, (address, 53))
            reply = s.recv(4096)
        except OSError:
            return False
    flags, _, count = struct.unpack_from("!HHH", reply, 2)
    return flags & 0x000F == 0 and count > 0


def listens(address, port):
    try:
        socket.create_connection((address, port), 1).close()
        return True
    except OSError:
        return False


def wait_for(what, test, daemons):
    end = time.monotonic() + READY_SECONDS
    while not test():
        for name, process in daemons.items():
            if process.poll() is not None:
                raise Trouble(f"{name} ended with status {process.returncode}; see {name}.log")
        if time.monotonic() > end:
            raise Trouble(f"{what} is not ready after {READY_SECONDS} seconds")
        time.sleep(0.05)


def start_all(state):
    import zones
    world = domains.load()
    began = time.monotonic()
    if fresh(state):
        say("keys, certificates and zones of the last run are still good")
    else:
        say(f"building certificates and zones for {len(world.domains)} domains")
        build(state)
        say(f"built in {time.monotonic() - began:.1f} s")
    set_up_network(world)
    for name in ("mail", "taken"):
        shutil.rmtree(state / name, ignore_errors=True)
        (state / name).mkdir()
    (state / "fakes.ready").unlink(missing_ok=True)
    (state / "resolv.conf").write_text(f"nameserver {domains.RESOLVER}\noptions trust-ad edns0\n")
    bind(state / "resolv.conf", os.path.realpath("/etc/resolv.conf"))
    for anchor in ("/usr/share/dns/root.key", "/var/lib/unbound/root.key", "/etc/unbound/root.key"):
        if os.path.exists(anchor):          # where tools look for the root's key by themselves
            bind(state / "root.ds", anchor)

    daemons = {}
    for tier in zones.TIERS:
        shutil.rmtree(state / "knot" / tier / "run", ignore_errors=True)    # a stale pid may be in use
        (state / "knot" / tier / "run").mkdir()
        daemons[f"knot-{tier}"] = spawn(state, f"knot-{tier}",
                                        ["knotd", "-c", f"{state}/knot/{tier}/knot.conf"])
    python = [sys.executable or "/usr/bin/python3"]
    daemons["fakedns"] = spawn(state, "fakedns-errors", python + [str(LAB / "fakedns.py"), str(state)])
    daemons["fakes"] = spawn(state, "fakes-errors", python + [str(LAB / "fakes.py"), str(state)])
    if shutil.which("named"):
        daemons["named"] = spawn(state, "named-errors",
                                 ["named", "-f", "-c", f"{state}/named/named.conf"])
    else:
        say("no named (package bind9): nothing answers at 127.0.0.54 for dig and posttls-finger")
    if stand_in():
        say("Postfix cannot run here, the fakes stand in for it (it takes the package postfix and, unless "
            "you are root, the package uidmap and a range for you in /etc/subuid and /etc/subgid)")
    else:
        real = postfix.Postfix(world, state)
        for source, target in real.mounts():
            if source is None:
                run_quiet("mount", "-t", "tmpfs", "-o", "mode=755", "lab", target)
            else:
                bind(source, target)
        for n, address in enumerate(postfix.listeners(world)):
            daemons[f"postfix-{n}"] = real.start(n)
            wait_for("postfix", lambda where=address: listens(*where), daemons)
        if not peers.there():
            say("no Exim and no OpenSMTPD, the fakes stand in for them (tools/fetch-peers brings them)")
        for name in peers.PROGRAMS if peers.there() else ():
            daemons[name] = peers.start(state, name)
            wait_for(name, lambda n=name: listens(peers.hosts(world, n)[0].ipv4, 25), daemons)
    say("waiting for the name servers")
    for zone in world.zones.values():
        tier = zones.Zones._tier(zone)
        wait_for(f"zone {zone.name}", lambda z=zone, t=tier: answers(zones.TIERS[t], z.name), daemons)
    wait_for("fakes", (state / "fakes.ready").exists, daemons)
    if "named" in daemons:
        wait_for("resolver", lambda: answers(domains.RESOLVER, "test.", recursive=True), daemons)
    say(f"ready in {time.monotonic() - began:.1f} s: {len(world.domains)} domains, "
        f"{len(world.zones)} zones, {len(world.servers)} mail servers")
    return daemons


def inside(state, command):
    """The child of process 1: start, run the command, report its exit code."""
    state = pathlib.Path(state)
    try:
        daemons = start_all(state)
    except Trouble as e:
        say(str(e))
        return 70
    env = {**os.environ, "DANELAW_LAB": str(state), "DANELAW_CONF": str(state / "danelaw.conf"),
           "PATH": f"{state / 'bin'}:{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/sbin:/sbin"}
    if command == ["__shell"]:
        say("a shell inside the lab; nothing in here reaches the machine's network.  Try:" + TRY)
        env["PS1"] = "lab \\w \\$ "
        command = ["bash", "--norc", "-i"] if sys.stdin.isatty() else ["bash", "--norc"]
    try:
        return subprocess.run(command, env=env).returncode
    except OSError as e:
        say(f"{command[0]}: {e.strerror}")
        return 127
    finally:
        masters = [d for name, d in daemons.items() if name.startswith("postfix-")]
        for master in masters:
            master.kill()
        if masters:
            postfix.Postfix(None, state).leave()


def reap(child):
    """Process 1 of the namespace: collect orphans until our own child ends; pass signals on."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda n, _: os.kill(child, n) if n != signal.SIGINT else None)
    while True:
        try:
            pid, status = os.wait()
        except InterruptedError:
            continue
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


# -- outside ---------------------------------------------------------------------------------------

PR_SET_PDEATHSIG = 1


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def unshare_command():
    common = ["--net", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc"]
    if os.geteuid() == 0:
        return ["unshare", *common]
    rich = ["unshare", "--user", "--map-root-user", "--map-auto", *common]
    poor = ["unshare", "--user", "--map-root-user", *common]
    for command in (rich, poor):
        if subprocess.run([*command, "true"], capture_output=True).returncode == 0:
            return command
    raise Trouble("this user may not make namespaces (unshare --user failed); run as root")


def run(state, command):
    look_for_programs()
    state = pathlib.Path(state).resolve()
    state.mkdir(parents=True, exist_ok=True)
    lock = open(state / "lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        say(f"another run uses {state}; waiting for it to end (or give another --state)")
        fcntl.flock(lock, fcntl.LOCK_EX)
    process = subprocess.Popen([*unshare_command(), sys.executable, str(LAB / "lab"), "__inside",
                                str(state), *command], preexec_fn=die_with_parent,
                               pass_fds=[lock.fileno()])

    def stop(number, _):
        process.kill()                  # --kill-child takes the whole namespace with it
        os._exit(128 + number)          # no wait: the main thread may be inside one
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)
    while True:
        try:
            code = process.wait()
            return code if code >= 0 else 128 - code
        except KeyboardInterrupt:
            continue                    # the command inside got it too and decides
