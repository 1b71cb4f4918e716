"""A pinned certificate is checked before the first byte of a request, on the connection that is used."""

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from doublehop.driver_kit import fingerprints
from doublehop.driver_kit.certificates import look
from doublehop.driver_kit.errors import Unreachable
from doublehop.driver_kit.http import HttpClient, Limits
from doublehop.driver_kit.secret import Secret
from doublehop.driver_kit.tests.scripted_server import listening

QUICK = Limits(connect_seconds=1, read_seconds=1, total_seconds=2)
LOGIN = ("admin", Secret("bmc-password"))


def self_signed(folder, name):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    began = datetime(2020, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(began)
        # Expired, as on many a BMC: the pin is the proof, not the date.
        .not_valid_after(began + timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context, fingerprints.spell(certificate.fingerprint(hashes.SHA256()).hex())


def test_the_pinned_certificate_is_accepted(tmp_path):
    context, pin = self_signed(tmp_path, "bmc")
    with listening(context) as server:
        client = HttpClient(f"https://127.0.0.1:{server.port}", login=LOGIN, pin=pin, limits=QUICK)
        assert client.read("/x").object() == {}
        assert client.change("POST", "/x").object() == {}
        client.close()
    assert len(server.received) == 2


def test_another_certificate_gets_no_byte(tmp_path):
    context, _ = self_signed(tmp_path, "other")
    _, pin = self_signed(tmp_path, "bmc")
    with listening(context) as server:
        client = HttpClient(f"https://127.0.0.1:{server.port}", login=LOGIN, pin=pin, limits=QUICK)
        for call in (lambda: client.read("/x"), lambda: client.change("POST", "/x")):
            with pytest.raises(Unreachable, match=r"another certificate than the pinned one: [0-9A-F]{2}:"):
                call()
    assert server.received == []


def test_without_a_pin_an_unknown_authority_gets_no_byte(tmp_path):
    context, _ = self_signed(tmp_path, "bmc")
    with listening(context) as server:
        client = HttpClient(f"https://127.0.0.1:{server.port}", login=LOGIN, limits=QUICK)
        with pytest.raises(Unreachable, match="cannot be verified"):
            client.change("POST", "/x")
    assert server.received == []


def test_a_server_that_speaks_no_tls_gets_no_byte():
    with listening() as server:
        client = HttpClient(
            f"https://127.0.0.1:{server.port}", login=LOGIN, pin="AB:" * 31 + "AB", limits=QUICK
        )
        with pytest.raises(Unreachable):
            client.change("POST", "/x")
    assert not any(b"Authorization" in data or b"POST" in data for data in server.received)


def test_a_look_shows_the_fingerprint_and_that_nobody_vouches(tmp_path):
    context, pin = self_signed(tmp_path, "bmc")
    with listening(context) as server:
        seen = look(f"https://127.0.0.1:{server.port}/redfish/v1", seconds=2)
    assert seen.fingerprint == pin
    assert not seen.verified
    assert server.received == []
    assert look("http://127.0.0.1:1", seconds=1).fingerprint == ""
    assert look(f"https://127.0.0.1:{server.port}", seconds=1).fingerprint == ""
