# SPDX-License-Identifier: MIT
"""Certificates of the lab: several CAs, every host's chain, and the TLSA data that goes with them.

Knows X.509 and the TLSA notation of domains.toml.  Knows nothing of zones, servers or SMTP.
All keys are ECDSA P-256 except where the list asks for RSA.
"""

import datetime
import hashlib
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PEM = serialization.Encoding.PEM
DER = serialization.Encoding.DER


def new_key(kind):
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def _usage(**on):
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
             "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{n: on.get(n, False) for n in names})


class Signed:
    """A certificate with the key that belongs to it."""

    def __init__(self, cert, key):
        self.cert, self.key = cert, key

    def pem(self):
        return self.cert.public_bytes(PEM)

    def key_pem(self):
        return self.key.private_bytes(PEM, serialization.PrivateFormat.PKCS8,
                                      serialization.NoEncryption())


class Certs:
    def __init__(self, now=None):
        self.now = now or datetime.datetime.utcnow().replace(microsecond=0)
        self.cas = {}       # name -> {"root": Signed, "inter": Signed or None}
        self._rsa = []      # RSA keys are slow to make: the leaves share a few

    # -- authorities ------------------------------------------------------------------------

    def add_ca(self, spec):
        """One [[ca]] table: a root and, unless inter = false, an intermediate below it."""
        name, kind = spec["name"], spec.get("key", "ec")
        root_key = new_key(kind)
        root = self._issue(f"Lab {name} root", root_key, None, None, days=spec.get("root_days"),
                           ca=True, pathlen=spec.get("root_pathlen"))
        made = {"root": Signed(root, root_key), "inter": None}
        if spec.get("inter", True):
            key = new_key(kind)
            cert = self._issue(f"Lab {name} intermediate", key, root, root_key,
                               days=spec.get("inter_days"), ca=spec.get("inter_is_ca", True),
                               cert_sign=spec.get("inter_may_sign", True))
            made["inter"] = Signed(cert, key)
        self.cas[name] = made

    def _issue(self, cn, key, issuer, issuer_key, *, days=None, ca=False, pathlen=None,
               cert_sign=True, names=(), eku=None):
        start, end = days or (-1, 90)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)] if cn else [])
        builder = (x509.CertificateBuilder()
                   .subject_name(subject)
                   .issuer_name(issuer.subject if issuer else subject)
                   .public_key(key.public_key())
                   .serial_number(x509.random_serial_number())
                   .not_valid_before(self.now + datetime.timedelta(days=start))
                   .not_valid_after(self.now + datetime.timedelta(days=end)))
        builder = builder.add_extension(
            x509.BasicConstraints(ca=ca, path_length=pathlen if ca else None), critical=True)
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        signer = issuer_key or key
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        if ca or not cert_sign:
            usage = _usage(key_cert_sign=cert_sign, crl_sign=True, digital_signature=not cert_sign)
        else:
            usage = _usage(digital_signature=True,
                           key_encipherment=isinstance(key, rsa.RSAPrivateKey))
        builder = builder.add_extension(usage, critical=True)
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
        if eku:
            builder = builder.add_extension(x509.ExtendedKeyUsage([eku]), critical=False)
        return builder.sign(signer, hashes.SHA256())

    # -- leaves -----------------------------------------------------------------------------

    def _leaf_key(self, kind):
        if kind != "rsa":
            return new_key(kind)
        key = new_key(kind)
        self._rsa.append(key)
        return key

    def make(self, spec, host):
        """One `cert = {...}` of a host -> Chain."""
        ca_name = spec.get("ca", "ec")
        key = self._leaf_key(spec.get("key", "ec"))
        names = [n.rstrip(".") for n in spec.get("names", [host])]
        cn = spec.get("cn", names[0] if names else "")
        eku = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH,
               "none": None}[spec.get("eku", "server")]
        issuer = None
        if ca_name != "self":
            ca = self.cas[ca_name]
            issuer = ca[spec.get("by", "inter" if ca["inter"] else "root")]
        cert = self._issue(cn[:64], key, issuer and issuer.cert, issuer and issuer.key,
                           days=spec.get("days"), names=names if spec.get("san", True) else (),
                           eku=eku)
        leaf = Signed(cert, key)
        serve = spec.get("serve", ["leaf"] if not issuer or issuer is self.cas[ca_name]["root"]
                         else ["leaf", "inter"])
        return Chain(self, leaf, ca_name, serve)

    # -- TLSA -------------------------------------------------------------------------------

    def find(self, what, chain):
        """`leaf`, `inter`, `root`, `ca:NAME:root`: the certificate that a notation means."""
        if what == "leaf":
            return chain.leaf
        if what.startswith("ca:"):
            _, name, part = what.split(":")
            return self.cas[name][part]
        return self.cas[chain.ca][what]

    def tlsa(self, text, chains):
        """'3 1 1 leaf' -> the RDATA.  `chains` are the host's chains; 'leaf' is of the first one,
        'second' the leaf of the second.  'rdata HEX' is the RDATA itself, however short."""
        if text.startswith("rdata "):
            return bytes.fromhex(text[6:])
        usage, selector, mtype, what = text.split(maxsplit=3)
        usage, selector, mtype = int(usage), int(selector), int(mtype)
        head = bytes([usage, selector, mtype])
        size = {0: 91, 1: 32, 2: 64}.get(mtype, 32)
        if what == "zeros":
            return head + bytes(size)
        if what == "short":
            return head + bytes(range(size - 4))
        if what == "long":
            return head + bytes(size + 1)
        if what == "empty":
            return head
        if what.startswith("noise:"):        # a digest that matches nothing, different each
            seed = hashlib.sha512(what.encode()).digest()
            return head + (seed * 3)[:size]
        if what.startswith("hex:"):
            return head + bytes.fromhex(what[4:])
        if what == "second":
            cert = chains[1].leaf
        elif what == "next":                 # the key that will be used after a rollover
            cert = Signed(None, new_key("ec"))
        else:
            cert = self.find(what, chains[0] if chains else None)
        if selector == 0 and cert.cert is not None:
            raw = cert.cert.public_bytes(DER)
        else:
            raw = cert.key.public_key().public_bytes(
                DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        if mtype == 1:
            raw = hashlib.sha256(raw).digest()
        elif mtype == 2:
            raw = hashlib.sha512(raw).digest()
        return head + raw


class Chain:
    """What one server serves: the key, the leaf, and the further certificates it sends."""

    def __init__(self, certs, leaf, ca, serve):
        self.certs, self.leaf, self.ca, self.serve = certs, leaf, ca, serve

    def served(self):
        return [self.certs.find(part, self) for part in self.serve]

    def write(self, path):
        """key + chain in one file, as Postfix's smtpd_tls_chain_files wants it; and the chain alone."""
        path = pathlib.Path(path)
        chain = b"".join(part.pem() for part in self.served())
        path.write_bytes(self.leaf.key_pem() + chain)
        path.with_suffix(".chain.pem").write_bytes(chain)
        return str(path)
