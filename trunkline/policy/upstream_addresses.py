"""Which addresses a channel may lead to: those that the whole internet sees, and what an operator has named.

A base URL is typed by people and imported from files, and its name is resolved by servers of others. A gateway
that connects wherever they say speaks for strangers from inside its own network: to a cloud's metadata at
169.254.169.254, to NATS, to the ops ports. The ranges are those of `policy.fetching`, which judges what clients name.
`runtime.upstream_guard` asks at each new connection, of the dispatcher, health and the console; the console asks here
when a channel is configured, too, as far as its base URL shows.
"""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from trunkline.policy.configuration import ChannelEntry, ConfigurationError
from trunkline.policy.fetching import FetchError, FetchRules, Network, check_addresses

ALLOW_SETTING: Final = "TRUNKLINE_UPSTREAM_ALLOW"

NOT_ALLOWED: Final = (
    "The host has an address that is not public. If that is meant, name its network in "
    f"{ALLOW_SETTING} of the dispatchers, of health and of the console."
)
"""For operators."""


def may_connect_to(addresses: Sequence[str], networks: Sequence[Network]) -> bool:
    """Return whether a channel's host may be connected to.

    One address that may not forbids them all: which one is taken would be chance, or the choice of whoever answers for
    the name.

    Args:
        addresses: all that the host was resolved to; at least one.
        networks: what may be connected to although it is not public.
    """
    try:
        check_addresses(addresses, FetchRules(tuple(networks)))
    except FetchError:
        return False
    return True


def check_base_urls(channels: Sequence[ChannelEntry], networks: Sequence[Network]) -> None:
    """Refuse channels whose base URL shows that no service will connect to it.

    Names are not looked up here: what they lead to may differ elsewhere and later, and is judged then.

    Raises:
        ConfigurationError: names each of them.
    """
    faults = [
        f"channels[{number}].base_url: {NOT_ALLOWED}"
        for number, channel in enumerate(channels)
        if (address := _literal(channel.base_url)) and not may_connect_to([address], networks)
    ]
    if faults:
        raise ConfigurationError(faults)


def _literal(base_url: str) -> str:
    """Return the address that stands in a URL, or for which a name stands everywhere; empty for any other name."""
    host = (urlsplit(base_url).hostname or "").removesuffix(".")
    if host == "localhost" or host.endswith(".localhost"):
        return "127.0.0.1"  # RFC 6761 section 6.3
    try:
        return str(ip_address(host))
    except ValueError:
        return ""
