"""Trunkline in two regions: a NATS of its own in each, joined by a leaf-node connection, and an ocean between them.

All that writes to Postgres is at home; abroad there are edges and dispatchers. Providers and clients are near to both.
The caller is on the host `CLIENT`, as in `network_cluster`.
"""

import shutil
from secrets import token_hex

import nats

from tests.support.guarded_nats import SHIPPED
from tests.support.network import Trouble
from tests.support.network_cluster import CLIENT, START_TIMEOUT_S, NetworkCluster
from tests.support.network_servers import FILE_STORE, MONITOR_PORT, NATS_PORT, Program
from tests.support.servers import nats_binary
from trunkline.bus.permissions import OPERATOR
from trunkline.dev import secrets
from trunkline.runtime.bucket_mirrors import mirror_buckets

HOME, ABROAD = "home", "abroad"
LEAF_PORT = 7422

ONE_WAY_S = 0.04
ROUND_TRIP_S = 2 * ONE_WAY_S

AT_HOME = ("nats1", "edge1", "dispatcher1", "dispatcher2", "metering1", "health", "console")
ELSEWHERE = ("nats2", "edge2", "dispatcher3", "dispatcher4")
HOSTS = (*AT_HOME, "postgres", *ELSEWHERE, "upstream", CLIENT)
_OF_HOME = (*AT_HOME, "postgres")

PLACES = 4
"""Jobs that a dispatcher takes at a time."""

PINNED = "abroad"
"""A lane that only the other region serves."""


class TwoRegions(NetworkCluster):
    """A running pair of regions. Make it with `network_cluster.running`."""

    replicas = 1

    # --- what it is ----------------------------------------------------------------------------------------------

    @property
    def _nats_url(self) -> str:
        return f"nats://{self._address('nats1')}:{NATS_PORT}"

    def _nats_url_abroad_of(self, user: str) -> str:
        return self._nats_url_of(user).replace(self._address("nats1"), self._address("nats2"))

    def _environment(self, name: str) -> dict[str, str]:
        environment = super()._environment(name)
        environment["TRUNKLINE_REGION"] = ABROAD if name in ELSEWHERE else HOME
        if name in ELSEWHERE:
            environment["NATS_URL"] = self._nats_url_abroad_of(name.rstrip("0123456789"))
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
        for name in AT_HOME[1:]:
            self._start(name, Program(self._command(name)), self._environment(name))
        await self.all_ready(within_s=START_TIMEOUT_S)
        client = await nats.connect(self._nats_url_abroad_of(OPERATOR))
        made = await mirror_buckets(client, HOME, 1)
        assert all(mirror.made for mirror in made)
        await client.close()
        for name in ELSEWHERE[1:]:
            self._start(name, Program(self._command(name)), self._environment(name))
        await self.all_ready(within_s=START_TIMEOUT_S)

    def _start_brokers(self) -> None:
        shutil.copy(SHIPPED, self._folder)
        leaf, password = f"{self._address('nats1')}:{LEAF_PORT}", token_hex(16)
        listen = f'listen: "{leaf}", authorization {{ user: region, password: "{password}" }}'
        remote = f'remotes: [{{ url: "nats://region:{password}@{leaf}" }}]'
        for name, domain, leafnodes in (("nats1", HOME, listen), ("nats2", ABROAD, remote)):
            data = self._disk(name).folder / "jetstream"
            configuration = self._folder / f"{name}.conf"
            configuration.write_text(
                f"""
                server_name: {name}
                listen: "{self._address(name)}:{NATS_PORT}"
                http: "{self._address(name)}:{MONITOR_PORT}"
                jetstream {{ store_dir: "{data}", max_file_store: {FILE_STORE}, domain: {domain} }}
                leafnodes {{ {leafnodes} }}
                ping_interval: 5s
                include {SHIPPED.name}
                """
            )
            program = Program((nats_binary(), "-c", configuration))
            self._start(name, program, secrets.nats_environment(self._secrets.nats_passwords))

    # --- the ocean -----------------------------------------------------------------------------------------------

    def sail(self, trouble: Trouble) -> None:
        """Have that between the regions from now on."""
        self.network.set(_OF_HOME, ELSEWHERE, trouble, both_ways=True)

    def kill_abroad(self) -> None:
        """End all that runs in the other region; it stays down."""
        self._kill(ELSEWHERE)

    def kill_home(self) -> None:
        """End all that runs at home, the database among it; it stays down."""
        self._kill(_OF_HOME)

    def _kill(self, names: tuple[str, ...]) -> None:
        for name in names:
            self.members[name].down = True
        for name in names:
            process = self.members[name].process
            assert process is not None
            process.kill()

    def revive(self) -> None:
        """Have all that was killed be started again."""
        for member in self.members.values():
            member.down = False
