"""TLS made of files, which are read again when they change: what a process serves and what it presents to NATS.

A context is made anew as a whole, so that a certificate never meets another one's key. Connections that stand keep
theirs. A renewal that cannot be used leaves the old one in place, is logged and tried again at each look: it may have
been the reading that failed. What is wrong at start is an error of the settings.
"""

import os
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog
from cryptography import x509
from prometheus_client import CollectorRegistry, Gauge

from trunkline.core.clock import Clock

log = structlog.get_logger()

RELOAD_INTERVAL_S = 5.0
"""Between two looks at the files' dates. A certificate is renewed days before the old one ends."""

HANDSHAKE_TIMEOUT_S = 10.0
"""For a client's handshake: some round trips, and a connection that nobody else counts as yet."""

OnChange = Callable[[ssl.SSLContext], None]


class TLSContext:
    """A context, as its files are now.

    Args:
        use: what it is for, in logs and metrics.
        files: all that it is made of; the first one is the certificate, empty if there is none.
        make: reads them.

    Attributes:
        current: the context; the last that could be made.
        expires_s: when its certificate ends, in Unix time.
        unusable: whether its files are others by now, which cannot be used.

    Raises:
        OSError, ValueError: the files cannot be used; `ssl.SSLError` is an `OSError`.
    """

    def __init__(self, use: str, files: Sequence[str], make: Callable[[], ssl.SSLContext]) -> None:
        self.use = use
        self._files = files
        self._make = make
        self._listeners: list[OnChange] = []
        self._seen = self._look()
        self._told: object = None
        self.unusable = False
        self.current = make()
        self.expires_s = self._read_expiry()

    @property
    def presents(self) -> bool:
        """Whether there is a certificate that can expire."""
        return bool(self._files[0])

    def on_change(self, listener: OnChange) -> None:
        """Call ``listener(context)`` whenever there is a new one."""
        self._listeners.append(listener)

    def refresh(self) -> None:
        """Make it anew if a file has changed since it was made."""
        seen = self._look()
        if seen == self._seen:
            self.unusable = False
            return
        try:
            context, expires_s = self._make(), self._read_expiry()
        except (OSError, ValueError) as error:
            self._fail(seen, error)
            return
        self._seen = seen  # from before the reading: what changes during it is read again
        self._told, self.unusable = None, False
        self.current, self.expires_s = context, expires_s
        log.info("certificate_renewed", use=self.use)
        for listener in self._listeners:
            listener(context)

    def _fail(self, seen: object, error: Exception) -> None:
        self.unusable = True
        if self._told != (told := (seen, fault(error))):  # once, and not at each look
            self._told = told
            log.error("certificate_unusable", use=self.use, error=told[1], exc_info=error)

    def _look(self) -> list[tuple[int, int, int] | None]:
        looked: list[tuple[int, int, int] | None] = []
        for path in filter(None, self._files):
            try:
                found = os.stat(path)  # noqa: PTH116 - a path of the settings, followed through a mount's links
            except OSError:
                looked.append(None)
            else:
                looked.append((found.st_ino, found.st_size, found.st_mtime_ns))
        return looked

    def _read_expiry(self) -> float:
        if not self.presents:
            return 0.0
        return x509.load_pem_x509_certificate(Path(self._files[0]).read_bytes()).not_valid_after_utc.timestamp()


def server_tls(use: str, certificate: str, key: str) -> TLSContext | None:
    """Return what a server presents; None without a certificate.

    Raises:
        OSError, ValueError: see `TLSContext`.
    """
    if not certificate:
        return None

    def make() -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        _load(context, certificate, key)
        context.set_alpn_protocols(["http/1.1"])
        return context

    return TLSContext(use, (certificate, key), make)


def client_tls(use: str, ca: str, certificate: str, key: str) -> TLSContext | None:
    """Return what a client trusts and presents; None if neither is set.

    Raises:
        OSError, ValueError: see `TLSContext`.
    """
    if not ca and not certificate:
        return None

    def make() -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=ca or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if certificate:
            _load(context, certificate, key)
        return context

    return TLSContext(use, (certificate, key, ca), make)


def _load(context: ssl.SSLContext, certificate: str, key: str) -> None:
    # An empty password, so that a key that has one is an error and no question on the terminal.
    context.load_cert_chain(certificate, key, password="")


def listening(tls: TLSContext) -> ssl.SSLContext:
    """Return a context for a listener that outlives renewals: each handshake is done with the current one."""
    front = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    front.minimum_version = ssl.TLSVersion.TLSv1_2
    front.set_alpn_protocols(["http/1.1"])

    def choose(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = tls.current

    front.sni_callback = choose  # OpenSSL calls it for each handshake, also of clients that name no host
    return front


def pair_faults(certificate_name: str, certificate: str, key_name: str, key: str) -> list[str]:
    """Return what is wrong with a certificate and its key, by the names of their settings."""
    if bool(certificate) != bool(key):
        missing, there = (key_name, certificate_name) if certificate else (certificate_name, key_name)
        return [f"{missing} is not set, but {there} is: a certificate and its key go together"]
    try:
        server_tls("", certificate, key)
    except (OSError, ValueError) as error:
        return [f"{certificate_name} and {key_name} cannot be used: {fault(error)}"]
    return []


def ca_faults(name: str, ca: str) -> list[str]:
    """Return what is wrong with a file of authorities."""
    try:
        client_tls("", ca, "", "")
    except (OSError, ValueError) as error:
        return [f"{name} cannot be used: {fault(error)}"]
    return []


def fault(error: Exception) -> str:
    """Return what is wrong with a file in words; never what is in it."""
    if isinstance(error, ssl.SSLError):
        return error.reason.replace("_", " ").lower() if error.reason else "no PEM of the kind that is wanted"
    return getattr(error, "strerror", None) or "no certificate in PEM"


class TLSWatch:
    """Keeps the contexts of a process as their files are, and tells when certificates expire.

    Args:
        registry: of the process.
        clock: of the process.
    """

    def __init__(self, registry: CollectorRegistry, clock: Clock) -> None:
        self._clock = clock
        self._contexts: list[TLSContext] = []
        self._expiry = Gauge(
            "trunkline_certificate_expires_timestamp_seconds",
            "When the certificate ends that this process serves or presents to NATS, in Unix time.",
            ["use"],
            registry=registry,
        )
        self._unusable = Gauge(
            "trunkline_certificate_unusable",
            "1 while files of TLS have changed and cannot be used, and what they were before is kept.",
            ["use"],
            registry=registry,
        )

    def add(self, tls: TLSContext | None) -> None:
        """Watch one; None is none."""
        if tls is not None:
            self._contexts.append(tls)
            self._unusable.labels(tls.use).set_function(lambda: tls.unusable)
            if tls.presents:
                self._expiry.labels(tls.use).set_function(lambda: tls.expires_s)

    async def run(self) -> None:
        """Look at the files for ever."""
        while True:
            await self._clock.sleep(RELOAD_INTERVAL_S)
            self.look()

    def look(self) -> None:
        """Make anew what has changed."""
        for tls in self._contexts:
            tls.refresh()
