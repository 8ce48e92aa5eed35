"""Which URLs of a client the gateway fetches, and what it takes of the answer.

To fetch what a stranger names is to let the stranger speak from inside one's own network (server-side request forgery,
DIALECTS section 2.2). So: only http and https on the usual ports, only addresses that the whole internet sees, the very
address that was judged is connected to, each redirect is judged anew, and what comes is small, plain and a picture or
a PDF by its own first bytes. All of that is decided here; `runtime.http_fetch` carries it out.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from trunkline.core import limits

Network = IPv4Network | IPv6Network

USUAL_PORTS = ("80", "443")

_SAFE_IN_PATH = "/%:@!$&'()*+,;=~-._?"
_HOST_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

_MAGIC_BYTES_MAX = 12
_MAGIC = (
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"%PDF-"), "application/pdf"),
)

_NOT_PUBLIC = tuple(
    ip_network(text)
    for text in (
        # Beside what `ipaddress` knows as private, reserved, multicast, loopback or link-local:
        "100.64.0.0/10",  # carrier-grade NAT (RFC 6598); a cloud's metadata at 100.100.100.200
        "192.0.0.0/24",  # IETF protocol assignments (RFC 6890); a cloud's metadata at 192.0.0.192
        "192.88.99.0/24",  # relays of 6to4 (RFC 7526)
        "168.63.129.16/32",  # Azure's host agent, an address like any other to look at
        "2001::/23",  # IETF protocol assignments (RFC 2928), among them Teredo (RFC 4380), which holds an IPv4 address
        "2001:db8::/32",  # documentation (RFC 3849)
        "2002::/16",  # 6to4 (RFC 3056), which holds an IPv4 address
        "3fff::/20",  # documentation (RFC 9637)
    )
)
_PUBLIC_IPV6 = IPv6Network("2000::/3")
"""All that was ever given out (RFC 4291 section 2.4). IPv4 addresses in the form of IPv6 ones lie outside of it
(``::ffff:0:0/96``, and for NAT64 ``64:ff9b::/96`` and ``64:ff9b:1::/48``); so do site-local and unique local ones."""


class FetchResult(StrEnum):
    """How the fetching of one URL ended; a metric's label."""

    FETCHED = "fetched"
    BAD_URL = "bad_url"
    FORBIDDEN_ADDRESS = "forbidden_address"
    UNRESOLVED = "unresolved"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    REDIRECTS = "too_many_redirects"
    BAD_STATUS = "bad_status"
    ENCODED = "encoded"
    TOO_LARGE = "too_large"
    WRONG_TYPE = "wrong_type"
    TOO_MANY = "too_many"
    BUSY = "busy"
    GIVEN_UP = "given_up"
    """The client left, or another URL of the same request had failed already."""


_UNREACHABLE = "its server cannot be reached from here"
_MIB = 1024 * 1024
WORDS = {
    FetchResult.BAD_URL: "it is no plain http or https URL on a usual port",
    # One wording for three: which names and addresses there are inside is nobody's business outside.
    FetchResult.FORBIDDEN_ADDRESS: _UNREACHABLE,
    FetchResult.UNRESOLVED: _UNREACHABLE,
    FetchResult.UNREACHABLE: _UNREACHABLE,
    FetchResult.TIMEOUT: f"its server did not send all of it within {limits.FETCH_TIMEOUT_S:g} s",
    FetchResult.REDIRECTS: f"its server redirects more than {limits.FETCH_REDIRECTS_MAX} times",
    FetchResult.BAD_STATUS: "its server did not answer with status 200",
    FetchResult.ENCODED: "its server sends it compressed although it was asked not to",
    FetchResult.TOO_LARGE: (
        f"one may have {limits.FETCH_BYTES_MAX // _MIB} MiB, all of a request "
        f"{limits.FETCH_JOB_BYTES_MAX // _MIB} MiB together"
    ),
    FetchResult.WRONG_TYPE: "what is there is of another type",
    FetchResult.TOO_MANY: f"a request may name {limits.FETCHES_PER_JOB_MAX} different ones",
    FetchResult.BUSY: "too many others are being fetched",
}
"""Why it was not fetched, for the client. Never what the URL, the address or the answer was."""


