# SPDX-License-Identifier: MIT
"""The little internet of a measurement: a signed root, a signed top-level domain "bench." and N signed domains
below it, served by three Knot DNS; their one mail server; a validating resolver for tools that need one.

Every domain is a zone of its own, with MX, A and AAAA of its host, and TLSA for the mail server's key. Keys are
Knot's: one for all zones of a server, made at its start. So the servers start from below, and each gives its
parent the DS. Runs inside the namespaces that bench/run made; nothing here outlives them.
"""

import base64
import hashlib
import pathlib
import shutil
import socket
import struct
import subprocess
import time

TTL = 86400
ROOT, TLD, ZONES = "127.20.0.1", "127.20.0.2", "127.20.0.3"
RESOLVER = "127.20.0.54"
MX6_NET = "fd00:20::/28"    # all of it is this machine
FAST, SLOW, SILENT, THROTTLED = range(4)    # how a host behaves: bench/sink.h
RSA_PORT = 2525             # the same host with an RSA certificate
SERVERS = 8                 # processes of each mail server
READY_SECONDS = 40


def addresses(kind, number):
    """Of a host: a network of its own, as on the real internet, which says how bench-sink behaves there."""
    return (f"127.{100 + 10 * kind + number // 250}.{number % 250}.1", f"fd00:20:{kind:x}{number:03x}::1")


class Trouble(Exception):
    """The measurement cannot run here; the text says why."""


def command(*words, **more):
    done = subprocess.run(words, capture_output=True, text=True, **more)
    if done.returncode:
        raise Trouble(f"{' '.join(map(str, words[:4]))}: {done.stderr.strip()}")
    return done.stdout


def wait_for(what, test, seconds=READY_SECONDS):
    end = time.monotonic() + seconds
    while not test():
        if time.monotonic() > end:
            raise Trouble(f"{what}: not ready after {seconds} seconds")
        time.sleep(0.05)


# -- DNS as far as it takes to ask for a DNSKEY ----------------------------------------------------

def wire_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


def answers(address, name, rtype):
    """Does this server answer, with at least one record?"""
    query = struct.pack("!HHHHHH", 4711, 0x0100, 1, 0, 0, 0) + wire_name(name) + struct.pack("!HH", rtype, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.5)
        try:
            s.sendto(query, (address, 53))
            reply = s.recv(4096)
        except OSError:
            return False
    flags, _, count = struct.unpack_from("!HHH", reply, 2)
    return flags & 0x000F == 0 and count > 0


def dnskey(address, name):
    """RDATA of the zone's one key."""
    flags, protocol, algorithm, *text = command(
        "kdig", "+short", f"@{address}", name, "DNSKEY").splitlines()[0].split()
    return struct.pack("!HBB", int(flags), int(protocol), int(algorithm)) + base64.b64decode("".join(text))


def ds(name, key):
    total = sum(byte << 8 if i % 2 == 0 else byte for i, byte in enumerate(key))    # RFC 4034 appendix B
    tag = (total + (total >> 16)) & 0xFFFF
    return f"{name} {TTL} IN DS {tag} {key[3]} 2 {hashlib.sha256(wire_name(name) + key).hexdigest()}"


# -- the servers -----------------------------------------------------------------------------------

