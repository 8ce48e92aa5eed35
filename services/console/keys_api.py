"""Keys of accounts: made, changed, blocked, rotated, deleted."""

import contextlib
import secrets
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from aiohttp import web
from msgspec import UNSET

from services.console.context import Context
from services.console.http import RequestError, answer, bad_request, bind, caller_of, own_user, read_struct, refuse
from services.console.query import row_limit
from trunkline.core.errors import ErrorType
from trunkline.policy.access import Standing
from trunkline.policy.admin_accounts import (
    OVERLAP_S_MAX,
    CreatedKey,
    HolderKind,
    KeyChange,
    KeyState,
    NewKey,
    Rotation,
)
from trunkline.policy.changes import PREFIX_CHARS, key_entity, moment_ms
from trunkline.policy.configuration import KeyEntry
from trunkline.policy.configuration_checks import Checker
from trunkline.policy.configuration_values import normal_network
from trunkline.policy.entities import Key
from trunkline.policy.keys import key_hash, mint
from trunkline.policy.operations import keys
from trunkline.policy.strict import FaultList
from trunkline.store import account_views, holders, key_blocks, key_writes, outbox
from trunkline.store.account_views import WantedKeys
from trunkline.store.configuration import ConflictError, NotFoundError, read_keys, read_names
from trunkline.store.configuration_writes import find_account
from trunkline.store.database import Connection

RANDOM_BYTES = 64

KEYS_OF_ACCOUNT_MAX = 1000
"""Keys that an account's own people may make, where anybody may register: each is kept in the bucket that all edges
read, and may take half a megabyte of it. Operators make any number."""


