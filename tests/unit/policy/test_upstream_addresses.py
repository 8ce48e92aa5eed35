"""Where channels may lead, and what is said of a base URL that shows where it must not."""

import pytest

from trunkline.policy.configuration import ChannelEntry, ConfigurationError
from trunkline.policy.fetching import parse_networks
from trunkline.policy.upstream_addresses import ALLOW_SETTING, NOT_ALLOWED, check_base_urls, may_connect_to

PUBLIC, PUBLIC_6 = "93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"
LOOPBACK = parse_networks(["127.0.0.0/8", "::1/128"])


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104 - an address that is refused
        "10.0.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.8.9.10",
        "169.254.169.254",
        "172.16.0.1",
        "192.168.1.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:93.184.216.34",
        "64:ff9b::a00:1",
        "64:ff9b:1::a00:1",
        "2002:a00:1::1",
        "2001:0:a00:1::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "no address",
    ],
)
def test_what_is_not_public_is_refused(address: str) -> None:
    assert not may_connect_to([address], ())


@pytest.mark.parametrize("address", [PUBLIC, PUBLIC_6])
def test_what_is_public_is_not(address: str) -> None:
    assert may_connect_to([address], ())


def test_one_address_that_is_refused_refuses_the_name() -> None:
    assert may_connect_to([PUBLIC, PUBLIC_6], ())
    assert not may_connect_to([PUBLIC, "10.0.0.1"], ())
    assert not may_connect_to(["10.0.0.1", PUBLIC], ())
    assert may_connect_to(["10.0.0.1", PUBLIC], parse_networks(["10.0.0.0/24"]))
    assert not may_connect_to([], ())


def test_only_the_networks_that_are_named_are_allowed() -> None:
    assert may_connect_to(["127.0.0.1"], LOOPBACK)
    assert may_connect_to(["::1"], LOOPBACK)
    assert not may_connect_to(["10.0.0.1"], LOOPBACK)
    # The same machine in other clothes is another network: it is not what was named.
    assert not may_connect_to(["::ffff:127.0.0.1"], LOOPBACK)
    assert may_connect_to(["64:ff9b::1"], parse_networks(["64:ff9b::/96"]))


def channel(base_url: str) -> ChannelEntry:
    return ChannelEntry(name="c", dialect="openai", base_url=base_url, models={"m": "m"})


@pytest.mark.parametrize(
    "base_url",
    [
        "http://127.0.0.1:8000/v1",
        "https://10.0.0.1/v1",
        "http://169.254.169.254/latest",
        "http://[::1]:8000/v1",
        "http://[fd00::1]/v1",
        "http://localhost:8000/v1",
        "http://LocalHost./v1",
        "http://ollama.localhost/v1",
    ],
)
def test_a_base_url_that_shows_it_is_refused_when_it_is_configured(base_url: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        check_base_urls([channel("https://api.example.com/v1"), channel(base_url)], ())
    assert raised.value.faults == [f"channels[1].base_url: {NOT_ALLOWED}"]
    assert ALLOW_SETTING in NOT_ALLOWED


def test_what_is_allowed_or_shows_nothing_is_taken() -> None:
    urls = ["http://127.0.0.1:8000", "http://localhost:8000", f"https://{PUBLIC}/v1", "https://intern.example.com/v1"]
    check_base_urls([channel(url) for url in urls], LOOPBACK)