class FetchError(Exception):
    """It was not fetched. The message is what is said to the client."""

    def __init__(self, result: FetchResult) -> None:
        super().__init__(WORDS[result])
        self.result = result


class FetchRules(NamedTuple):
    """What an operator has set.

    Attributes:
        networks: addresses that may be fetched from although they are not public.
        ports: that URLs may name.
    """

    networks: tuple[Network, ...] = ()
    ports: frozenset[int] = frozenset({80, 443})


class FetchTarget(NamedTuple):
    """A URL that may be fetched as far as it shows itself.

    Attributes:
        url: in full, for redirects to be relative to.
        host: name or address, in ASCII, without brackets.
        port, tls: where.
        authority: value of the Host header.
        path: with query, percent-encoded.
    """

    url: str
    host: str
    port: int
    tls: bool
    authority: str
    path: str


class Fetched(NamedTuple):
    """What came.

    Attributes:
        media_type: by its first bytes.
        data: all of it.
    """

    media_type: str
    data: bytes


# --- settings --------------------------------------------------------------------------------------------------------


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return networks from their usual notation.

    Raises:
        ValueError: one is none; says which.
    """
    return tuple(ip_network(text) for text in texts)


def check_networks(texts: Iterable[str]) -> str | None:
    """Return what is wrong with a setting of networks, or None; for settings declarations."""
    try:
        parse_networks(texts)
    except ValueError as error:
        return f"must be networks such as 10.1.2.0/24: {error}"
    return None


def check_ports(texts: Iterable[str]) -> str | None:
    """Return what is wrong with a setting of ports, or None; for settings declarations."""
    if all(text.isdecimal() and 0 < int(text) < 65536 for text in texts):
        return None
    return "must be port numbers"


# --- before it is asked for ------------------------------------------------------------------------------------------


def parse_url(url: str, rules: FetchRules) -> FetchTarget:
    """Return where a URL leads, if it is of a kind that is fetched.

    Raises:
        FetchError: it is not.
    """
    if len(url) > limits.HEADER_LINE_BYTES_MAX:
        raise FetchError(FetchResult.BAD_URL)
    try:
        parts = urlsplit(url)
        name = _ascii_host(parts.hostname or "")
        tls = parts.scheme == "https"
        usual = 443 if tls else 80
        port = usual if parts.port is None else parts.port
    except ValueError:  # UnicodeError is one
        raise FetchError(FetchResult.BAD_URL) from None
    path = quote(f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/", safe=_SAFE_IN_PATH)
    if (
        parts.scheme not in {"http", "https"}
        or not name
        or "@" in parts.netloc
        or port not in rules.ports
        or not path.startswith("/")
        or len(path) > limits.HEADER_LINE_BYTES_MAX
    ):
        raise FetchError(FetchResult.BAD_URL)
    shown = f"[{name}]" if ":" in name else name
    return FetchTarget(url, name, port, tls, shown if port == usual else f"{shown}:{port}", path)


def _ascii_host(host: str) -> str:
    """Return a host as it is looked up; empty if it cannot be one.

    Raises:
        UnicodeError: as above.
    """
    if ":" in host:
        # Only in brackets, which are gone. A zone (RFC 4007) has no meaning outside of its machine.
        return "" if "%" in host else str(IPv6Address(host))
    name = host.removesuffix(".").encode("idna").decode("ascii").lower()
    return name if _HOST_NAME.fullmatch(name) else ""


def redirected(target: FetchTarget, location: str, rules: FetchRules) -> FetchTarget:
    """Return where an answer's ``Location`` leads.

    Raises:
        FetchError: there it may not go.
    """
    try:
        # Header fields are read as Latin-1, and what servers put there beyond ASCII is UTF-8.
        location = location.encode("latin-1").decode()
        return parse_url(urljoin(target.url, location), rules)
    except ValueError:
        raise FetchError(FetchResult.BAD_URL) from None


def check_addresses(addresses: Sequence[str], rules: FetchRules) -> None:
    """Check all that a name was resolved to.

    One that is not public forbids them all: who mixes them is up to something.

    Raises:
        FetchError: there are none, or one may not be fetched from.
    """
    if not addresses:
        raise FetchError(FetchResult.UNRESOLVED)
    try:
        allowed = all(may_fetch_from(ip_address(address), rules) for address in addresses)
    except ValueError:
        allowed = False
    if not allowed:
        raise FetchError(FetchResult.FORBIDDEN_ADDRESS)


def may_fetch_from(address: IPv4Address | IPv6Address, rules: FetchRules) -> bool:
    """Return whether an address is public, or allowed by the operator."""
    if any(address in network for network in rules.networks):
        return True
    if (
        address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
        or any(address in network for network in _NOT_PUBLIC)
    ):
        return False
    return isinstance(address, IPv4Address) or address in _PUBLIC_IPV6


def request_head(target: FetchTarget, agent: str) -> bytes:
    """Return the request: nothing of the client's goes along.

    Args:
        target: where.
        agent: the gateway's name; some servers answer only who has one.
    """
    return (
        f"GET {target.path} HTTP/1.1\r\nhost: {target.authority}\r\nuser-agent: {agent}\r\n"
        "accept: image/*, application/pdf\r\naccept-encoding: identity\r\nconnection: close\r\n\r\n"
    ).encode("ascii")


# --- what comes ------------------------------------------------------------------------------------------------------


class Reception:
    """Takes the answer to one request: a machine that stops at the first thing that is wrong.

    Args:
        accepts: media types.
        take: called with the size of each piece; raises `FetchError` when there is no room for it.

    Attributes:
        location: where the answer sends us; None: it is the answer itself.
    """

    def __init__(self, accepts: frozenset[str], take: Callable[[int], None]) -> None:
        self._accepts = accepts
        self._take = take
        self._body = bytearray()
        self._pieces = 0
        self._media_type = ""
        self.location: str | None = None

    def receive_head(self, status: int, headers: Mapping[str, str]) -> None:
        """Take status and header fields, with lower-case names. What the type is said to be does not matter.

        Raises:
            FetchError: the body is not wanted.
        """
        if status in _REDIRECTS and "location" in headers:
            self.location = headers["location"]
            return
        if status != 200:
            raise FetchError(FetchResult.BAD_STATUS)
        if headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
            # A few bytes may unfold to gigabytes.
            raise FetchError(FetchResult.ENCODED)
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > limits.FETCH_BYTES_MAX:
            raise FetchError(FetchResult.TOO_LARGE)

    def receive_body(self, data: bytes) -> None:
        """Take a piece of the body.

        Raises:
            FetchError: it is too large, or not what may be there.
        """
        self._take(len(data))
        self._body += data
        self._pieces += 1
        if len(self._body) > limits.FETCH_BYTES_MAX or self._pieces > limits.FETCH_PIECES_MAX:
            raise FetchError(FetchResult.TOO_LARGE)
        if not self._media_type and len(self._body) >= _MAGIC_BYTES_MAX:
            self._look()

    def finish(self) -> Fetched:
        """The body is whole.

        Raises:
            FetchError: it is not what may be there.
        """
        if not self._media_type:
            self._look()
        return Fetched(self._media_type, bytes(self._body))

    def _look(self) -> None:
        """Tell the type by the first bytes: what servers and names of files say is often wrong."""
        found = next((media_type for magic, media_type in _MAGIC if magic.match(self._body)), "")
        if found not in self._accepts:
            raise FetchError(FetchResult.WRONG_TYPE)
        self._media_type = found
