"""Blocks the keys of a person in the transaction that keeps the person out; each stands in its account's audit log."""

from collections.abc import Sequence
from itertools import groupby

import msgspec
from aiohttp import web

from services.console.http import caller_of
from trunkline.policy.admin_api import PREFIX
from trunkline.policy.operations import keys
from trunkline.store import audit, key_blocks
from trunkline.store.database import Connection
from trunkline.store.key_blocks import HeldKey


async def withdraw_keys(connection: Connection, request: web.Request, held: Sequence[HeldKey]) -> int:
    """Block keys as whoever calls, and return how many were not blocked before.

    Args:
        connection: of a transaction under the configuration's lock.
        request: that keeps a person out.
        held: the person's keys, in the order of their accounts.
    """
    caller = caller_of(request)
    for account, group in groupby(held, lambda key: key.account):
        of_account, by = list(group), caller.standing(account)
        await key_blocks.block_keys(connection, [key.id for key in of_account], by)
        fresh = [key for key in of_account if key.block is None]
        await audit.note(connection, [_begun(request, key) for key in fresh], 200, _block(by))
    return sum(key.block is None for key in held)


def _begun(request: web.Request, key: HeldKey) -> audit.Begun:
    caller = caller_of(request)
    return audit.Begun(
        login=caller.login,
        actor=caller.name,
        address=request.remote or "",
        operation=keys.BLOCK.id,
        account=key.account,
        subject=PREFIX + keys.BLOCK.path.format(account=key.account, key=key.name),
        before=_block(None),
    )


def _block(by: str | None) -> str:
    return msgspec.json.encode({"blocked": by is not None, "blocked_by": by}).decode()
