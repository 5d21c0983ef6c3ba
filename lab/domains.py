# SPDX-License-Identifier: MIT
"""The lab's list: reads domains.toml and turns it into zones, servers and expectations.

Everything else in the lab (zone files, Postfix, the fakes, the tests, the demo) is made from the
World that load() returns; nothing else reads domains.toml.  Pure: no I/O besides reading the file.
"""

import copy
import pathlib
import tomllib
from dataclasses import dataclass, field

import peers

FILE = pathlib.Path(__file__).resolve().parent / "domains.toml"

ROOT_NS, TLD_NS, ZONE_NS, FAKE_NS = "127.0.0.53", "127.0.0.61", "127.0.0.62", "127.0.0.63"
RESOLVER = "127.0.0.54"
HELO = "client.lab.test"
NS_NAMES = {"a.ns.lab.": ROOT_NS, "b.ns.lab.": TLD_NS, "c.ns.lab.": ZONE_NS, "d.ns.lab.": FAKE_NS}
NS_OF = {"root": "a.ns.lab.", "tld": "b.ns.lab.", "zone": "c.ns.lab.", "fake": "d.ns.lab."}

POSITIONS = {
    "mx": "at the MX lookup",
    "address": "at the address of the MX host",
    "alias": "at an alias (CNAME) on the way to the MX host's address",
    "tlsa": "at the TLSA lookup",
}


class ListError(Exception):
    """domains.toml says something that the lab cannot build."""


def fqdn(name, origin):
    """A name as the list writes it: absolute with a dot at the end, `@`, or relative to origin."""
    if name == "@":
        return origin
    return name.lower() if name.endswith(".") else f"{name.lower()}.{origin}"


def a_label(name):
    return name.encode("idna").decode() if not name.isascii() else name.lower()


def mirror(owner):
    """libunbound answers for `test.` from a built-in local zone, and danetool cannot change that: for
    its sake every TLSA record below test. is published a second time, below mirror.lab."""
    return owner.removesuffix(".test.") + ".mirror.lab."


@dataclass
class Zone:
    name: str                       # absolute, lower case
    tier: str = "zone"              # root, tld, zone
    signer: str = "knot"            # knot, bind (signed once, then broken by hand), none
    denial: str = "nsec"
    ds: str = "good"                # what the parent publishes: good, bad, none, unknown-algorithm, ...
    fault: str = ""                 # how the signed zone is broken: see zones.py
    dns_fault: str = ""             # how the fake name server in front misbehaves: see fakedns.py
    records: list = field(default_factory=list)     # (owner, type, rdata text)


@dataclass
class Server:
    name: str                       # the MX host name without the dot
    domain: str
    index: int
    families: tuple = ("4",)
    dead: tuple = ()                # families in DNS where nobody listens
    engine: str = "postfix"         # postfix, fake, none
    fault: str = ""
    options: dict = field(default_factory=dict)
    certs: list = field(default_factory=list)
    sni: dict = field(default_factory=dict)
    chains: list = field(default_factory=list)      # filled in by the builder
    chain_files: list = field(default_factory=list)

    @property
    def ipv4(self):
        return f"127.10.{self.index // 250}.{self.index % 250 + 1}"

    @property
    def ipv6(self):
        return f"fd00:da7e::{self.index + 1:x}"

    def addresses(self, listening=True):
        ips = {"4": self.ipv4, "6": self.ipv6}
        return [ips[f] for f in self.families if not (listening and f in self.dead)]


@dataclass
class Domain:
    name: str                       # as a user types it (may be a U-label)
    about: str
    rule: str
    expect: dict
    send: dict
    spec: dict
    group: str = ""

    @property
    def ascii(self):
        return a_label(self.name)


@dataclass
class World:
    zones: dict = field(default_factory=dict)
    servers: list = field(default_factory=list)
    domains: list = field(default_factory=list)
    cas: list = field(default_factory=list)
    tlsa: list = field(default_factory=list)        # (owner, [notation], server): needs certificates
    demo: dict = field(default_factory=dict)

    def zone_of(self, owner):
        best = None
        for zone in self.zones.values():
            if owner == zone.name or zone.name == "." or owner.endswith("." + zone.name):
                if best is None or len(zone.name) > len(best.name):
                    best = zone
        return best

    def add(self, owner, rtype, rdata):
        self.zone_of(owner).records.append((owner, rtype, rdata))


