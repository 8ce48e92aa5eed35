"""TLS of files: what is wrong with them, and what becomes of connections when they change."""

import asyncio
import errno
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from tests.support.authority import Authority, Issued
from tests.support.manual_clock import ManualClock
from tests.support.stream_server import stream_server
from trunkline.runtime.tls import (
    TLSContext,
    TLSWatch,
    ca_faults,
    client_tls,
    listening,
    pair_faults,
    server_tls,
)

EXPIRES = "trunkline_certificate_expires_timestamp_seconds"
UNUSABLE = "trunkline_certificate_unusable"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def served(authority: Authority) -> Issued:
    return authority.issue("edge")


@pytest.fixture
def tls(served: Issued) -> TLSContext:
    made = server_tls("edge", str(served.certificate), str(served.key))
    assert made is not None
    return made


@pytest.fixture
async def port(tls: TLSContext) -> AsyncIterator[int]:
    """Where something echoes over TLS."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)

    async with stream_server(echo, tls=listening(tls)) as port:
        yield port


def trusting(authority: Authority, **options: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.path))
    for name, value in options.items():
        setattr(context, name, value)
    return context


async def serial_seen(port: int, context: ssl.SSLContext, host: str = "localhost") -> int:
    """Return the number of the certificate that a client is shown."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=host)
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"hello"
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return x509.load_der_x509_certificate(shown).serial_number


def serial_of(issued: Issued) -> int:
    return x509.load_pem_x509_certificate(issued.certificate.read_bytes()).serial_number


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])  # of an address, the client does not tell
async def test_a_renewed_certificate_is_shown_to_the_next_client(
    authority: Authority, served: Issued, tls: TLSContext, port: int, host: str
) -> None:
    context = trusting(authority)
    before = serial_of(served)
    assert await serial_seen(port, context, host) == before
    tls.refresh()
    assert await serial_seen(port, context, host) == before
    renewed = authority.issue("edge", days=30)
    tls.refresh()
    assert await serial_seen(port, context, host) == serial_of(renewed) != before
    assert tls.expires_s == renewed.expires_s


async def test_a_connection_outlives_the_renewal(
    authority: Authority, served: Issued, tls: TLSContext, port: int
) -> None:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=trusting(authority), server_hostname="localhost"
    )
    authority.issue("edge")
    tls.refresh()
    writer.write(b"still here")
    assert await reader.readexactly(10) == b"still here"
    writer.close()
    await writer.wait_closed()


def spoil(path: Path, content: bytes | None) -> None:
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)


@pytest.mark.parametrize("spoiled", ["edge.pem", "edge.key"])
@pytest.mark.parametrize("content", [b"", b"nonsense", None])
async def test_a_renewal_that_cannot_be_used_leaves_the_old_one(
    authority: Authority, tls: TLSContext, port: int, spoiled: str, content: bytes | None
) -> None:
    path = authority.path.with_name(spoiled)
    before, expires_s = await serial_seen(port, trusting(authority)), tls.expires_s
    spoil(path, content)
    with capture_logs() as logs:
        tls.refresh()
        tls.refresh()
    assert [(entry["event"], entry["use"], entry["log_level"]) for entry in logs] == [
        ("certificate_unusable", "edge", "error")
    ]
    assert await serial_seen(port, trusting(authority)) == before
    assert tls.expires_s == expires_s
    renewed = authority.issue("edge")
    tls.refresh()
    assert await serial_seen(port, trusting(authority)) == serial_of(renewed)


