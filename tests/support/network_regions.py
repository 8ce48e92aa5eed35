"""Trunkline in two regions: a NATS cluster of its own in each, joined in one of two ways, and an ocean between them.

All that writes to Postgres is at home, whose NATS has three nodes; abroad there are edges and dispatchers. Providers
and clients are near to both. The caller is on the host `CLIENT`, as in `network_cluster`. How the clusters are joined
is a class: `LeafNodeRegions` or `GatewayRegions`.
"""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from secrets import token_hex
from typing import Any, ClassVar

import aiohttp
import nats
from nats.js.api import StreamInfo

from tests.support.guarded_nats import SHIPPED
from tests.support.network import Network, Trouble
from tests.support.network_cluster import CLIENT, NATS, START_TIMEOUT_S, NetworkCluster
from tests.support.network_servers import CLUSTER_PORT, FILE_STORE, MONITOR_PORT, NATS_PORT, Program
from tests.support.servers import nats_binary
from trunkline.bus import subjects
from trunkline.bus.permissions import OPERATOR
from trunkline.dev import secrets
from trunkline.runtime.bucket_mirrors import Mirror, mirror_home

HOME, ABROAD = "home", "abroad"
LEAF_PORT, GATEWAY_PORT = 7422, 7222

ONE_WAY_S = 0.04
ROUND_TRIP_S = 2 * ONE_WAY_S

NATS_ABROAD = ("nats4", "nats5", "nats6")
SERVICES_AT_HOME = ("edge1", "dispatcher1", "dispatcher2", "metering1", "health", "console")
SERVICES_ABROAD = ("edge2", "dispatcher3", "dispatcher4")
AT_HOME = (*NATS, *SERVICES_AT_HOME, "postgres")
ELSEWHERE = (*NATS_ABROAD, *SERVICES_ABROAD)
HOSTS = (*AT_HOME, *ELSEWHERE, "upstream", CLIENT)

PLACES = 4
"""Jobs that a dispatcher takes at a time."""

PINNED = "abroad"
"""A lane that only the other region serves."""


class TwoRegions(NetworkCluster, ABC):
    """A running pair of regions. Make it with `network_cluster.running`.

    Attributes:
        nodes_abroad: of NATS.
        stands_alone: the other region can read its configuration without home.
    """

    nodes_abroad: ClassVar[Sequence[str]]
    stands_alone: ClassVar[bool]
    _monitor_page: ClassVar[str]
    """Where a node of NATS tells of its connections to the other region."""

    def __init__(self, network: Network, folder: Path) -> None:
        super().__init__(network, folder)
        self._region_password = token_hex(16)

    # --- what it is ----------------------------------------------------------------------------------------------

    @property
    def _nodes(self) -> dict[str, Sequence[str]]:
        """Of NATS, by region."""
        return {HOME: NATS, ABROAD: self.nodes_abroad}

    def _nats_urls_of(self, user: str, region: str) -> list[str]:
        password = self._secrets.nats_passwords[user]
        return [f"nats://{user}:{password}@{self._address(node)}:{NATS_PORT}" for node in self._nodes[region]]

    def _environment(self, name: str) -> dict[str, str]:
        environment = super()._environment(name)
        environment["TRUNKLINE_REGION"] = ABROAD if name in ELSEWHERE else HOME
        if name in ELSEWHERE:
            environment["NATS_URL"] = ",".join(self._nats_urls_of(name.rstrip("0123456789"), ABROAD))
        if name.startswith("dispatcher"):
            environment["TRUNKLINE_DISPATCHER_JOBS_MAX"] = str(PLACES)
            environment["TRUNKLINE_LANES"] = f"default,{PINNED}" if name in ELSEWHERE else "default"
        return environment

    # --- start ---------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Return once every process is ready."""
        self.logs.mkdir()
        self.sail(Trouble(delay_s=ONE_WAY_S))
        await self._start_servers()
        for name in SERVICES_AT_HOME:
            self._start(name, Program(self._command(name)), self._environment(name))
        await self.all_ready(within_s=START_TIMEOUT_S)
        await self._found_abroad()
        for name in SERVICES_ABROAD:
            self._start(name, Program(self._command(name)), self._environment(name))
        await self.all_ready(within_s=START_TIMEOUT_S)

    async def _found_abroad(self) -> None:
        """Make what the other region needs before its services start."""

    async def wake_abroad(self) -> None:
        """Do what an operator does there when home is back after a long time."""

    def _start_brokers(self) -> None:
        shutil.copy(SHIPPED, self._folder)
        for region, nodes in self._nodes.items():
            for name in nodes:
                configuration = self._folder / f"{name}.conf"
                routes = self._urls(nodes, CLUSTER_PORT)
                configuration.write_text(
                    f"""
                    server_name: {name}
                    listen: "{self._address(name)}:{NATS_PORT}"
                    http: "{self._address(name)}:{MONITOR_PORT}"
                    cluster {{ name: {region}, listen: "{self._address(name)}:{CLUSTER_PORT}", routes: [{routes}] }}
                    ping_interval: 5s
                    ping_max: 2
                    {self._joined(name, region)}
                    include {SHIPPED.name}
                    """
                )
                program = Program((nats_binary(), "-c", configuration))
                self._start(name, program, secrets.nats_environment(self._secrets.nats_passwords))

    def _urls(self, nodes: Sequence[str], port: int, user: str = "") -> str:
        return ", ".join(f'"nats://{user}{self._address(node)}:{port}"' for node in nodes)

    def _jetstream(self, name: str, domain: str = "") -> str:
        data = self._disk(name).folder / "jetstream"
        return f'jetstream {{ store_dir: "{data}", max_file_store: {FILE_STORE}{domain} }}'

    @abstractmethod
    def _joined(self, name: str, region: str) -> str:
        """Return what the configuration of a node says of JetStream and of the other region."""

    async def usage_stream(self, region: str) -> StreamInfo:
        """Return what a region's NATS says of the stream of usage."""
        client = await nats.connect(self._nats_urls_of(OPERATOR, region))
        try:
            return await client.jetstream().stream_info(subjects.USAGE_STREAM)
        finally:
            await client.close()

    # --- the ocean -----------------------------------------------------------------------------------------------

    def sail(self, trouble: Trouble) -> None:
        """Have that between the regions from now on."""
        self.network.set(AT_HOME, ELSEWHERE, trouble, both_ways=True)

    async def parted(self, http: aiohttp.ClientSession) -> bool:
        """Return whether no node of NATS has a connection over the ocean that it still takes for good.

        What they have when a cut is over may be found stale only then, and is away for another second or two.
        """
        return not any([await self._reaches_over(http, name) for name in (*NATS, *self.nodes_abroad)])

    async def joined(self, http: aiohttp.ClientSession) -> bool:
        """Return whether each node of NATS abroad has a connection over the ocean.

        Each makes its own, and whoever leads a mirror needs that of its own node.
        """
        return all([await self._reaches_over(http, name) for name in self.nodes_abroad])

    async def _reaches_over(self, http: aiohttp.ClientSession, name: str) -> bool:
        async with http.get(f"http://{self._address(name)}:{MONITOR_PORT}/{self._monitor_page}") as answer:
            return self._joins(await answer.json())

    @abstractmethod
    def _joins(self, told: dict[str, Any]) -> bool:
        """Return whether a node has connections to the other region, by what it tells of them."""

    def kill_abroad(self) -> None:
        """End all that runs in the other region; it stays down."""
        self._kill(ELSEWHERE)

    def kill_home(self) -> None:
        """End all that runs at home, the database among it; it stays down."""
        self._kill(AT_HOME)

    def _kill(self, names: Sequence[str]) -> None:
        members = [self.members[name] for name in names if name in self.members]
        for member in members:
            member.down = True
        for member in members:
            assert member.process is not None
            member.process.kill()

    def revive(self) -> None:
        """Have all that was killed be started again."""
        for member in self.members.values():
            member.down = False


