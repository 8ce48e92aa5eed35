"""What Postgres tells of the system's condition, in words that say what to do. Called by console and doctor."""

from trunkline.bus.snapshots import SealedCredential
from trunkline.policy.admin_api import Check
from trunkline.policy.diagnosis import listed, warning
from trunkline.policy.vault import Vault, VaultError
from trunkline.store.configuration import MODELS_WITH_PRICES
from trunkline.store.database import Connection
from trunkline.store.schema import read_state

PROJECTION_LATE_S = 10.0
"""A change is projected in well under a second; a large file takes a few."""

CONNECTIONS_SHARE = 0.9
"""Of those that Postgres takes: past this, the next process or the next query of an operator may be refused."""

_CONNECTIONS = """
    select (select count(*) from pg_stat_activity where backend_type = 'client backend') as open,
           current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int as most
"""

_OLDEST_CHANGE = """
    select count(*) as waiting, min(created_at) as since,
           coalesce(extract(epoch from now() - min(created_at)), 0)::float as age_s from outbox
"""

_SEALED = """
    select h.name as channel, c.id, c.master, c.nonce, c.ciphertext
    from credentials c join channels h on h.id = c.channel_id order by h.name, c.id
"""

_WITHOUT_CREDENTIAL = """
    select h.name, max(s.refused_at) as since from channels h join credentials c on c.channel_id = h.id
    left join credential_states s on s.credential_id = c.id
    where h.enabled group by h.name having bool_and(s.refused_at is not null) order by h.name
"""

_UNPRICED = f"select name from ({MODELS_WITH_PRICES}) as m where not free and prices is null order by name"  # noqa: S608 - of constants

_WITHOUT_CHANNEL = """
    select name from models m
    where not exists (select from channels h where h.enabled and h.models ? m.name) order by name
"""

_SET_ASIDE = "select count(*) as messages, min(refused_at) as since from usage_refused"


async def read_condition(connection: Connection, vault: Vault | None = None) -> list[Check]:
    """Return how Postgres is, and what is wrong with what it holds; what is well has no check of its own.

    Args:
        connection: outside of a transaction.
        vault: with the master keys; without one, credentials are not tried.
    """
    state = await read_state(connection)
    if state.lacking:
        return [
            Check(
                "postgres",
                False,
                f"It lacks {len(state.lacking)} migrations ({listed(state.lacking)}). Run `trunkline migrate`.",
            )
        ]
    waiting = await connection.fetchrow(_OLDEST_CHANGE)
    used = await connection.fetchrow(_CONNECTIONS)
    checks = [Check("postgres", True, f"answers; {waiting['waiting']} changes wait to be projected")]
    if state.ahead:
        checks.append(
            warning("schema", f"It is ahead of this program by {listed(state.ahead)}: a newer version has been here.")
        )
    if used["open"] >= used["most"] * CONNECTIONS_SHARE:
        said = f"{used['open']} of {used['most']} are taken. Stop what is not needed, or raise max_connections."
        checks.append(Check("connections", False, said))
    if waiting["age_s"] > PROJECTION_LATE_S:
        said = f"{waiting['waiting']} changes wait to be projected. Look whether a console runs, and at its log."
        checks.append(Check("projection", False, said, since=waiting["since"]))
    if vault is not None:
        checks += await _unopened(connection, vault)
    return [*checks, *await _configuration_checks(connection)]


async def _unopened(connection: Connection, vault: Vault) -> list[Check]:
    channels: dict[str, set[int]] = {}
    for row in await connection.fetch(_SEALED):
        sealed = SealedCredential(row["id"], row["master"], row["nonce"], row["ciphertext"])
        try:
            vault.open(sealed)
        except VaultError:
            channels.setdefault(row["channel"], set()).add(row["master"])
    if not channels:
        return []
    masters = sorted(set().union(*channels.values()))
    return [
        Check(
            "credentials",
            False,
            f"Credentials of {listed(channels)} cannot be opened: they were sealed with version"
            f" {listed(map(str, masters))} of the master key. Put that key back into TRUNKLINE_MASTER_KEYS, or set the"
            " credentials anew.",
        )
    ]


async def _configuration_checks(connection: Connection) -> list[Check]:
    checks = []
    if refused := await connection.fetch(_WITHOUT_CREDENTIAL):
        names = listed(row["name"] for row in refused)
        said = f"Every credential of {names} is refused by its provider. Set new ones: `trunkline credentials`."
        checks.append(Check("channels", False, said, since=min(row["since"] for row in refused)))
    if unpriced := await connection.fetch(_UNPRICED):
        said = f"{listed(row['name'] for row in unpriced)} cannot be used: set a price, or make them free."
        checks.append(warning("prices", said))
    if lonely := await connection.fetch(_WITHOUT_CHANNEL):
        said = f"{listed(row['name'] for row in lonely)} cannot be used: no enabled channel serves them."
        checks.append(warning("models", said))
    aside = await connection.fetchrow(_SET_ASIDE)
    if aside["messages"]:
        said = (
            f"{aside['messages']} messages of usage could not be settled and were set aside; see table usage_refused."
        )
        checks.append(warning("usage", said, aside["since"]))
    return checks