def test_files_that_could_not_be_read_for_a_moment_are_read_again(
    authority: Authority, tls: TLSContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are as they were when the reading failed, and yet there is something new to be read."""
    registry = CollectorRegistry()
    watch = TLSWatch(registry, ManualClock())
    watch.add(tls)
    assert registry.get_sample_value(UNUSABLE, {"use": "edge"}) == 0
    renewed = authority.issue("edge", days=30)

    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch, capture_logs() as logs:
        patch.setattr(ssl.SSLContext, "load_cert_chain", fail)
        watch.look()
        watch.look()
    assert [(entry["event"], entry["error"]) for entry in logs] == [("certificate_unusable", "Too many open files")]
    assert registry.get_sample_value(UNUSABLE, {"use": "edge"}) == 1
    assert tls.expires_s != renewed.expires_s
    with capture_logs() as logs:
        watch.look()
        watch.look()
    assert [entry["event"] for entry in logs] == ["certificate_renewed"]
    assert registry.get_sample_value(UNUSABLE, {"use": "edge"}) == 0
    assert tls.expires_s == renewed.expires_s


async def test_a_certificate_never_meets_the_key_of_another(
    authority: Authority, served: Issued, tls: TLSContext, port: int
) -> None:
    before = serial_of(served)
    old_key = served.key.read_bytes()
    authority.issue("edge")
    new_key = served.key.read_bytes()
    served.key.write_bytes(old_key)
    tls.refresh()
    assert await serial_seen(port, trusting(authority)) == before
    served.key.write_bytes(new_key)
    tls.refresh()
    assert await serial_seen(port, trusting(authority)) == serial_of(served) != before


async def test_less_than_tls_1_2_is_refused(authority: Authority, port: int) -> None:
    with pytest.warns(DeprecationWarning, match="TLSVersion.TLSv1"):
        old = trusting(authority, minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await serial_seen(port, old)
    await serial_seen(port, trusting(authority, maximum_version=ssl.TLSVersion.TLSv1_2))


def test_pairs_are_checked_together(authority: Authority, served: Issued, tmp_path: Path) -> None:
    certificate, key = str(served.certificate), str(served.key)
    other = str(authority.issue("other").key)
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    missing = str(tmp_path / "nothing.pem")
    assert pair_faults("C", "", "K", "") == []
    assert pair_faults("C", certificate, "K", key) == []
    assert pair_faults("C", certificate, "K", "") == ["K is not set, but C is: a certificate and its key go together"]
    assert pair_faults("C", "", "K", key) == ["C is not set, but K is: a certificate and its key go together"]
    assert pair_faults("C", missing, "K", key) == ["C and K cannot be used: No such file or directory"]
    assert pair_faults("C", certificate, "K", other) == ["C and K cannot be used: key values mismatch"]
    assert pair_faults("C", key, "K", key) == ["C and K cannot be used: no PEM of the kind that is wanted"]
    [fault] = pair_faults("C", certificate, "K", str(locked))
    assert fault.startswith("C and K cannot be used: ")


def test_authorities_are_checked(authority: Authority, served: Issued, tmp_path: Path) -> None:
    assert ca_faults("CA", "") == []
    assert ca_faults("CA", str(authority.path)) == []
    assert ca_faults("CA", str(tmp_path / "nothing.pem")) == ["CA cannot be used: No such file or directory"]
    [fault] = ca_faults("CA", str(served.key))
    assert fault.startswith("CA cannot be used: ")


def test_without_files_there_is_no_tls() -> None:
    assert server_tls("edge", "", "") is None
    assert client_tls("nats", "", "", "") is None


async def test_watch_renews_and_tells_when_certificates_expire(authority: Authority, served: Issued) -> None:
    registry, clock = CollectorRegistry(), ManualClock()
    presented = client_tls("nats", str(authority.path), str(served.certificate), str(served.key))
    trusted = client_tls("other", str(authority.path), "", "")
    assert presented is not None
    renewals: list[ssl.SSLContext] = []
    presented.on_change(renewals.append)
    watch = TLSWatch(registry, clock)
    for each in (presented, trusted, None):
        watch.add(each)
    assert registry.get_sample_value(EXPIRES, {"use": "nats"}) == served.expires_s
    assert registry.get_sample_value(EXPIRES, {"use": "other"}) is None
    renewed = authority.issue("edge", days=30)
    watch.look()
    assert registry.get_sample_value(EXPIRES, {"use": "nats"}) == renewed.expires_s
    assert renewals == [presented.current]