class LeafNodeRegions(TwoRegions):
    """Each region a JetStream domain, abroad a leaf node of home with mirrors of the buckets."""

    nodes_abroad = NATS_ABROAD
    stands_alone = True
    _monitor_page = "leafz"

    def _joined(self, name: str, region: str) -> str:
        listen = (
            f'listen: "{self._address(name)}:{LEAF_PORT}", '
            f'authorization {{ user: region, password: "{self._region_password}" }}'
        )
        urls = self._urls(NATS, LEAF_PORT, f"region:{self._region_password}@")
        leafnodes = listen if region == HOME else f"remotes: [{{ urls: [{urls}] }}]"
        return f"{self._jetstream(name, f', domain: {region}')}\nleafnodes {{ {leafnodes} }}"

    def _joins(self, told: dict[str, Any]) -> bool:
        return bool(told["leafnodes"])

    async def _found_abroad(self) -> None:
        assert all(mirror.made for mirror in await self._mirror())

    async def wake_abroad(self) -> None:
        assert not any(mirror.made for mirror in await self._mirror())

    async def _mirror(self) -> list[Mirror]:
        client = await nats.connect(self._nats_urls_of(OPERATOR, ABROAD))
        try:
            return await mirror_home(client, HOME, len(self.nodes_abroad))
        finally:
            await client.close()


class GatewayRegions(TwoRegions):
    """One JetStream, which home's nodes alone hold; abroad has none, and reaches it through the gateway."""

    nodes_abroad = NATS_ABROAD[:2]
    stands_alone = False
    _monitor_page = "gatewayz"

    def _joined(self, name: str, region: str) -> str:
        others = ", ".join(
            f"{{ name: {other}, urls: [{self._urls(nodes, GATEWAY_PORT, f'region:{self._region_password}@')}] }}"
            for other, nodes in self._nodes.items()
        )
        gateway = (
            f'gateway {{ name: {region}, listen: "{self._address(name)}:{GATEWAY_PORT}", gateways: [{others}], '
            f'authorization {{ user: region, password: "{self._region_password}" }} }}'
        )
        return f"{self._jetstream(name)}\n{gateway}" if region == HOME else gateway

    def _joins(self, told: dict[str, Any]) -> bool:
        return bool(told["outbound_gateways"] or told["inbound_gateways"])