def load(path=FILE):
    with open(path, "rb") as f:
        raw = tomllib.load(f)
    world = World(cas=raw["ca"], demo=raw.get("demo", {}))
    entries = raw["domain"]
    zones = raw["zone"]
    for spec in raw.get("class", []):
        more_zones, more = expand_class(spec)
        zones += more_zones
        entries += more
    for spec in zones:
        add_zone(world, spec)
    for spec in entries:                    # zones first: records go to the closest one
        for zone in spec.get("zones", []):
            add_zone(world, {**zone, "name": fqdn(zone.get("name", "@"), a_label(spec["name"]) + ".")})
    for owner, address in NS_NAMES.items():
        world.add(owner, "A", address)
    for spec in entries:
        add_domain(world, spec)
    names = [d.name for d in world.domains]
    for name in names:
        if names.count(name) > 1:
            raise ListError(f"{name}: listed twice")
    return world


def add_zone(world, spec):
    spec = dict(spec)
    name = spec.pop("name").lower()
    spec.pop("about", None)
    spec.pop("rule", None)
    if not name.endswith("."):
        name += "."
    if name in world.zones:
        raise ListError(f"zone {name}: listed twice")
    known = Zone.__dataclass_fields__
    for key in spec:
        if key not in known:
            raise ListError(f"zone {name}: unknown key {key}")
    world.zones[name] = Zone(name=name, **spec)


def repeated(notations):
    """'3 1 1 noise:0*49' stands for 49 records that differ."""
    for text in notations:
        head, star, times = text.partition("*")
        for n in range(int(times) if star else 1):
            yield f"{head}.{n}" if star else text


HOST_KEYS = {"name", "pref", "ip", "dead", "server", "fake", "postfix", "cert", "cert2", "sni", "tlsa",
             "tlsa_at", "records", "options"}
DOMAIN_KEYS = {"name", "about", "rule", "mx", "hosts", "records", "expect", "send", "zones", "level",
               "rcpt", "message", "sender", "slow", "group", "clear", "never_asked", "opensmtpd_7"} | HOST_KEYS


def add_domain(world, spec):
    """`opensmtpd_7`: keys that hold instead where the server is OpenSMTPD 7 or later."""
    if "opensmtpd_7" in spec and peers.there() and peers.opensmtpd_signs():
        spec = {**spec, **spec["opensmtpd_7"]}
    for key in spec:
        if key not in DOMAIN_KEYS:
            raise ListError(f"{spec['name']}: unknown key {key}")
    for key in ("about", "rule", "expect", "send"):
        if key not in spec:
            raise ListError(f"{spec['name']}: no {key}")
    domain = Domain(name=spec["name"], about=spec["about"], rule=spec["rule"],
                    expect=spec["expect"], send=spec["send"], spec=spec, group=spec.get("group", ""))
    world.domains.append(domain)
    origin = domain.ascii + "."

    hosts = spec.get("hosts")
    if hosts is None:
        hosts = [] if "mx" in spec and spec["mx"] != "implicit" else \
            [{k: v for k, v in spec.items() if k in HOST_KEYS and k not in ("name", "records")}]
    implicit = spec.get("mx") == "implicit"
    for host in hosts:
        host = dict(host)
        name = fqdn(host.get("name", "@" if implicit else "mx"), origin)
        if "mx" not in spec:
            world.add(origin, "MX", f"{host.get('pref', 10)} {name}")
        add_host(world, domain, name, host)
    mx = spec.get("mx", [])
    if mx == "null":
        world.add(origin, "MX", "0 .")
    elif mx != "implicit":
        for item in mx:
            pref, name = item.split()
            world.add(origin, "MX", f"{pref} {fqdn(name, origin)}")
    for item in spec.get("records", []):
        owner, rtype, rdata = item.split(maxsplit=2)
        if rtype in ("CNAME", "DNAME", "MX"):
            head, _, last = rdata.rpartition(" ")
            rdata = f"{head} {fqdn(last, origin)}".strip()
        world.add(fqdn(owner, origin), rtype, rdata)


