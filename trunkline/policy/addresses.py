"""IP addresses, and which one a client has when its requests come through proxies. Pure; the edge calls it."""

import functools
import ipaddress
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

HOPS_MAX: Final = 32
"""Proxies in a row that are followed; real chains have two or three."""

ENTRY_CHARS_MAX: Final = 64
"""Of one entry of X-Forwarded-For: the longest address has 45 characters, brackets and a port some more."""

ENTRIES_CACHED_MAX: Final = 4096
"""Entries whose meaning is remembered: a client's requests come in a row, and reading an address takes 2 µs."""


def parse_address(text: str) -> Address | None:
    """Return an address, None for what is none. IPv4 in the clothes of IPv6, as a dual-stack socket has it, is IPv4."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return address if mapped is None else mapped


def block_of(text: str) -> str:
    """Return what stands for all addresses that one client may have: of IPv6 a /64, of IPv4 the address.

    A /64 is the least that a home or a machine is given (RFC 6177). What is no address stands for itself.
    """
    if ":" not in text:
        return text
    address = parse_address(text)
    if not isinstance(address, ipaddress.IPv6Address):
        return text if address is None else str(address)
    return f"{ipaddress.IPv6Address(int(address) >> 64 << 64)}/64"


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return address ranges in CIDR form; a single address is a range of one.

    Raises:
        ValueError: one is none.
    """
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


def networks_fault(texts: Iterable[str]) -> str | None:
    """Return what is wrong with a setting that lists address ranges, or None."""
    try:
        parse_networks(texts)
    except ValueError:
        return "must be IP addresses or CIDR ranges such as 10.0.0.0/8, separated by commas"
    return None


def within(address: Address, networks: Sequence[Network]) -> bool:
    """Return whether an address is in one of some ranges."""
    return any(address in network for network in networks)


class _Hop(NamedTuple):
    """One entry of X-Forwarded-For: an address in its usual form, and whether it is a proxy's."""

    address: str
    trusted: bool


class TrustedProxies:
    """Tells whose a request is that came through proxies.

    Args:
        networks: where the proxies are, as `parse_networks` takes them. What they say is believed.
    """

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = parse_networks(networks)
        self._hop = functools.lru_cache(maxsize=ENTRIES_CACHED_MAX)(self._read_hop)

    def client_of(self, peer: str, forwarded_for: str | None) -> str:
        """Return the address of the client behind a connection.

        Each proxy adds on the right where a request came to it from, so the list is read from there, and what stands
        left of the first address that is no proxy's is only that client's word. If all are proxies, the first of
        them is the client. A list with anything else in it says nothing: it is the peer.

        Args:
            peer: the connection's other end.
            forwarded_for: X-Forwarded-For of the request.
        """
        if not forwarded_for:
            return peer
        connected = self._hop(peer)
        if connected is None or not connected.trusted:
            return peer
        entries = forwarded_for.rsplit(",", HOPS_MAX)
        client = peer
        for entry in reversed(entries[-HOPS_MAX:]):
            text = entry.strip()
            hop = self._hop(text) if len(text) <= ENTRY_CHARS_MAX else None
            if hop is None:
                return peer
            client = hop.address
            if not hop.trusted:
                return client
        return client if len(entries) <= HOPS_MAX else peer

    def _read_hop(self, text: str) -> _Hop | None:
        host = text
        if text.startswith("["):
            host, bracket, port = text[1:].partition("]")
            if not bracket or (port and not _is_port(port)):
                return None
        elif text.count(":") == 1:
            host, _, port = text.partition(":")
            if not _is_port(f":{port}"):
                return None
        # A zone (RFC 4007) is a name of the proxy's own interfaces, and any text.
        address = None if "%" in host else parse_address(host)
        return None if address is None else _Hop(str(address), within(address, self._networks))


def _is_port(text: str) -> bool:
    return text.startswith(":") and text[1:].isascii() and text[1:].isdigit()
