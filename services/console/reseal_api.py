"""Seals all that is sealed with the newest master key: docs/operating/master-keys.md."""

import asyncio
import secrets

import structlog
from aiohttp import web

from services.console.context import Context
from services.console.http import answer, bind
from services.console.peers import Peers
from services.console.query import boolean
from services.console.second_factor import owner_of
from trunkline.bus.snapshots import SealedCredential
from trunkline.policy.admin_supply import Resealed, SealedWith
from trunkline.policy.operations import supply
from trunkline.policy.vault import NONCE_BYTES, Sealed, VaultError
from trunkline.store import reseal
from trunkline.store.configuration import ConflictError

log = structlog.get_logger()

READERS = ("dispatcher", "health", "console")
"""Roles that open credentials; of the last one all other replicas, too."""


class ResealAPI:
    """Handler of ``/credentials/reseal``.

    Args:
        context: of the console.
        peers: the processes heard on the bus.
    """

    def __init__(self, context: Context, peers: Peers) -> None:
        self._context = context
        self._peers = peers
        self._alone = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [bind(supply.RESEAL, self._reseal)]

    async def _reseal(self, request: web.Request) -> web.Response:
        sealed = 0
        if not boolean(request, "dry_run"):
            await self._peers.heard_all()
            await self._check_readers()
            async with self._alone:
                sealed = await self._reseal_credentials() + await self._reseal_apps()
        async with self._context.database.connection() as connection:
            counts = await reseal.count_sealed(connection)
        vault = self._context.vault
        return answer(
            Resealed(
                vault.newest, sealed, tuple(SealedWith(*count, count.master in vault.versions) for count in counts)
            )
        )

    async def _check_readers(self) -> None:
        """Refuse what would take credentials from a process that runs.

        Raises:
            ConflictError: one does not hold the newest master key.
        """
        newest = self._context.vault.newest
        without = self._peers.without_master(READERS, newest)
        if without:
            # One that was restarted just now lives on here for as long as beats may be missing.
            await self._peers.miss_ended()
            without = self._peers.without_master(READERS, newest)
        if without:
            raise ConflictError(
                f"{', '.join(without)} {'does' if len(without) == 1 else 'do'} not hold master key {newest}; add it to "
                "TRUNKLINE_MASTER_KEYS of every dispatcher, health and console, restart them, and try again"
            )

    async def _reseal_credentials(self) -> int:
        newest, after, sealed = self._context.vault.newest, 0, 0
        while True:
            async with self._context.changing() as connection:
                batch = await reseal.reseal_credentials(connection, after, newest, self._credential)
            sealed += batch.sealed
            if batch.last is None:
                return sealed
            after = batch.last

    async def _reseal_apps(self) -> int:
        newest, after, sealed = self._context.vault.newest, 0, 0
        while True:
            async with self._context.database.transaction() as connection:
                batch = await reseal.reseal_apps(connection, after, newest, self._app)
            sealed += batch.sealed
            if batch.last is None:
                return sealed
            after = batch.last

    def _credential(self, sealed: SealedCredential) -> SealedCredential | None:
        try:
            return self._context.seal(sealed.id, self._context.vault.open(sealed))
        except VaultError as error:
            log.warning("not_resealed", error=str(error))
            return None

    def _app(self, login: int, sealed: Sealed) -> Sealed | None:
        vault, owner = self._context.vault, owner_of(login)
        try:
            return vault.seal_for(owner, vault.open_for(owner, sealed), secrets.token_bytes(NONCE_BYTES))
        except VaultError as error:
            log.warning("not_resealed", error=str(error))
            return None
