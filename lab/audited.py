# SPDX-License-Identifier: MIT
"""A relay with its audit records, and two domains whose hosts serve what they are told to: for the test of the audit and
for the demo."""

import datetime
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

import certs
import report
from daemon import Relay, wait_until

ROLL, MAY = "roll.test", "roll-may.test"


class Audited(Relay):
    """A relay and its records."""

    @property
    def file(self):
        return self.folder / "audit.db"

    def audit(self, *words, seconds=30):
        return report.run(["-o", f"relay.store={self.store}", "-o", f"relay.control={self.control}", "audit", *words],
                          seconds=seconds)

    def records(self, *words):
        return report.json_lines(self.audit("list", "--json", "--limit", "1000000", *words)[1])

    def deliver(self, to, continuity=None):
        """One message; its record, once there is one. The hosts of this test close the connection behind each message."""
        name = self.send(f"x@{to}", b"Subject: audit\r\n\r\nx\r\n")
        found = wait_until(lambda: [r for r in self.records("--domain", to) if r["queue_id"] == name], 20, 0.2)
        return found[-1] if found else {}

    def attempts(self):
        return [r for r in self.records() if r["type"] == "attempt"]


# -- certificates ----------------------------------------------------------------------------------------

def serve(domain, pem):
    folder = report.state() / "roll"
    folder.mkdir(exist_ok=True)
    path = folder / f"mx.{domain}"
    path.with_suffix(".new").write_bytes(pem)
    os.replace(path.with_suffix(".new"), path)


def chains(domain):
    """The two files (key and chain) that the lab made for this domain's host."""
    return [p.read_bytes() for p in sorted((report.state() / "tls").glob(f"*-mx.{domain}.pem"))]


def self_signed(key):
    now = datetime.datetime.utcnow()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "new.lab.test")])
    cert = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30)).sign(key, hashes.SHA256()))
    return (key.private_bytes(certs.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()) +
            cert.public_bytes(certs.PEM))


def renewed(pem):
    """A new certificate for the same key."""
    return self_signed(serialization.load_pem_private_key(pem, None))
