"""Whose a request is that came through proxies."""

import pytest

from trunkline.policy.addresses import HOPS_MAX, TrustedProxies, networks_fault, parse_address

PROXIES = TrustedProxies(["10.0.0.0/8", "192.0.2.1", "2001:db8:1::/48"])


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        # The peer is no proxy: what it says of others is only its word.
        ("203.0.113.9", "198.51.100.7", "203.0.113.9"),
        ("203.0.113.9", None, "203.0.113.9"),
        ("", "198.51.100.7", ""),
        # It is one, and says nothing.
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        # One proxy, and several in a row.
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("192.0.2.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "198.51.100.7, 10.0.0.2,192.0.2.1", "198.51.100.7"),
        # What the client itself has written stands on the left.
        ("10.0.0.1", "1.1.1.1, 198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "10.9.9.9, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
        ("10.0.0.1", "nonsense, 198.51.100.7", "198.51.100.7"),
        # A client among the proxies.
        ("10.0.0.1", "10.1.2.3", "10.1.2.3"),
        ("10.0.0.1", "10.1.2.3, 10.0.0.2", "10.1.2.3"),
        # Other ways to write an address.
        ("10.0.0.1", "198.51.100.7:4711", "198.51.100.7"),
        ("10.0.0.1", "2001:DB8::0:7", "2001:db8::7"),
        ("10.0.0.1", "[2001:db8::7]", "2001:db8::7"),
        ("10.0.0.1", "[2001:db8::7]:443", "2001:db8::7"),
        ("10.0.0.1", "::ffff:198.51.100.7", "198.51.100.7"),
        ("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("2001:db8:1::5", "198.51.100.7, ::ffff:10.0.0.2", "198.51.100.7"),
        # What is no list of addresses says nothing.
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7, _hidden", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7,, 10.0.0.2", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7:port", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7:", "10.0.0.1"),
        ("10.0.0.1", "[2001:db8::7", "10.0.0.1"),
        ("10.0.0.1", "[2001:db8::7]443", "10.0.0.1"),
        ("10.0.0.1", "fe80::1%eth0", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7/32", "10.0.0.1"),
        ("10.0.0.1", "1" * 1000, "10.0.0.1"),
    ],
)
def test_the_client_is_the_first_from_the_right_that_is_no_proxy(
    peer: str, forwarded_for: str | None, client: str
) -> None:
    assert PROXIES.client_of(peer, forwarded_for) == client
    assert PROXIES.client_of(peer, forwarded_for) == client, "as it is remembered"


def test_a_chain_without_end_is_not_followed() -> None:
    chain = ["10.1.1.1", *["10.0.0.2"] * (HOPS_MAX - 1)]
    assert PROXIES.client_of("10.0.0.1", ",".join(chain)) == "10.1.1.1"
    assert PROXIES.client_of("10.0.0.1", ",".join([*chain, "10.0.0.2"])) == "10.0.0.1"
    assert PROXIES.client_of("10.0.0.1", ",".join(["198.51.100.7", *chain])) == "10.0.0.1"


def test_without_proxies_the_peer_is_the_client() -> None:
    assert TrustedProxies([]).client_of("10.0.0.1", "198.51.100.7") == "10.0.0.1"


@pytest.mark.parametrize(
    ("texts", "right"),
    [((), True), (("10.0.0.0/8", "::1"), True), (("10.0.0.1/8",), True), (("10.0.0.0/33",), False), (("any",), False)],
)
def test_ranges_are_checked_when_an_edge_starts(texts: tuple[str, ...], right: bool) -> None:
    fault = networks_fault(texts)
    assert fault is None if right else fault is not None and fault.startswith("must be IP addresses or CIDR ranges")


@pytest.mark.parametrize(
    ("text", "address"),
    [("10.0.0.1", "10.0.0.1"), ("::ffff:10.0.0.1", "10.0.0.1"), ("::1", "::1"), ("", None), ("localhost", None)],
)
def test_an_address_is_parsed_once_for_all(text: str, address: str | None) -> None:
    parsed = parse_address(text)
    assert (None if parsed is None else str(parsed)) == address