class World:
    def __init__(self, state, programs, ndomains, kind=lambda i: FAST):
        """kind: of the host of domain i."""
        self.kind = kind
        self.state, self.programs = pathlib.Path(state), pathlib.Path(programs)
        self.domains = [f"d{i:04d}.bench" for i in range(ndomains)]
        self.daemons = {}

    def start(self):
        self._network()
        tlsa = {"_25._tcp.mx": self._mail(25, "ec"), f"_{RSA_PORT}._tcp.mx": self._mail(RSA_PORT, "rsa")}
        self._knot("zones", ZONES, {name + ".": self._domain(i, tlsa) for i, name in enumerate(self.domains)})
        key = dnskey(ZONES, self.domains[0])
        below = ["b.ns.bench. IN A " + TLD, "c.ns.bench. IN A " + ZONES]
        for name in self.domains:
            below += [f"{name}. IN NS c.ns.bench.", ds(name + ".", key)]
        self._knot("tld", TLD, {"bench.": self._zone("bench.", "b.ns.bench.", below)})
        self._knot("root", ROOT, {".": self._zone(".", "a.root.", [
            f"a.root. IN A {ROOT}", "bench. IN NS b.ns.bench.", f"b.ns.bench. IN A {TLD}",
            ds("bench.", dnskey(TLD, "bench."))])})
        anchor = ds(".", dnskey(ROOT, "."))
        (self.state / "root.ds").write_text(anchor + "\n")
        if shutil.which("named"):
            self._named(anchor)
        self.conf = self._conf("danelaw.conf", 25)
        self.conf_rsa = self._conf("danelaw-rsa.conf", RSA_PORT)

    def _spawn(self, name, *words):
        log = open(self.state / f"{name}.log", "wb")
        self.daemons[name] = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _network(self):
        lines = ["link set lo up", f"addr add {RESOLVER}/8 dev lo"]
        command("ip", "-batch", "-", input="\n".join(lines) + "\n")
        command("ip", "-6", "route", "add", "local", MX6_NET, "dev", "lo")

    def _mail(self, port, kind):
        """A mail server with a leaf and the CA that issued it; returns the TLSA data."""
        tls = self.state / kind
        tls.mkdir()
        key = ["rsa:2048"] if kind == "rsa" else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        command("openssl", "req", "-x509", "-newkey", *key, "-nodes", "-keyout", "ca.key", "-out", "ca.pem",
                "-days", "2", "-subj", "/O=Bench/CN=Bench issuing CA", cwd=tls)
        command("openssl", "req", "-newkey", *key, "-nodes", "-keyout", "leaf.key", "-out", "leaf.csr",
                "-subj", "/CN=mx.d0000.bench", "-addext", "subjectAltName=DNS:mx.d0000.bench", cwd=tls)
        command("openssl", "x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2",
                "-copy_extensions", "copy", "-out", "leaf.pem", cwd=tls)
        (tls / "chain.pem").write_text((tls / "leaf.pem").read_text() + (tls / "ca.pem").read_text())
        command("openssl", "pkey", "-in", "leaf.key", "-pubout", "-outform", "DER", "-out", "leaf.spki", cwd=tls)
        self._spawn(f"server-{kind}", str(self.programs / "bench-server"), str(port), str(SERVERS),
                    str(tls / "chain.pem"), str(tls / "leaf.key"))
        return hashlib.sha256((tls / "leaf.spki").read_bytes()).hexdigest()

    @staticmethod
    def _zone(name, ns, lines):
        head = [f"$TTL {TTL}", f"{name} IN SOA {ns} postmaster.bench. 1 3600 900 1209600 {TTL}", f"{name} IN NS {ns}"]
        return "\n".join(head + lines) + "\n"

    def _domain(self, i, tlsa):
        name = self.domains[i] + "."
        four, six = addresses(self.kind(i), i)
        lines = [f"{name} IN MX 10 mx.{name}", f"mx.{name} IN A {four}", f"mx.{name} IN AAAA {six}"]
        lines += [f"{owner}.{name} IN TLSA 3 1 1 {data}" for owner, data in tlsa.items()]
        return self._zone(name, "c.ns.bench.", lines)

    def _knot(self, what, address, zones):
        base = self.state / what
        (base / "zones").mkdir(parents=True)
        conf = ["server:", f'  rundir: "{base}"', f"  listen: {address}@53", "  udp-workers: 1", "  tcp-workers: 1",
                "  background-workers: 2", "database:", f'  storage: "{base}"', "log:", "  - target: stderr",
                "    any: warning", "policy:", "  - id: shared", "    algorithm: ecdsap256sha256",
                "    single-type-signing: on", "    ksk-shared: on", "    cds-cdnskey-publish: none",
                "template:", "  - id: default", f'    storage: "{base}/zones"', "    zonefile-sync: -1",
                "    zonefile-load: whole", "    journal-content: none", "    semantic-checks: off",
                "    dnssec-signing: on", "    dnssec-policy: shared", "zone:"]
        for name, text in zones.items():
            path = base / "zones" / f"{name}zone"
            path.write_text(text)
            conf += [f'  - domain: "{name}"', f'    file: "{path}"']
        (base / "knot.conf").write_text("\n".join(conf) + "\n")
        self._spawn(f"knot-{what}", "knotd", "-c", str(base / "knot.conf"))
        for name in zones:
            wait_for(f"zone {name} (see knot-{what}.log)", lambda n=name: answers(address, n, 48))

    def _named(self, anchor):
        """For posttls-finger, which trusts the AD bit of the resolver in /etc/resolv.conf."""
        base = self.state / "named"
        base.mkdir()
        tag, algorithm, kind, digest = anchor.split()[4:]
        (base / "hints").write_text(f". 3600 NS a.root.\na.root. 3600 A {ROOT}\n")
        (base / "named.conf").write_text(f"""options {{
    directory "{base}";
    pid-file none;
    session-keyfile none;
    managed-keys-directory "{base}";
    listen-on port 53 {{ {RESOLVER}; }};
    listen-on-v6 {{ none; }};
    recursion yes;
    dnssec-validation yes;
    empty-zones-enable no;
}};
controls {{ }};
trust-anchors {{ . static-ds {tag} {algorithm} {kind} "{digest}"; }};
zone "." {{ type hint; file "{base}/hints"; }};
""")
        (self.state / "resolv.conf").write_text(f"nameserver {RESOLVER}\noptions trust-ad edns0\n")
        target = pathlib.Path("/etc/resolv.conf").resolve()
        command("mount", "--bind", str(self.state / "resolv.conf"), str(target))
        self._spawn("named", "named", "-f", "-c", str(base / "named.conf"))

    def _conf(self, name, port):
        path = self.state / name
        path.write_text(f"""dns {{
	anchor = "{self.state}/root.ds"
	stub = "{ROOT}@53"
}}
smtp {{
	helo = "client.bench"
	port = {port}
}}
""")
        return str(path)
