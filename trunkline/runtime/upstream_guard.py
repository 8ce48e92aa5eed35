"""Looks hosts up, and lets connections be made to allowed addresses only (`policy.upstream_addresses`).

They are those of channels, and of the console's OpenID provider, whose own documents name further ones.

`HTTPClientPool` asks at each new connection, and connects to the very addresses that were judged, so that a name that
leads elsewhere a moment later (DNS rebinding) gains nothing. A kept connection costs nothing more.
"""

import asyncio
import dataclasses
import socket
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address
from typing import Final

import structlog

from trunkline.core.clock import Clock
from trunkline.policy.fetching import Network, check_networks, parse_networks
from trunkline.policy.upstream_addresses import ALLOW_SETTING, NOT_ALLOWED, may_connect_to
from trunkline.runtime import config
from trunkline.runtime.process import ProcessSettings

log = structlog.get_logger()

TOLD_EVERY_S: Final = 60.0
"""A refused host is logged this often: each request to its channel would be refused anew."""

TOLD_MAX: Final = 1024
"""Hosts whose last line in the log is remembered; there are as many as channels."""

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Returns the addresses of a host, for a port. Raises OSError or UnicodeError where there are none."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class UpstreamSettings(ProcessSettings):
    """Settings of the processes that connect to upstreams."""

    upstream_allow: tuple[str, ...] = config.setting(
        ALLOW_SETTING,
        (),
        help="Networks, such as 10.1.2.0/24, that channels and the OpenID provider may lead to although they are not "
        "public. The same for dispatchers, health and console.",
        check=check_networks,
    )


class AddressRefusedError(Exception):
    """A host may not be connected to."""


async def resolve_by_system(host: str, port: int) -> list[str]:
    """See `Resolve`. The event loop's own threads look names up."""
    try:
        return [str(ip_address(host))]
    except ValueError:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class UpstreamGuard:
    """Knows where connections to upstreams may lead.

    Args:
        allowed: networks, in CIDR form, that may be connected to although they are not public.
        clock: of the process.
        resolve: see there.
    """

    def __init__(self, allowed: Sequence[str], *, clock: Clock, resolve: Resolve = resolve_by_system) -> None:
        self.networks: tuple[Network, ...] = parse_networks(allowed)
        self._clock = clock
        self._resolve = resolve
        self._told: OrderedDict[str, float] = OrderedDict()

    async def addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses of a host, all of which may be connected to.

        Raises:
            AddressRefusedError: one may not.
            OSError, UnicodeError: there are none.
        """
        found = await self._resolve(host, port)
        if not found:
            raise OSError("the host has no address")
        if not may_connect_to(found, self.networks):
            self._tell(host)
            raise AddressRefusedError
        return found

    def _tell(self, host: str) -> None:
        now = self._clock.now()
        if now - self._told.get(host, float("-inf")) < TOLD_EVERY_S:
            return
        self._told[host] = now
        self._told.move_to_end(host)
        if len(self._told) > TOLD_MAX:
            self._told.popitem(last=False)
        log.warning("upstream_address_refused", host=host, message=NOT_ALLOWED)
