# SPDX-License-Identifier: MIT
"""A name server that misbehaves: it relays to the real one, except where a rule says otherwise.

Rules come from the zones' `dns_fault` in domains.toml: "servfail", or "servfail TLSA AAAA" for some
types only.  Without types the fault is for every type but those that a delegation needs.
"""

import json
import os
import socket
import socketserver
import struct
import sys
import threading
import time

import domains

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "MX": 15, "TXT": 16, "AAAA": 28, "DS": 43,
         "RRSIG": 46, "DNSKEY": 48, "TLSA": 52}
SPARED = {TYPES[t] for t in ("NS", "SOA", "DS", "DNSKEY")}
RCODES = {"formerr": 1, "servfail": 2, "nxdomain": 3, "notimp": 4, "refused": 5}


def question(packet):
    """(name, type, end of the question section) of a query."""
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode("latin-1").lower())
        at += 1 + packet[at]
    rtype, = struct.unpack_from("!H", packet, at + 1)
    return ".".join(labels) + ".", rtype, at + 5


def rules(world):
    out = []
    for zone in world.zones.values():
        if zone.dns_fault:
            action, *types = zone.dns_fault.split()
            out.append((zone.name, action, {TYPES[t] for t in types}))
    return out


def fault_for(table, name, rtype):
    best = ("", None)
    for zone, action, types in table:
        if name == zone or name.endswith("." + zone):
            hit = rtype in types if types else rtype not in SPARED
            if len(zone) > len(best[0]):
                best = (zone, action if hit else None)
    return best[1]


def answer_with(packet, end, rcode, flags=0x8400):
    return packet[:2] + struct.pack("!HHHHH", flags | rcode, 1, 0, 0, 0) + packet[12:end]


def forward(packet, tcp):
    if tcp:
        with socket.create_connection((domains.ZONE_NS, 53), 3) as s:
            s.sendall(struct.pack("!H", len(packet)) + packet)
            f = s.makefile("rb")
            return f.read(struct.unpack("!H", f.read(2))[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(3)
        s.sendto(packet, (domains.ZONE_NS, 53))
        return s.recv(65535)


def reply(table, log, packet, tcp):
    """The bytes to answer with, or None for silence."""
    name, rtype, end = question(packet)
    action = fault_for(table, name, rtype)
    if log:
        log.write(json.dumps({"name": name, "type": rtype, "fault": action, "tcp": tcp}) + "\n")
    if action is None:
        return forward(packet, tcp)
    if action in RCODES:
        return answer_with(packet, end, RCODES[action])
    if action == "drop":
        return None
    if action == "truncate":                    # TC on UDP, and TCP never answers
        return None if tcp else answer_with(packet, end, 0, 0x8600)
    if action == "tcp-only":
        return forward(packet, tcp) if tcp else answer_with(packet, end, 0, 0x8600)
    if action == "garbage":                     # a header that promises an answer, then noise
        return packet[:2] + struct.pack("!HHHHH", 0x8400, 1, 1, 0, 0) + packet[12:end] + b"\xc0\xff\xff"
    if action == "wrong-id":
        return bytes([packet[0] ^ 0xFF]) + forward(packet, tcp)[1:]
    if action == "lame":                        # not authoritative, no data: a lame delegation
        return answer_with(packet, end, 0, 0x8000)
    if action == "endless":                     # every name is an alias of the next one, each time anew
        n = int("0" + "".join(c for c in name.split(".", 1)[0] + name.split(".", 2)[1] if c.isdigit()))
        zone = ".".join(name.rstrip(".").split(".")[-2:])
        target = b"".join(bytes([len(label)]) + label.encode() for label in f"h.n{n + 1}.{zone}".split(".")) + b"\0"
        return packet[:2] + struct.pack("!HHHHH", 0x8400, 1, 1, 0, 0) + packet[12:end] + \
            struct.pack("!HHHIH", 0xC00C, 5, 1, 0, len(target)) + target
    if action == "slow":
        time.sleep(1.5)
        return forward(packet, tcp)
    raise ValueError(action)


def serve(world, state):
    table = rules(world)
    log = open(os.path.join(state, "fakedns.log"), "w", buffering=1)

    class Udp(socketserver.BaseRequestHandler):
        def handle(self):
            packet, sock = self.request
            try:
                out = reply(table, log, packet, False)
                if out is not None:
                    sock.sendto(out, self.client_address)
            except (OSError, IndexError, struct.error):
                pass

    class Tcp(socketserver.StreamRequestHandler):
        timeout = 5

        def handle(self):
            try:
                size = self.rfile.read(2)
                packet = self.rfile.read(struct.unpack("!H", size)[0])
                out = reply(table, log, packet, True)
                if out is None:
                    time.sleep(5)
                else:
                    self.wfile.write(struct.pack("!H", len(out)) + out)
            except (OSError, IndexError, struct.error):
                pass

    class UdpServer(socketserver.ThreadingUDPServer):
        daemon_threads = True
        max_packet_size = 65535

    class TcpServer(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True
        request_queue_size = 64

    servers = [UdpServer((domains.FAKE_NS, 53), Udp), TcpServer((domains.FAKE_NS, 53), Tcp)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    return servers


if __name__ == "__main__":
    serve(domains.load(), sys.argv[1])
    threading.Event().wait()
