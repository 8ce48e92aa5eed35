"""What the admin API's handlers share, and how they change the configuration: each change is one transaction."""

import contextlib
import dataclasses
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable

from services.console.projector import Projector
from trunkline.bus.snapshots import SealedCredential
from trunkline.core.clock import Clock
from trunkline.policy.changes import Change
from trunkline.policy.configuration import Configuration
from trunkline.policy.configuration_file import load
from trunkline.policy.fetching import Network
from trunkline.policy.upstream_addresses import check_base_urls
from trunkline.policy.vault import NONCE_BYTES, Vault
from trunkline.store.apply import apply_configuration
from trunkline.store.configuration import lock_configuration, read_names
from trunkline.store.database import Connection, Database


async def _anybody(_connection: Connection) -> None:
    """Of whoever calls, nothing is known that could have ended."""


@dataclasses.dataclass(frozen=True)
class Context:
    """Made once per process.

    Attributes:
        database, clock: of the process.
        pepper: of the keyed hashes.
        vault: seals credentials.
        projector: rebuilds the projection.
        upstream_networks: that channels may lead to although they are not public.
        still: raises, in a transaction, where who calls may not do any more what they may when their request began.
    """

    database: Database
    clock: Clock
    pepper: bytes
    vault: Vault
    projector: Projector
    upstream_networks: tuple[Network, ...] = ()
    still: Callable[[Connection], Awaitable[None]] = _anybody

    def seal(self, credential: int, secret: str) -> SealedCredential:
        """Encrypt an upstream secret."""
        return self.vault.seal(credential, secret, secrets.token_bytes(NONCE_BYTES))

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a transaction in which whoever calls changes what is no configuration.

        Raises:
            StoreError: Postgres is away.
            ConflictError: see ``still``.
        """
        async with self.database.transaction() as connection:
            await self.still(connection)
            yield connection

    @contextlib.asynccontextmanager
    async def changing(self) -> AsyncIterator[Connection]:
        """Lend a transaction in which the configuration may be changed.

        Raises:
            StoreError: Postgres is away.
            ConflictError: see ``still``.
        """
        async with self.database.transaction() as connection:
            await lock_configuration(connection)
            await self.still(connection)
            yield connection

    async def check(self, connection: Connection, parsed: object) -> Configuration:
        """Read a configuration whose secrets are resolved; what is there already may be referred to.

        Raises:
            ConfigurationError: with every fault.
        """
        # No environment: a client must not be able to read the console's own.
        configuration = load(parsed, {}, await read_names(connection), self.clock.wall_ms())
        check_base_urls(configuration.channels, self.upstream_networks)
        return configuration

    async def apply(self, connection: Connection, configuration: Configuration) -> list[Change]:
        """Apply a configuration; see `store.apply`."""
        return await apply_configuration(
            connection, configuration, pepper=self.pepper, seal=self.seal, now_ms=self.clock.wall_ms()
        )