class KeysAPI:
    """Handlers under ``/keys`` and ``/accounts/{account}/keys``, but for limits and budgets.

    Args:
        context: of the console.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            bind(keys.LIST_ALL, self._list_all),
            bind(keys.LIST, self._list),
            bind(keys.CREATE, self._create),
            bind(keys.SHOW, self._show),
            bind(keys.CHANGE, self._change),
            bind(keys.DELETE, self._delete),
            bind(keys.BLOCK, self._block),
            bind(keys.UNBLOCK, self._unblock),
            bind(keys.ROTATE, self._rotate),
        ]

    async def _list_all(self, request: web.Request) -> web.Response:
        wanted = _wanted(request)
        async with self._context.database.connection() as connection:
            return answer(await account_views.keys(connection, wanted=wanted))

    async def _list(self, request: web.Request) -> web.Response:
        account = request.match_info["account"]
        async with self._context.database.connection() as connection:
            await find_account(connection, account)
            return answer(await account_views.keys(connection, account, user=own_user(request)))

    async def _show(self, request: web.Request) -> web.Response:
        async with self._context.database.connection() as connection:
            return answer((await account_views.keys(connection, *_named(request), user=own_user(request)))[0])

    @contextlib.asynccontextmanager
    async def _changing(self, request: web.Request) -> AsyncIterator[Connection]:
        """Lend a transaction in which the caller may change the key of the path.

        Raises:
            NotFoundError: it is not the caller's own, who may touch no others.
            StoreError: Postgres is away.
        """
        async with self._context.changing() as connection:
            own = own_user(request)
            if own is not None:
                await holders.require_key_of(connection, holders.Holder(HolderKind.KEY, _named(request)), own)
            yield connection

    async def _create(self, request: web.Request) -> web.Response:
        new = await read_struct(request, NewKey)
        account = request.match_info["account"]
        own = own_user(request)
        if own is not None and new.user is None:
            new = msgspec.structs.replace(new, user=own)
        secret = _draw_secret()
        entry = KeyEntry(secret=secret, **{name: getattr(new, name) for name in new.__struct_fields__})
        async with self._context.changing() as connection:
            account_id = await find_account(connection, account)
            await _check(connection, account, entry)
            await _check_caller(connection, request, groups=new.groups, user=new.user)
            await _check_room(connection, request, account_id)
            if await connection.fetchval(
                "select exists (select from keys where account_id = $1 and name = $2)", account_id, new.name
            ):
                raise ConflictError(f"there is a key {account}/{new.name} already")
            key = key_entity(account, entry, None, self._context.pepper)
            key_id = await key_writes.put_key(connection, key, shown_to=caller_of(request).login)
            await outbox.enqueue_keys(connection, [key_id])
            return answer(CreatedKey(secret, (await account_views.keys(connection, account, new.name))[0]), 201)

    async def _change(self, request: web.Request) -> web.Response:
        change = await read_struct(request, KeyChange)
        account, name = _named(request)
        async with self._changing(request) as connection:
            found = await read_keys(connection, [(account, name)])
            if not found:
                raise NotFoundError(f"there is no key {account}/{name}")
            changed = msgspec.structs.replace(found[0], **_changes(change))
            await _check(connection, account, changed)
            groups = () if change.groups is UNSET else change.groups
            await _check_caller(connection, request, groups=groups, user=changed.user)
            networks = tuple(map(normal_network, changed.allow_ips))
            await key_writes.change_key(connection, account, name, msgspec.structs.replace(changed, allow_ips=networks))
            return answer((await account_views.keys(connection, account, changed.name))[0])

    async def _delete(self, request: web.Request) -> web.Response:
        async with self._changing(request) as connection:
            await _check_block(connection, request)
            await key_writes.delete_key(connection, *_named(request))
        return web.Response(status=204)

    async def _block(self, request: web.Request) -> web.Response:
        account, name = _named(request)
        async with self._changing(request) as connection:
            await key_blocks.block_key(connection, account, name, caller_of(request).standing(account))
            return answer((await account_views.keys(connection, account, name))[0])

    async def _unblock(self, request: web.Request) -> web.Response:
        async with self._changing(request) as connection:
            await _check_block(connection, request)
            await key_blocks.unblock_key(connection, *_named(request))
            return answer((await account_views.keys(connection, *_named(request)))[0])

    async def _rotate(self, request: web.Request) -> web.Response:
        rotation = await read_struct(request, Rotation) if request.can_read_body else Rotation()
        if not 0 <= rotation.overlap_s <= OVERLAP_S_MAX:
            raise bad_request(f"overlap_s must be between 0 and {OVERLAP_S_MAX}.")
        account, name = _named(request)
        secret = _draw_secret()
        async with self._changing(request) as connection:
            await key_writes.rotate_key(
                connection,
                account,
                name,
                new_hash=key_hash(secret, self._context.pepper),
                prefix=secret[:PREFIX_CHARS],
                overlap_s=rotation.overlap_s,
                shown_to=caller_of(request).login,
            )
            return answer(CreatedKey(secret, (await account_views.keys(connection, account, name))[0]))


def _named(request: web.Request) -> tuple[str, str]:
    return request.match_info["account"], request.match_info["key"]


def _wanted(request: web.Request) -> WantedKeys:
    """Return which keys the query asks for.

    Raises:
        RequestError: it cannot be.
    """
    query = request.query
    state = query.get("state")
    if state is not None and state not in set(KeyState):
        raise bad_request(f"state must be one of {', '.join(KeyState)}.")
    after = None
    if "after" in query:
        account, slash, name = query["after"].partition("/")
        if not slash:
            raise bad_request("after must name a key as account/key.")
        after = (account, name)
    return WantedKeys(query.get("search"), None if state is None else KeyState(state), after, row_limit(request))


def _draw_secret() -> str:
    return mint(secrets.token_bytes(RANDOM_BYTES))


def _changes(change: KeyChange) -> dict[str, Any]:
    """Return the fields of a key that are to be others, as `policy.entities.Key` has them."""
    fields = {name: value for name in change.__struct_fields__ if (value := getattr(change, name)) is not UNSET}
    if "expires" in fields:
        fields["expires_ms"] = moment_ms(fields.pop("expires"))
    return fields


async def _check(connection: Connection, account: str, key: KeyEntry | Key) -> None:
    """Refuse a key that cannot be.

    Raises:
        ConfigurationError: with every fault.
    """
    faults = FaultList()
    checker = Checker(await read_names(connection, [account]), faults)
    if isinstance(key, KeyEntry):
        checker.key(key, "")
    else:
        checker.rights(key, "")
    if key.user is not None:
        checker.owner(account, key.user, "")
    refuse(faults)


async def _check_block(connection: Connection, request: web.Request) -> None:
    """Refuse to end a block, by lifting it or with its key, that somebody has set who stands above the caller.

    Raises:
        NotFoundError: there is no such key.
        RequestError: see there.
    """
    account, name = _named(request)
    by = await key_blocks.read_block(connection, account, name)
    if by is not None and not caller_of(request).standing(account).reaches(by):
        who = f"an {by.value} of the {'site' if by is Standing.OPERATOR else 'account'}"
        message = f"Key {account}/{name} was blocked by {who}: ask them."
        raise RequestError(403, ErrorType.POLICY_ACCESS_DENIED, message)


async def _check_room(connection: Connection, request: web.Request, account_id: int) -> None:
    """Refuse a key that would be one too many.

    Raises:
        ConflictError: see there.
    """
    if caller_of(request).operator:
        return
    if await connection.fetchval("select count(*) from keys where account_id = $1", account_id) >= KEYS_OF_ACCOUNT_MAX:
        most = f"{KEYS_OF_ACCOUNT_MAX} keys, as many as its people may make"
        raise ConflictError(f"the account has {most}; delete some, or ask an operator")


async def _check_caller(
    connection: Connection, request: web.Request, *, groups: tuple[str, ...], user: str | None
) -> None:
    """Refuse what the caller may not give to a key, though an operator might.

    Args:
        connection: to read with.
        request: see there.
        groups: that the key is to be in from now on.
        user: whose it is to be.

    Raises:
        ConfigurationError: with every fault.
    """
    faults = FaultList()
    own = own_user(request)
    if own is not None and user != own:
        faults.add("user", f"must be {own!r}: your role lets you have keys of your own")
    if groups and not caller_of(request).operator:
        account = request.match_info["account"]
        allowed = await connection.fetchval("select groups from accounts where name = $1", account)
        for number, group in enumerate(groups):
            if group not in allowed:
                faults.add(f"groups[{number}]", f"the account's keys may be in {', '.join(allowed)} only")
    refuse(faults)
