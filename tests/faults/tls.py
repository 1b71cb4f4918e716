"""An authority of our own, and certificates that it vouches for, or that are wrong in one way each."""

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from doublehop.driver_kit import fingerprints

_DAY = timedelta(days=1)


class Certificates:
    """``authority`` is the file that a client trusts; ``pin`` the fingerprint of a certificate that nobody shows."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        self._root = self._certificate("authority", self._key, now - _DAY, now + 3650 * _DAY, authority=True)
        self.authority = folder / "authority.pem"
        self.authority.write_bytes(self._root.public_bytes(serialization.Encoding.PEM))
        self.pin = fingerprints.spell(self._root.fingerprint(hashes.SHA256()).hex())

    def context(self, kind: str, name: str = "localhost") -> ssl.SSLContext:
        """For whoever shows it: "fine" (for ``name``), "expired", "name" (of another host), "pin" (fine, not pinned)."""
        now = datetime.now(UTC)
        begin, end = (now - 30 * _DAY, now - _DAY) if kind == "expired" else (now - _DAY, now + 30 * _DAY)
        key = ec.generate_private_key(ec.SECP256R1())
        shown = self._certificate("elsewhere.example" if kind == "name" else name, key, begin, end)
        path = self._folder / f"{kind}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(shown.public_bytes(serialization.Encoding.PEM) + private)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _certificate(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        begin: datetime,
        end: datetime,
        *,
        authority: bool = False,
    ) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = subject if authority else self._root.subject
        names: list[x509.GeneralName] = [x509.DNSName(name)]
        if name == "localhost":
            names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self._key, hashes.SHA256())
        )
