"""Alerts as rows: what people are to be told, and its way to each address. Called by the console.

An alert is raised once per kind, subject and occasion, in the transaction of what it tells of, together with a
delivery per address. Deliveries are tried by the console until they succeed or are given up.
"""

from typing import Any, Final, NamedTuple

import msgspec

from trunkline.policy.admin_credit import AlertView, DeliveryView
from trunkline.policy.alerts import NO_ALERTS, AlertTerms
from trunkline.store.configuration import NotFoundError, decode_alerts, json_text, read_site_alerts
from trunkline.store.database import Connection

ALERTS_LISTED_MAX: Final = 200

ALERTS_KEPT_DAYS: Final = 90
"""As long as usage is kept by default, and longer than any period whose occasions they name."""

ALERTS_FORGOTTEN_MAX: Final = 1000
"""Deleted in one go, so that no transaction becomes long."""

decode_payload = msgspec.json.Decoder(dict[str, Any]).decode


class NewAlert(NamedTuple):
    """Something that people are to be told.

    Attributes:
        kind: what has happened.
        subject: what it has happened to, by name.
        payload: what there is to say of it, as JSON; no secrets.
        occasion: people are told once per kind, subject and occasion.
        account_id: whose owners are told; None for the site's operators.
    """

    kind: str
    subject: str
    payload: dict[str, Any]
    occasion: str = ""
    account_id: int | None = None


async def raise_alert(connection: Connection, alert: NewAlert) -> int | None:
    """Store an alert with its deliveries and return its id; None if it is there already.

    Args:
        connection: in a transaction.
        alert: see there.
    """
    alert_id: int | None = await connection.fetchval(
        "insert into alerts (kind, subject, occasion, account_id, payload) values ($1, $2, $3, $4, $5)"
        " on conflict do nothing returning id",
        alert.kind,
        alert.subject,
        alert.occasion,
        alert.account_id,
        json_text(alert.payload),
    )
    if alert_id is None:
        return None
    terms = await read_site_alerts(connection) if alert.account_id is None else await _account_terms(connection, alert)
    targets = [("email", address) for address in terms.email]
    if terms.webhook is not None:
        targets.append(("webhook", terms.webhook))
    await connection.executemany(
        "insert into alert_deliveries (alert_id, channel, target) values ($1, $2, $3)",
        [(alert_id, *target) for target in targets],
    )
    return alert_id


async def _account_terms(connection: Connection, alert: NewAlert) -> AlertTerms:
    value = await connection.fetchval("select alerts from accounts where id = $1", alert.account_id)
    return NO_ALERTS if value is None else decode_alerts(value)


async def read_account_terms(connection: Connection, account: str) -> tuple[int, AlertTerms]:
    """Return an account's id and alerts.

    Raises:
        NotFoundError: there is no such account.
    """
    row = await connection.fetchrow("select id, alerts from accounts where name = $1", account)
    if row is None:
        raise NotFoundError(f"there is no account {account!r}")
    return row["id"], decode_alerts(row["alerts"])


async def put_account_terms(connection: Connection, account: str, terms: AlertTerms) -> None:
    """Replace an account's alerts.

    Raises:
        NotFoundError: there is no such account.
    """
    status = await connection.execute("update accounts set alerts = $2 where name = $1", account, json_text(terms))
    if status != "UPDATE 1":
        raise NotFoundError(f"there is no account {account!r}")


async def list_alerts(
    connection: Connection, *, account_id: int | None = None, alert_id: int | None = None
) -> list[AlertView]:
    """Return alerts with their deliveries, the newest first: all, those of one account, or one."""
    rows = await connection.fetch(
        "select l.id, l.kind, l.subject, a.name as account, l.payload, l.created_at from alerts as l"
        " left join accounts as a on a.id = l.account_id where ($1::bigint is null or l.account_id = $1)"
        " and ($2::bigint is null or l.id = $2) order by l.id desc limit $3",
        account_id,
        alert_id,
        ALERTS_LISTED_MAX,
    )
    deliveries: dict[int, list[DeliveryView]] = {}
    for row in await connection.fetch(
        "select alert_id, channel, target, attempts, delivered_at, error, case when delivered_at is not null then"
        " 'delivered' when given_up_at is not null then 'given up' else 'waiting' end as state"
        " from alert_deliveries where alert_id = any($1::bigint[]) order by id",
        [row["id"] for row in rows],
    ):
        fields = dict(row)
        deliveries.setdefault(fields.pop("alert_id"), []).append(DeliveryView(**fields))
    return [
        AlertView(
            id=row["id"],
            kind=row["kind"],
            subject=row["subject"],
            account=row["account"],
            payload=decode_payload(row["payload"]),
            created_at=row["created_at"],
            deliveries=tuple(deliveries.get(row["id"], ())),
        )
        for row in rows
    ]


async def forget_alerts(connection: Connection) -> None:
    """Delete alerts, with their deliveries, that are too old to matter."""
    await connection.execute(
        "delete from alerts where id in (select id from alerts where created_at < now() - make_interval(days => $1)"
        " order by id limit $2)",
        ALERTS_KEPT_DAYS,
        ALERTS_FORGOTTEN_MAX,
    )
