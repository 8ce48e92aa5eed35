"""Which credentials their providers refuse, and the alert that says so. Called by the console."""

import datetime as dt

from trunkline.bus.messages import CredentialEvent
from trunkline.policy.admin_health import CredentialStateView
from trunkline.policy.alerts import CREDENTIAL_ASIDE
from trunkline.store.alerts import NewAlert, raise_alert
from trunkline.store.database import Connection
from trunkline.store.views import LIST_MAX, MARK_CHARS


async def receive_event(connection: Connection, event: CredentialEvent) -> bool:
    """Remember what happened to a credential, and return whether people are told: once for each time it is refused.

    News of credentials that are gone, and news older than what is known, change nothing.

    Args:
        connection: in a transaction.
        event: a believable one (`policy.health_history.believable_event`).
    """
    at = dt.datetime.fromtimestamp(event.at_ms / 1000, dt.UTC)
    row = await connection.fetchrow(
        "select c.id, c.fingerprint, h.name as channel, s.refused_at, s.status, s.heard_at from credentials as c"
        " join channels as h on h.id = c.channel_id left join credential_states as s on s.credential_id = c.id"
        " where c.id = $1 for update of c",
        event.credential,
    )
    if row is None or (row["heard_at"] is not None and row["heard_at"] > at):
        return False
    refused_at = (row["refused_at"] or at) if event.refused else None
    await connection.execute(
        "insert into credential_states (credential_id, refused_at, status, heard_at) values ($1, $2, $3, $4)"
        " on conflict (credential_id) do update set refused_at = $2, status = $3, heard_at = $4",
        event.credential,
        refused_at,
        event.status if event.refused else row["status"] or 0,
        at,
    )
    if refused_at is None or row["refused_at"] is not None:
        return False
    payload = {
        "channel": row["channel"],
        "credential": event.credential,
        "mark": row["fingerprint"][:MARK_CHARS],
        "status": event.status,
        "since": refused_at.isoformat(),
    }
    # The subject is unique over all channels: an occasion is one of one subject.
    subject = f"{row['channel']}/{event.credential}"
    alert = NewAlert(CREDENTIAL_ASIDE, subject, payload, occasion=str(event.at_ms))
    return await raise_alert(connection, alert) is not None


async def list_states(connection: Connection, *, refused: bool = False) -> list[CredentialStateView]:
    """Return all credentials, or only those that are refused, in the order of their channels' names."""
    rows = await connection.fetch(
        "select h.name as channel, c.id, left(c.fingerprint, $1) as mark, s.refused_at, nullif(s.status, 0) as status,"
        " s.heard_at from credentials as c join channels as h on h.id = c.channel_id"
        " left join credential_states as s on s.credential_id = c.id where not $2 or s.refused_at is not null"
        " order by h.name, c.id limit $3",
        MARK_CHARS,
        refused,
        LIST_MAX,
    )
    return [CredentialStateView(**row) for row in rows]
