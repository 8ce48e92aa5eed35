"""A certificate authority for tests: certificates for this machine and for clients, as PEM files."""

import datetime as dt
import ipaddress
import os
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_NAMES = (x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1")))


class Issued(NamedTuple):
    """Where a certificate and its key are.

    Attributes:
        expires_s: Unix time.
    """

    certificate: Path
    key: Path
    expires_s: float


class Authority:
    """Issues certificates into a folder.

    Args:
        directory: for all of its files.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Trunkline's tests")])
        self.path = directory / "authority.pem"
        builder = self._builder(self._name, self._key.public_key(), days=3)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        _write(self.path, builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def _builder(self, name: x509.Name, key: ec.EllipticCurvePublicKey, *, days: int) -> x509.CertificateBuilder:
        begin = dt.datetime.now(dt.UTC).replace(microsecond=0) - dt.timedelta(hours=1)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + dt.timedelta(days=days))
        )

    def issue(self, name: str, *, days: int = 2, for_server: bool = True) -> Issued:
        """Write ``name.pem`` and ``name.key``, for servers on this machine and for clients, or for clients alone.

        Again: a new key and certificate in the same places, which readers see one after the other.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        builder = self._builder(subject, key.public_key(), days=days)
        if for_server:
            builder = builder.add_extension(x509.SubjectAlternativeName(_NAMES), critical=False)
        signed = builder.sign(self._key, hashes.SHA256())
        issued = Issued(
            self._directory / f"{name}.pem", self._directory / f"{name}.key", signed.not_valid_after_utc.timestamp()
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        _write(issued.key, private)
        _write(issued.certificate, signed.public_bytes(serialization.Encoding.PEM))
        return issued


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}")
    temporary.write_bytes(content)
    temporary.chmod(0o600)
    os.replace(temporary, path)  # noqa: PTH105 - as platforms do it