def add_host(world, domain, name, host):
    for key in host:
        if key not in HOST_KEYS:
            raise ListError(f"{domain.name}: unknown host key {key}")
    engine = "fake" if "fake" in host else host.get("server", "postfix")
    server = Server(name=name.rstrip("."), domain=domain.name, index=len(world.servers),
                    families=tuple(host.get("ip", ["4"])), dead=tuple(host.get("dead", [])),
                    engine=engine, fault=host.get("fake", ""),
                    options=host.get("postfix", {}) | host.get("options", {}),
                    certs=[host.get("cert", {})] + ([host["cert2"]] if "cert2" in host else []),
                    sni=host.get("sni", {}))
    world.servers.append(server)
    for family, rtype, address in (("4", "A", server.ipv4), ("6", "AAAA", server.ipv6)):
        if family in server.families:
            world.add(name, rtype, address)
    if host.get("tlsa"):
        owner = fqdn(host["tlsa_at"], domain.ascii + ".") if "tlsa_at" in host else f"_25._tcp.{name}"
        world.tlsa.append((owner, list(repeated(host["tlsa"])), server))


# A failure class is tried at each position on the way to a verdict: the same broken zone (or broken
# name server) once below the domain, once below the MX host, once below an alias, once below _tcp.
FAILED = {
    "mx": ({"verdict": "broken", "code": "4.4.3", "reason": "dns-failed"},
           {"status": "deferred", "code": "4.4.3", "reason": "dns-failed"}),
    "tlsa": ({"verdict": "broken", "code": "4.7.324", "reason": "dnssec-invalid"},
             {"status": "deferred", "code": "4.7.324", "reason": "dnssec-invalid"}),
}
FAILED["address"] = FAILED["alias"] = FAILED["mx"]


def expand_class(spec):
    """One [[class]] -> its zones and one domain per position."""
    name = spec["name"]
    keys = {k: spec[k] for k in ("signer", "denial", "ds", "fault", "dns_fault") if k in spec}
    broken = f"{name}.lab"
    absent = spec.get("absent", False)
    zones, entries = [{"name": broken, **keys}], []
    for position in spec.get("positions", list(POSITIONS)):
        because = f" ({spec['because']})" if "because" in spec else ""
        entry = {"name": f"at-{position}.{name}.{'lab' if position == 'mx' else 'test'}",
                 "about": f"{spec['about']}, {POSITIONS[position]}{because}",
                 "rule": spec["rule"], "group": name, "slow": spec.get("slow", False)}
        expect, send = copy.deepcopy(FAILED[position])
        if position in spec.get("expect", {}):
            own = spec["expect"][position]
            expect, send = own["expect"], own["send"]
        entry["expect"], entry["send"] = expect, send
        good = {"cert": {}, "tlsa": ["3 1 1 leaf"]}
        if position == "mx" and absent:
            entry.update(mx="implicit", ip=["4"], tlsa=[])      # the absence of an MX record is the claim
        elif position == "mx":
            entry.update(hosts=[{"name": f"mx.at-mx.{name}.test.", **good}])
        elif position == "address" and absent:
            entry.update(mx=[f"10 host.{broken}."], records=[f"host.{broken}. TXT \"no address here\""])
        elif position == "address":
            entry.update(hosts=[{"name": f"host.{broken}.", **good}])
        elif position == "alias" and absent:
            entry.update(mx=[f"10 alias.{broken}."])
        elif position == "alias":
            entry.update(hosts=[{"name": f"real.at-alias.{name}.test.", **good}],
                         mx=[f"10 alias.{broken}."],
                         records=[f"alias.{broken}. CNAME real.at-alias.{name}.test."])
        else:
            zones.append({"name": f"_tcp.mx.at-tlsa.{name}.test", **keys})
            entry.update(good if not absent else {"tlsa": []})
        entries.append(entry)
    return zones, entries
