# SPDX-License-Identifier: MIT
"""DNS of the lab: zone files, keys, signatures, and the configuration of Knot DNS and BIND's named.

Good zones are signed by Knot DNS while it runs.  Zones that must be broken are signed once by
dnssec-signzone and then edited as text (FAULTS).  Knot serves both: three instances, for the root,
the top-level domains, and everything below.
"""

import base64
import concurrent.futures
import hashlib
import pathlib
import shutil
import subprocess

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

import domains

TTL = 300
TIERS = {"root": domains.ROOT_NS, "tld": domains.TLD_NS, "zone": domains.ZONE_NS}
DAY = 86400
ALGORITHM = 13                                  # ECDSAP256SHA256


def wire_name(name):
    labels = [label for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"


class Key:
    """A combined signing key of one zone, in the formats of the tools that sign."""

    def __init__(self, zone, flags=257):
        self.zone = zone
        self.private = ec.generate_private_key(ec.SECP256R1())
        numbers = self.private.public_key().public_numbers()
        self.public = numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
        self.rdata = flags.to_bytes(2, "big") + bytes([3, ALGORITHM]) + self.public
        self.flags = flags

    @property
    def tag(self):                              # RFC 4034 appendix B
        total = sum(byte << 8 if i % 2 == 0 else byte for i, byte in enumerate(self.rdata))
        return (total + (total >> 16)) & 0xFFFF

    def dnskey(self):
        return f"{self.flags} 3 {ALGORITHM} {base64.b64encode(self.public).decode()}"

    def ds(self, kind="good"):
        digest = hashlib.sha256(wire_name(self.zone) + self.rdata).digest()
        algorithm, dtype = ALGORITHM, 2
        if kind == "bad":
            digest = digest[::-1]
        elif kind == "unknown-algorithm":
            algorithm = 200
        elif kind == "unknown-digest":
            dtype = 200
        return f"{self.tag} {algorithm} {dtype} {digest.hex()}"

    def write(self, folder):
        """K*.key and K*.private as dnssec-signzone reads them; returns the path without suffix."""
        stem = pathlib.Path(folder) / f"K{self.zone}+{ALGORITHM:03d}+{self.tag:05d}"
        (stem.parent / (stem.name + ".key")).write_text(
            f"{self.zone} {TTL} IN DNSKEY {self.dnskey()}\n")
        scalar = self.private.private_numbers().private_value.to_bytes(32, "big")
        (stem.parent / (stem.name + ".private")).write_text(
            "Private-key-format: v1.3\n"
            f"Algorithm: {ALGORITHM} (ECDSAP256SHA256)\n"
            f"PrivateKey: {base64.b64encode(scalar).decode()}\n")
        return str(stem)

    def pem(self):
        return self.private.private_bytes(serialization.Encoding.PEM,
                                          serialization.PrivateFormat.PKCS8,
                                          serialization.NoEncryption())


# -- breaking a signed zone: functions over its lines, one record a line ---------------------------

def _fields(line):
    return line.split(None, 4)          # owner ttl class type rdata


def _strip(types):
    def edit(lines):
        def goes(line):
            f = _fields(line)
            return f[3] == "RRSIG" and (not types or f[4].split()[0] in types)
        return [line for line in lines if not goes(line)]
    return edit


def _wrong_signer(lines):
    """The signer's name field names the parent, which has no such key (RFC 4035 s5.3.1)."""
    out = []
    for line in lines:
        f = _fields(line)
        if f[3] == "RRSIG" and f[4].split()[0] != "DNSKEY":
            rdata = f[4].split(None, 8)
            rdata[7] = rdata[7].partition(".")[2] or "."
            line = "\t".join(f[:4]) + "\t" + " ".join(rdata)
        out.append(line)
    return out


def _tamper(types):
    """The last bytes of the signature are not the signer's."""
    def edit(lines):
        out = []
        for line in lines:
            f = _fields(line)
            if f[3] == "RRSIG" and f[4].split()[0] != "DNSKEY" and \
                    (not types or f[4].split()[0] in types):
                rdata = f[4].split(None, 8)
                raw = bytearray(base64.b64decode(rdata[8].replace(" ", "")))
                raw[-1] ^= 0x55
                rdata[8] = base64.b64encode(bytes(raw)).decode()
                line = "\t".join(f[:4]) + "\t" + " ".join(rdata)
            out.append(line)
        return out
    return edit


def _no_proof(lines):
    """NSEC3PARAM goes too: Knot 3.2 crashes when it is there and the NSEC3 records are not."""
    proof = ("NSEC", "NSEC3", "NSEC3PARAM")

    def goes(line):
        f = _fields(line)
        return f[3] in proof or (f[3] == "RRSIG" and f[4].split()[0] in proof)
    return [line for line in lines if not goes(line)]


def _unsigned(lines):
    drop = ("RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "DNSKEY")
    return [line for line in lines if _fields(line)[3] not in drop]


# name -> (signature start, signature end, edit); times are seconds from now
MONTH = 30 * DAY
FAULTS = {
    "": (-DAY, MONTH, None),
    "expired": (-MONTH, -DAY, None),
    "expired-lately": (-MONTH, -1800, None),
    "not-yet": (DAY, MONTH, None),
    "stripped": (-DAY, MONTH, _strip(())),
    "tlsa-stripped": (-DAY, MONTH, _strip(("TLSA",))),
    "unsigned": (-DAY, MONTH, _unsigned),
    "wrong-signer": (-DAY, MONTH, _wrong_signer),
    "tampered": (-DAY, MONTH, _tamper(())),
    "tlsa-tampered": (-DAY, MONTH, _tamper(("TLSA",))),
    "aaaa-tampered": (-DAY, MONTH, _tamper(("AAAA",))),
    "mx-tampered": (-DAY, MONTH, _tamper(("MX",))),
    "proof-tampered": (-DAY, MONTH, _tamper(("NSEC", "NSEC3"))),
    "no-proof": (-DAY, MONTH, _no_proof),
    "other-key": (-DAY, MONTH, None),        # needs two signings: see sign_by_hand()
}


class Zones:
    def __init__(self, world, state):
        self.world, self.state = world, pathlib.Path(state)
        self.keys = {}

    def zone_file(self, name):
        stem = name.rstrip(".") or "root"
        return self.state / "zones" / f"{stem}.zone"

    # -- building -----------------------------------------------------------------------------

    def build(self):
        for sub in ("zones", "keys", "sign"):
            shutil.rmtree(self.state / sub, ignore_errors=True)
            (self.state / sub).mkdir()
        for zone in self.world.zones.values():
            zone.tier = self._tier(zone)
            if zone.signer != "none":
                self.keys[zone.name] = Key(zone.name)
        for zone in self.world.zones.values():
            self._delegate(zone)
        for zone in self.world.zones.values():
            self._write_plain(zone)
        by_hand = [z for z in self.world.zones.values() if z.signer == "bind"]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(self._sign_by_hand, by_hand))
        self._write_knot()
        self._write_named()
        (self.state / "root.ds").write_text(f". {TTL} IN DS {self.keys['.'].ds()}\n")

    @staticmethod
    def _tier(zone):
        if zone.name == ".":
            return "root"
        return "tld" if zone.name.count(".") == 1 else "zone"

    def _ns(self, zone):
        return domains.NS_OF["fake" if zone.dns_fault else zone.tier]

    def _delegate(self, zone):
        """NS (and DS) of a zone in its parent; the root needs glue for the name servers."""
        if zone.name == ".":
            return
        parent = self.world.zone_of(zone.name.partition(".")[2] or ".")
        parent.records.append((zone.name, "NS", self._ns(zone)))
        if parent.name == ".":
            for owner, address in domains.NS_NAMES.items():
                if owner in ("a.ns.lab.", "b.ns.lab."):
                    glue = (owner, "A", address)
                    if glue not in parent.records:
                        parent.records.append(glue)
        if zone.signer != "none" and zone.ds != "none":
            parent.records.append((zone.name, "DS", self.keys[zone.name].ds(zone.ds)))

    def _write_plain(self, zone):
        ns = self._ns(zone)
        lines = [f"{zone.name} {TTL} IN SOA {ns} postmaster.lab. 1 3600 900 1209600 {TTL}",
                 f"{zone.name} {TTL} IN NS {ns}"]
        lines += [f"{owner} {TTL} IN {rtype} {rdata}" for owner, rtype, rdata in zone.records]
        self.zone_file(zone.name).write_text("\n".join(lines) + "\n")

    def _signzone(self, zone, keys, plain, start, end):
        work = self.state / "sign"
        stems = [key.write(self.state / "keys") for key in keys]
        text = plain + "".join(f"{zone.name} {TTL} IN DNSKEY {key.dnskey()}\n" for key in keys)
        source = work / f"{zone.name}in"
        source.write_text(text)
        out = work / f"{zone.name}out"
        kind, _, iterations = zone.denial.partition("-")
        if int(iterations or 0) > 150:          # more than dnssec-signzone is willing to do
            command = ["ldns-signzone", "-n", "-t", iterations, "-o", zone.name, "-f", str(out)]
        else:
            command = ["dnssec-signzone", "-q", "-z", "-P", "-O", "full", "-K", str(self.state / "keys"),
                       "-o", zone.name, "-f", str(out), "-s", f"now{start:+d}", "-e", f"now{end:+d}"]
            if kind == "nsec3":
                command += ["-3", "-", "-H", iterations or "0"]
        done = subprocess.run(command + [str(source)] + stems, cwd=work, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{command[0]} {zone.name}: {done.stderr}")
        lines = [line.partition(" ;{")[0] for line in out.read_text().splitlines()]
        return [line for line in lines if line and not line.startswith(";")]

    def _sign_by_hand(self, zone):
        start, end, edit = FAULTS[zone.fault]
        plain = self.zone_file(zone.name).read_text()
        lines = self._signzone(zone, [self.keys[zone.name]], plain, start, end)
        if zone.fault == "other-key":
            # DS and DNSKEY are right, everything else is signed by a key that is not in the zone
            stranger = self._signzone(zone, [Key(zone.name)], plain, start, end)

            def of_dnskey(line):
                f = _fields(line)
                return f[3] == "DNSKEY" or (f[3] == "RRSIG" and f[4].startswith("DNSKEY"))
            lines = [x for x in stranger if not of_dnskey(x)] + [x for x in lines if of_dnskey(x)]
        if edit:
            lines = edit(lines)
        self.zone_file(zone.name).write_text("\n".join(lines) + "\n")

    # -- servers' configuration ------------------------------------------------------------------

    def _policies(self, tier):
        """One Knot policy per kind of denial: nsec, nsec3, nsec3-ITERATIONS."""
        lines = []
        for denial in sorted({z.denial for z in self.world.zones.values() if z.tier == tier}):
            kind, _, iterations = denial.partition("-")
            lines += [f"  - id: {denial}", "    manual: on", "    single-type-signing: on",
                      "    algorithm: ecdsap256sha256", "    cds-cdnskey-publish: none",
                      f"    nsec3: {'on' if kind == 'nsec3' else 'off'}"]
            if kind == "nsec3":
                lines += [f"    nsec3-iterations: {iterations or 0}", "    nsec3-salt-length: 0"]
        return lines

    def _write_knot(self):
        for tier, address in TIERS.items():
            base = self.state / "knot" / tier
            shutil.rmtree(base, ignore_errors=True)
            (base / "run").mkdir(parents=True)
            conf = [
                "server:", f"    rundir: \"{base}/run\"", f"    listen: {address}@53",
                "    udp-workers: 1", "    tcp-workers: 1", "    background-workers: 2",
                "database:", f"    storage: \"{base}\"",
                "log:", "  - target: stderr", "    any: notice",
                "policy:", *self._policies(tier),
                "template:",
                "  - id: default", f"    storage: \"{self.state}/zones\"", "    zonefile-sync: -1",
                "    zonefile-load: whole", "    journal-content: none", "    semantic-checks: off",
                "zone:"]
            auto = []
            for zone in self.world.zones.values():
                if zone.tier != tier:
                    continue
                conf += [f"  - domain: \"{zone.name}\"", f"    file: \"{self.zone_file(zone.name)}\""]
                if zone.signer == "knot":
                    conf += ["    dnssec-signing: on", f"    dnssec-policy: {zone.denial}"]
                    auto.append(zone)
            path = base / "knot.conf"
            path.write_text("\n".join(conf) + "\n")
            for zone in auto:
                pem = self.state / "keys" / f"{zone.name}pem"
                pem.write_bytes(self.keys[zone.name].pem())
                subprocess.run(["keymgr", "-c", str(path), zone.name, "import-pem", str(pem),
                                "algorithm=ecdsap256sha256", "ksk=yes", "zsk=yes", "created=-1d",
                                "publish=-1d", "ready=-1d", "active=-1d"],
                               check=True, capture_output=True)

    def _write_named(self):
        """A validating resolver for the tools that trust the AD bit (posttls-finger)."""
        base = self.state / "named"
        base.mkdir(exist_ok=True)
        ds = self.keys["."].ds().split()
        (base / "hints").write_text(f". 3600 NS a.ns.lab.\na.ns.lab. 3600 A {domains.ROOT_NS}\n")
        (base / "named.conf").write_text(f"""options {{
    directory "{base}";
    pid-file none;
    session-keyfile none;
    managed-keys-directory "{base}";
    listen-on port 53 {{ {domains.RESOLVER}; }};
    listen-on-v6 {{ none; }};
    recursion yes;
    allow-query {{ any; }};
    dnssec-validation yes;
    minimal-responses yes;
    empty-zones-enable no;
    resolver-query-timeout 5;
}};
controls {{ }};
trust-anchors {{ . static-ds {ds[0]} {ds[1]} {ds[2]} "{ds[3]}"; }};
zone "." {{ type hint; file "{base}/hints"; }};
logging {{ channel file {{ file "{base}/named.log"; severity notice; }}; category default {{ file; }}; }};
""")
