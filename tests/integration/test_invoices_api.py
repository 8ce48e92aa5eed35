"""Invoices against the ledger: sums of the PDF, stable once they are final, in both languages."""

import datetime as dt
import io
import re
from collections.abc import AsyncIterator
from typing import NamedTuple

import aiohttp
import pypdf
import pytest

from tests.support.console import ADMIN_KEY, AdminClient, running_console
from tests.support.usage_events import add_prices, new_job, usage_event
from trunkline.core.money import nano_from_usd, usd_text
from trunkline.core.usage import Units
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store import ledger
from trunkline.store.corrections import adjust_wallet, refund_charge
from trunkline.store.database import Connection, Database
from trunkline.store.invoices import read_invoice
from trunkline.store.prices import load_price_book, read_mark
from trunkline.store.settlement import settle
from trunkline.store.usage_history import make_partitions, retire_day

SEPTEMBER = dt.date(2026, 9, 1)
ACCOUNT = "物理系"
NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)


def at_ms(day: int, *, month: int = 9, hour: int = 12, second: float = 0) -> int:
    moment = dt.datetime(2026, month, day, hour, tzinfo=dt.UTC) + dt.timedelta(seconds=second)
    return round(moment.timestamp() * 1000)


class World(NamedTuple):
    client: AdminClient
    account: int


@pytest.fixture
async def world(bus: NATSBus, tasks: TaskSet, database_dsn: str, database: Database) -> AsyncIterator[World]:
    settings = {
        "TRUNKLINE_INVOICE_ISSUER": r"Trunkline Ltd\n2 Some Street",
        "TRUNKLINE_TOP_UP_URL": "https://pay.example/x?client_reference_id={account}",
    }
    async with running_console(bus, tasks, database_dsn, **settings) as running:
        await running.client.call("POST", "/accounts", {"name": ACCOUNT})
        async with database.connection() as connection:
            account = await connection.fetchval("select id from accounts")
            await use(connection, account)
        yield World(running.client, account)


async def use(connection: Connection, account: int) -> None:
    """Use two models in September, also over its ends, and give and take what is no charge in the present month."""
    small, big = await add_prices(connection), await add_prices(connection, model="big <b>")
    book = await load_price_book(connection, await read_mark(connection))
    job = new_job()
    events = [
        usage_event(job=job, account=account, channel=small, started_ms=at_ms(10)),
        usage_event(account=account, channel=big, model="big <b>", units=Units(output=1_000_000), started_ms=at_ms(11)),
        # Begun in August and ended in September; begun in September and ended in October.
        usage_event(account=account, channel=small, started_ms=at_ms(1, hour=0, second=-0.5)),
        usage_event(account=account, channel=small, started_ms=at_ms(1, month=10, hour=0, second=-0.5)),
        usage_event(
            account=account, channel=small, units=Units(input=7), started_ms=at_ms(1, month=10, hour=0, second=-0.4)
        ),
        usage_event(account=account + 1, channel=small, started_ms=at_ms(12)),
    ]  # fmt: skip
    await settle(connection, events, book)
    await ledger.grant_credit(connection, account, 5_000_000_000, "welcome")
    await adjust_wallet(connection, account, -1, "correction & <i>")
    await refund_charge(connection, account, job, reference="a refund")


async def pdf(client: AdminClient, month: str, language: str = "en") -> tuple[bytes, str]:
    url = f"{client.url}/admin/v1/accounts/{ACCOUNT}/invoices/{month}?language={language}"
    async with (
        aiohttp.ClientSession() as http,
        http.get(url, headers={"authorization": f"Bearer {ADMIN_KEY}"}) as response,
    ):
        assert (response.status, response.content_type) == (200, "application/pdf"), await response.text()
        content = await response.read()
    return content, "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(content)).pages)


async def ledger_sum(connection: Connection, account: int, month: str, kinds: str) -> int:
    """Return what transfers of some kinds have moved into the wallet in a month, straight from the ledger."""
    wallet = ledger.book_number(ledger.Book.WALLET, account)
    found: int = await connection.fetchval(
        "select coalesce(sum(case when credit = $1 then amount_nano else -amount_nano end), 0)::bigint from transfers"
        " where $1 in (debit, credit) and kind::text = any($2::text[])"
        " and to_char(occurred_at at time zone 'UTC', 'YYYY-MM') = $3",
        wallet,
        kinds.split(","),
        month,
    )
    return found


