"""What uses groups and tiers, and their end. Called by the console; those who delete hold `lock_configuration`."""

from trunkline.policy.admin_supply import GroupUses, TierUses
from trunkline.policy.configuration import DEFAULT_GROUP
from trunkline.store.configuration import ConflictError, NotFoundError
from trunkline.store.database import Connection
from trunkline.store.discounts import read_steps
from trunkline.store.registration import read_registration

NAMED_MAX = 3
"""Names of one kind that a message tells; the rest are a number."""


async def group_uses(connection: Connection) -> list[GroupUses]:
    """Return what uses each group, by name. Keys of playgrounds are left out: nobody chose their groups."""
    newcomers = (await read_registration(connection)).groups
    rows = await connection.fetch(
        "select g.name,"
        " array(select c.name from channels c where g.name = any(c.groups) order by c.name) as channels,"
        " array(select a.name from accounts a where g.name = any(a.groups) order by a.name) as accounts,"
        " (select count(*) from keys k where g.name = any(k.groups) and k.playground_seed is null) as keys"
        " from groups g order by g.name"
    )
    return [
        GroupUses(row["name"], tuple(row["channels"]), tuple(row["accounts"]), row["keys"], row["name"] in newcomers)
        for row in rows
    ]


async def tier_uses(connection: Connection) -> list[TierUses]:
    """Return what uses each tier, by name."""
    newcomers = (await read_registration(connection)).tier
    steps = await read_steps(connection)
    rows = await connection.fetch(
        "select t.name, array(select a.name from accounts a where a.tier = t.name order by a.name) as accounts"
        " from tiers t order by t.name"
    )
    return [
        TierUses(
            row["name"],
            tuple(row["accounts"]),
            sum(step.tier == row["name"] for step in steps),
            row["name"] == newcomers,
        )
        for row in rows
    ]


async def delete_group(connection: Connection, name: str) -> None:
    """Delete a group.

    Raises:
        NotFoundError: there is no such group.
        ConflictError: something uses it, or it is the one that is always there.
    """
    uses = next((uses for uses in await group_uses(connection) if uses.name == name), None)
    if uses is None:
        raise NotFoundError(f"there is no group {name!r}")
    if name == DEFAULT_GROUP:
        raise ConflictError(f"group {name!r} is always there: what names no group has it")
    reasons = [
        _named("channels", uses.channels),
        _named("accounts", uses.accounts),
        f"{uses.keys} keys" if uses.keys else "",
        "registration" if uses.newcomers else "",
    ]
    _refuse(f"group {name!r}", reasons)
    await connection.execute("delete from groups where name = $1", name)


async def delete_tier(connection: Connection, name: str) -> None:
    """Delete a tier.

    Raises:
        NotFoundError: there is no such tier.
        ConflictError: something uses it.
    """
    uses = next((uses for uses in await tier_uses(connection) if uses.name == name), None)
    if uses is None:
        raise NotFoundError(f"there is no tier {name!r}")
    reasons = [
        _named("accounts", uses.accounts),
        "volume discounts" if uses.discounts else "",
        "registration" if uses.newcomers else "",
    ]
    _refuse(f"tier {name!r}", reasons)
    await connection.execute("delete from tiers where name = $1", name)


def _named(what: str, names: tuple[str, ...]) -> str:
    if not names:
        return ""
    rest = len(names) - NAMED_MAX
    more = f" and {rest} more" if rest > 0 else ""
    return f"{what} {', '.join(names[:NAMED_MAX])}{more}"


def _refuse(whose: str, reasons: list[str]) -> None:
    used_by = "; ".join(reason for reason in reasons if reason)
    if used_by:
        raise ConflictError(f"{whose} is used by {used_by}; take it from there first")
