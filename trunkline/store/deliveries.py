"""Deliveries of alerts: taken by one console at a time, done or tried again later. Called by the console."""

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from trunkline.policy.alerts import retry_wait_s
from trunkline.store.alerts import decode_payload
from trunkline.store.database import Connection

CLAIM_S: Final = 60.0
"""How long a delivery belongs to the console that took it: several times what a try may take. If that console dies,
another tries again after it, so that a receiver may get an alert twice, under the same id."""

ERROR_CHARS_MAX: Final = 200

# The attempt is counted when it begins: one that kills the process is not tried for ever.
_TAKE = """
update alert_deliveries as d
set attempts = d.attempts + 1, due_at = now() + make_interval(secs => $2)
from (
    select id from alert_deliveries
    where delivered_at is null and given_up_at is null and due_at <= now()
    order by due_at limit $1 for update skip locked
) as due, alerts as l left join accounts as a on a.id = l.account_id
where d.id = due.id and l.id = d.alert_id
returning d.id, d.alert_id, d.channel, d.target, d.attempts, l.kind, l.subject, l.payload, l.created_at, l.account_id,
          a.name as account
"""


class Delivery(NamedTuple):
    """One alert on its way to one address.

    Attributes:
        id: of the delivery.
        alert_id: of the alert.
        channel: ``webhook`` or ``email``.
        target: URL or address.
        attempts: tries, with this one.
        kind, subject, payload, created_at: of the alert.
        account_id, account: whose owners are told; None for the site's operators.
    """

    id: int
    alert_id: int
    channel: str
    target: str
    attempts: int
    kind: str
    subject: str
    payload: dict[str, Any]
    created_at: dt.datetime
    account_id: int | None
    account: str | None


async def take_deliveries(connection: Connection, count: int) -> Sequence[Delivery]:
    """Take what is due, at most ``count``; nobody else gets it for `CLAIM_S`."""
    rows = await connection.fetch(_TAKE, count, CLAIM_S)
    return [Delivery(**{**row, "payload": decode_payload(row["payload"])}) for row in rows]


async def mark_delivered(connection: Connection, delivery: Delivery) -> None:
    """Note that a delivery has arrived."""
    await connection.execute(
        "update alert_deliveries set delivered_at = now(), error = null where id = $1", delivery.id
    )


async def mark_failed(connection: Connection, delivery: Delivery, error: str) -> bool:
    """Note why a delivery has failed; return whether it will be tried again.

    Args:
        connection: in any state.
        delivery: that was taken.
        error: for people; no secrets.
    """
    wait_s = retry_wait_s(delivery.attempts)
    await connection.execute(
        "update alert_deliveries set error = $2, due_at = now() + make_interval(secs => coalesce($3, 0)),"
        " given_up_at = case when $3::float8 is null then now() end where id = $1",
        delivery.id,
        error[:ERROR_CHARS_MAX],
        wait_s,
    )
    return wait_s is not None