async def test_every_month_agrees_with_the_ledger(world: World, database: Database) -> None:
    months = (await world.client.call("GET", f"/accounts/{ACCOUNT}/invoices")).body
    async with database.connection() as connection:
        balance = await ledger.balance(connection, world.account)
        booked_in = await connection.fetchval("select to_char(now() at time zone 'UTC', 'YYYY-MM')")
        assert [one["month"] for one in months] == [booked_in, "2026-10", "2026-09"]
        opening = 0
        for one in reversed(months):
            assert -one["charged_nano"] == await ledger_sum(connection, world.account, one["month"], "charge")
            assert one["refunded_nano"] == await ledger_sum(connection, world.account, one["month"], "refund")
            assert one["credited_nano"] == await ledger_sum(connection, world.account, one["month"], "grant,adjustment")
            assert one["opening_nano"] == opening
            opening += one["refunded_nano"] + one["credited_nano"] - one["charged_nano"]
            assert one["closing_nano"] == opening
        assert opening == balance
    assert [one["final"] for one in months] == [False, True, True]
    assert months[-1]["number"] == f"202609-{world.account:06}"


async def test_an_invoice_in_english(world: World, database: Database) -> None:
    billing = {"address": "Physics\nRoom 1", "tax": "VAT 12"}
    assert await world.client.call("PUT", f"/accounts/{ACCOUNT}/billing", billing) == (200, billing)
    assert (await world.client.call("GET", f"/accounts/{ACCOUNT}/billing")).body == billing
    content, text = await pdf(world.client, "2026-09")
    for words in ("Invoice", f"202609-{world.account:06}", "2026-09", "Physics", "Room 1", "VAT 12", "2 Some Street"):
        assert words in text
    assert "Preliminary" not in text
    assert ACCOUNT in text
    async with database.connection() as connection:
        charged = -await ledger_sum(connection, world.account, "2026-09", "charge")
    assert charged == 2_000_000 + 200 + 200
    # Of the requests over the ends of months one more began here than ended here.
    lines = [2_000_000, 200 + 200 + 7, -7]
    assert sum(lines) == charged
    amounts = [nano_from_usd(found) for found in re.findall(r"-?\d+\.\d{2,9}\b", text)]
    assert amounts == [*lines, charged, 0, -charged, 0, 0, -charged]
    assert "big <b>" in text
    assert "output 1,000,000" in text
    assert "input 207, output 100" in text
    assert (await pdf(world.client, "2026-09"))[0] == content, "what is final is the same whenever it is made"


async def test_the_running_month_in_chinese(world: World, database: Database) -> None:
    async with database.connection() as connection:
        month = (await connection.fetchval("select now() at time zone 'UTC'")).strftime("%Y-%m")
        balance = await ledger.balance(connection, world.account)
    _, text = await pdf(world.client, month, "zh")
    for words in ("临时账单", "抬头", ACCOUNT, "赠送额度", "welcome", "调整", "correction & <i>", "请求退款（1 笔）"):  # noqa: RUF001
        assert words in text
    for nano in (5_000_000_000, -1, 200, balance):
        assert usd_text(nano) in text
    assert "月份结束一天后账单定稿" in text


async def test_an_invoice_stays_the_same_when_its_attempts_are_forgotten(world: World, database: Database) -> None:
    async with database.connection() as connection:
        before = await read_invoice(connection, ACCOUNT, SEPTEMBER, NOW)
        for month, day in ((8, 31), (9, 10), (9, 11), (9, 30)):
            date = dt.date(2026, month, day)
            await make_partitions(connection, date, 1)
            assert await retire_day(connection, date)
        assert await connection.fetchval("select count(*) from usage where account_id = $1", world.account) == 0
        assert await read_invoice(connection, ACCOUNT, SEPTEMBER, NOW) == before
    assert (before.charged_nano, before.across_months_nano) == (2_000_400, -7)
    assert [line.requests for line in before.lines] == [1, 3]


async def test_what_cannot_be_shown_or_set(world: World) -> None:
    invoices = f"/accounts/{ACCOUNT}/invoices"
    assert (await world.client.call("GET", f"{invoices}/2026-13")).status == 400
    assert (await world.client.call("GET", f"{invoices}/2026-09?language=fr")).status == 400
    nothing = await world.client.call("GET", f"{invoices}/2020-01")
    assert (nothing.status, nothing.body["error"]["message"]) == (
        404,
        f"Nothing was booked for account '{ACCOUNT}' in 2020-01.",
    )
    for path in ("invoices", "invoices/2026-09", "billing", "top-up"):
        assert (await world.client.call("GET", f"/accounts/nobody/{path}")).status == 404
    assert (await world.client.call("PUT", "/accounts/nobody/billing", {})).status == 404
    assert (await world.client.call("PUT", f"/accounts/{ACCOUNT}/billing", {"address": "x\n" * 11})).status == 400


async def test_where_people_pay_in(world: World, bus: NATSBus, tasks: TaskSet, database_dsn: str) -> None:
    shown = await world.client.call("GET", f"/accounts/{ACCOUNT}/top-up")
    page = "https://pay.example/x?client_reference_id=%E7%89%A9%E7%90%86%E7%B3%BB"
    assert shown == (200, {"page": page})
    async with running_console(bus, tasks, database_dsn) as other:
        assert (await other.client.call("GET", f"/accounts/{ACCOUNT}/top-up")).body == {"page": None}
