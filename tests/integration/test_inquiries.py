"""What metering tells edges of keys, usage and requests, from a real Postgres over a real NATS."""

import datetime as dt
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import pytest
from prometheus_client import CollectorRegistry

from services.metering.inquiries import WAITING_MAX, InquiryDesk
from services.metering.metrics import MeteringMetrics
from tests.support import usage_events
from tests.support.servers import PostgresServer, running_postgres
from tests.support.usage_events import new_job, usage_event
from tests.support.waiting import eventually
from trunkline.bus import messages, subjects
from trunkline.bus.allowance import Demand, LeaseDraw, MeterKind
from trunkline.bus.inquiry import (
    USAGE_ROWS_MAX,
    GenerationInquiry,
    GenerationReport,
    Inquiry,
    InquiryRefusal,
    KeyInquiry,
    KeyReport,
    RefusalReason,
    Report,
    UsageInquiry,
    UsageReport,
    UsageSums,
    decode_report,
)
from trunkline.bus.messages import UsageEvent
from trunkline.bus.port import BusError, NoRespondersError
from trunkline.core.usage import Units, UsageSource
from trunkline.policy.grants import AccountState, AccountView, Bearing, decide
from trunkline.policy.meters import meters_of
from trunkline.runtime.clock import SystemClock
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store import ledger
from trunkline.store.allowances import WrittenAccount, write_states
from trunkline.store.database import Connection, Database, connect
from trunkline.store.migrate import migrate
from trunkline.store.prices import load_price_book, read_mark
from trunkline.store.settlement import settle
from trunkline.store.terms import load_terms

DEADLINE_S = 20.0
ZONE = "Asia/Shanghai"
NOTHING = UsageSums()
ONE = UsageSums(1, 100, 0, 50, 200)
"""What `usage_event` comes to."""


class Site(NamedTuple):
    """Two accounts with keys.

    Attributes:
        acme, other: ids of the accounts.
        ci, web: keys of the first, a limit and a budget on ``ci``.
        theirs: key of the other.
    """

    acme: int
    other: int
    ci: int
    web: int
    theirs: int


async def add_key(connection: Connection, account: int, name: str, limits: str = "{}", budgets: str = "{}") -> int:
    key: int = await connection.fetchval(
        "insert into keys (account_id, name, groups, models, limits, budgets)"
        " values ($1, $2, '{default}', '{*}', $3::jsonb, $4::jsonb) returning id",
        account,
        name,
        limits,
        budgets,
    )
    return key


@pytest.fixture
async def site(database: Database) -> Site:
    async with database.connection() as connection:
        await usage_events.add_prices(connection)
        acme = await usage_events.add_account(connection, "acme")
        other = await usage_events.add_account(connection, "other")
        await connection.execute("""insert into tiers (name, limits) values ('basic', '{"rpm": 50}')""")
        await connection.execute("update accounts set tier = 'basic', time_zone = $2 where id = $1", acme, ZONE)
        ci = await add_key(connection, acme, "ci", '{"tpd": 9000}', '{"daily_nano": 5000}')
        web = await add_key(connection, acme, "web")
        theirs = await add_key(connection, other, "theirs")
        await ledger.grant_credit(connection, acme, 10_000, "start")
    return Site(acme, other, ci, web, theirs)


class Asking:
    """Metering's desk, and an edge's questions to it."""

    def __init__(self, bus: NATSBus, database: Database, tasks: TaskSet) -> None:
        self._bus = bus
        self._registry = CollectorRegistry()
        metrics = MeteringMetrics(self._registry)
        self.desk = InquiryDesk(bus, database, clock=SystemClock(), tasks=tasks, metrics=metrics)

    def counted(self, result: str) -> float:
        return self._registry.get_sample_value("trunkline_metering_inquiries_total", {"result": result}) or 0.0

    async def ask(self, question: Inquiry) -> Report:
        answer = await self._bus.request(subjects.ASK, messages.encode(question), timeout_s=5)
        report: Report = decode_report(answer)
        return report

    async def key(self, account: int, key: int) -> KeyReport:
        report = await self.ask(KeyInquiry(account, key))
        assert isinstance(report, KeyReport)
        return report

    async def usage(self, question: UsageInquiry) -> UsageReport:
        report = await self.ask(question)
        assert isinstance(report, UsageReport)
        return report


@pytest.fixture
async def asking(bus: NATSBus, database: Database, tasks: TaskSet) -> AsyncIterator[Asking]:
    asking = Asking(bus, database, tasks)
    await asking.desk.open()
    yield asking
    await asking.desk.close()


async def book(database: Database, *events: UsageEvent) -> None:
    async with database.connection() as connection:
        await settle(connection, events, await load_price_book(connection, await read_mark(connection)))


async def now_of(database: Database) -> dt.datetime:
    async with database.connection() as connection:
        now: dt.datetime = await connection.fetchval("select now()")
    return now


def at(moment: dt.datetime) -> int:
    return round(moment.timestamp() * 1000)


async def test_a_key_is_told_what_bounds_it_and_what_it_has_used(
    site: Site, asking: Asking, database: Database
) -> None:
    now = await now_of(database)
    today = now.astimezone(dt.timezone(dt.timedelta(hours=8))).date()
    await book(
        database,
        usage_event(account=site.acme, key=site.ci, started_ms=at(now)),
        usage_event(account=site.acme, key=site.web, started_ms=at(now)),
        usage_event(account=site.acme, key=site.ci, started_ms=at(now - dt.timedelta(days=40))),
        usage_event(account=site.acme, key=site.ci, started_ms=at(now), charged=False, outcome="upstream_cut"),
        usage_event(account=site.other, key=site.theirs, started_ms=at(now)),
    )
    report = await asking.key(site.acme, site.ci)
    assert (report.tier, report.time_zone, report.today) == ("basic", ZONE, today.isoformat())
    assert (report.balance_nano, report.charged_nano) == (10_000 - 600, 600)
    assert (report.day, report.week, report.month) == (ONE, ONE, ONE)
    readings = {reading.meter.id: reading for reading in report.readings}
    assert list(readings) == ["tier:rpm", f"key:{site.ci}:tpd", f"key:{site.ci}:daily"]
    # Nobody has drawn anything yet, so no budget is counted: what was spent of it is summed up.
    assert readings[f"key:{site.ci}:daily"].used == 200
    assert 0 < readings[f"key:{site.ci}:daily"].reset_ms <= 86_400_000
    assert readings["tier:rpm"].used == 0
    web = await asking.key(site.acme, site.web)
    assert [reading.meter.id for reading in web.readings] == ["tier:rpm"]
    bare = await asking.ask(KeyInquiry(site.acme, site.web, usage=False))
    assert isinstance(bare, KeyReport)
    assert (bare.day, bare.week, bare.month) == (None, None, None)


async def test_what_edges_have_drawn_shows(site: Site, asking: Asking, database: Database) -> None:
    async with database.connection() as connection:
        (terms,) = (await load_terms(connection, {site.acme: (site.ci,)})).values()
        now_ms: int = await connection.fetchval("select (extract(epoch from now()) * 1000)::bigint")
        state = AccountState()
        meters = meters_of(terms)
        money = {meter.id: Bearing(5000, {}) for meter in meters if meter.kind is MeterKind.MONEY}
        demand = Demand(
            site.ci, 0, "small", "default", jobs=3, nano=600, nano_min=200, tokens=450, tokens_min=150, images=0
        )
        draw = LeaseDraw(site.acme, 1, 1, 0, (site.ci,), demands=(demand,))
        assert decide(state, AccountView(meters, money, ZONE, 0), "edge-1", draw, now_ms) is not None
        assert await write_states(connection, [WrittenAccount(site.acme, 0, state, durable=False)]) == {site.acme}
    readings = {reading.meter.id: reading for reading in (await asking.key(site.acme, site.ci)).readings}
    assert readings["tier:rpm"].used == 3
    assert readings[f"key:{site.ci}:tpd"].used == 450
    passed_ms = at(await now_of(database)) - now_ms
    assert 60_000 - passed_ms < readings["tier:rpm"].reset_ms <= 61_500
    # The other account has limits of its own: none.
    assert (await asking.key(site.other, site.theirs)).readings == ()


async def test_sums_are_of_the_days_of_the_account_and_of_what_was_charged(
    site: Site, asking: Asking, database: Database
) -> None:
    evening = dt.datetime(2026, 9, 1, 15, 59, tzinfo=dt.UTC)  # a minute before the next day begins in Shanghai
    await book(
        database,
        usage_event(account=site.acme, key=site.ci, started_ms=at(evening)),
        usage_event(account=site.acme, key=site.ci, started_ms=at(evening + dt.timedelta(minutes=1))),
        usage_event(account=site.acme, key=site.web, started_ms=at(evening), units=Units(input=10, cache_read=30)),
        usage_event(account=site.acme, key=site.ci, started_ms=at(evening), charged=False),
        usage_event(account=site.other, key=site.theirs, started_ms=at(evening)),
    )
    first = UsageInquiry(site.acme, site.ci, "2026-09-01", "2026-09-01")
    report = await asking.usage(first)
    assert (report.time_zone, report.first, report.last) == (ZONE, "2026-09-01", "2026-09-01")
    assert [row.sums for row in report.rows] == [ONE]
    by_day = await asking.usage(UsageInquiry(site.acme, site.ci, "2026-08-31", "2026-09-05", ("day", "model")))
    assert [(row.day, row.model, row.sums) for row in by_day.rows] == [
        ("2026-09-01", "small", ONE),
        ("2026-09-02", "small", ONE),
    ]
    by_key = await asking.usage(UsageInquiry(site.acme, 0, "2026-09-01", "2026-09-02", ("key", "group")))
    cached = UsageSums(1, 40, 30, 0, 40)
    assert [(row.key, row.key_name, row.group, row.sums) for row in by_key.rows] == [
        (site.ci, "ci", "default", UsageSums(2, 200, 0, 100, 400)),
        (site.web, "web", "default", cached),
    ]
    async with database.connection() as connection:
        charged = await connection.fetchval(
            "select sum(amount_nano) from transfers where kind = 'charge' and debit = $1",
            ledger.book_number(ledger.Book.WALLET, site.acme),
        )
    assert sum(row.sums.charge_nano for row in by_key.rows) == charged
    nothing = await asking.usage(UsageInquiry(site.acme, site.ci, "2026-01-01", "2026-01-02"))
    assert [row.sums for row in nothing.rows] == [NOTHING]
    assert (await asking.usage(UsageInquiry(site.acme, site.ci, "2026-01-01", "2026-01-02", ("day",)))).rows == ()


async def test_days_past_their_time_are_summed_up_too(site: Site, asking: Asking, database: Database) -> None:
    async with database.connection() as connection:
        units = dict.fromkeys(Units.__struct_fields__, 0) | {
            "input": 70,
            "cache_read": 30,
            "output": 40,
            "reasoning": 10,
        }
        row = {
            "day": dt.date(2026, 7, 1),
            "account_id": site.acme,
            "user_id": 0,
            "key_id": site.ci,
            "channel_id": 1,
            "model": "small",
            "group_name": "default",
            "attempts": 4,
            "answers": 3,
            **units,
            "charge_nano": 600,
            "cost_nano": 1,
        }
        places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
        await connection.execute(f"insert into usage_history ({', '.join(row)}) values ({places})", *row.values())  # noqa: S608 - names of columns
    report = await asking.usage(UsageInquiry(site.acme, site.ci, "2026-06-15", "2026-07-15", ("day",)))
    assert [(row.day, row.sums) for row in report.rows] == [("2026-07-01", UsageSums(3, 100, 30, 50, 600))]


async def test_the_default_span_is_thirty_days_to_today(site: Site, asking: Asking, database: Database) -> None:
    now = await now_of(database)
    await book(
        database,
        *(
            usage_event(account=site.other, key=site.theirs, started_ms=at(now - dt.timedelta(days=days)))
            for days in (0, 29, 30)
        ),
    )
    report = await asking.usage(UsageInquiry(site.other, site.theirs))
    assert report.last == now.date().isoformat()
    assert report.first == (now.date() - dt.timedelta(days=29)).isoformat()
    assert report.rows[0].sums.requests == 2


@pytest.mark.parametrize(
    ("first", "last", "reason"),
    [
        ("2026-01-01", "2026-04-03", RefusalReason.TOO_LONG),
        ("2026-01-02", "2026-01-01", RefusalReason.TOO_LONG),
        ("2020-01-01", "", RefusalReason.TOO_LONG),
        ("no day", "", RefusalReason.UNREADABLE),
        ("", "0001-01-01", RefusalReason.UNREADABLE),
    ],
)
async def test_what_cannot_be_summed_up_is_refused(
    site: Site, asking: Asking, first: str, last: str, reason: RefusalReason
) -> None:
    assert await asking.ask(UsageInquiry(site.acme, 0, first, last)) == InquiryRefusal(reason)
    assert await asking.key(site.acme, site.ci), "and the next question is answered"


async def test_too_many_rows_are_refused_and_not_cut(site: Site, asking: Asking, database: Database) -> None:
    began = at(dt.datetime(2026, 9, 1, tzinfo=dt.UTC))
    events = [
        usage_event(account=site.acme, key=site.ci, model=f"model-{number}", started_ms=began)
        for number in range(USAGE_ROWS_MAX + 1)
    ]
    await book(database, *events)
    question = UsageInquiry(site.acme, site.ci, "2026-09-01", "2026-09-02", ("model",))
    assert await asking.ask(question) == InquiryRefusal(RefusalReason.TOO_MUCH)
    async with database.connection() as connection:
        await connection.execute("delete from usage where model = 'model-0'")
    assert len((await asking.usage(question)).rows) == USAGE_ROWS_MAX


async def test_a_request_is_told_to_its_account_and_to_no_other(site: Site, asking: Asking, database: Database) -> None:
    job = new_job()
    await book(
        database,
        usage_event(job=job, attempt=0, account=site.acme, key=site.ci, charged=False, outcome="upstream_timeout"),
        usage_event(job=job, attempt=1, account=site.acme, key=site.ci, source=UsageSource.COUNTED),
    )
    report = await asking.ask(GenerationInquiry(site.acme, job))
    assert isinstance(report, GenerationReport)
    failed, answered = report.attempts
    assert (failed.outcome, failed.charged, failed.charge_nano) == ("upstream_timeout", False, 0)
    assert (answered.outcome, answered.charged, answered.charge_nano, answered.counted) == ("", True, 200, True)
    assert (answered.units, answered.first_token_ms, answered.duration_ms) == (Units(input=100, output=50), 120, 900)
    assert answered.started_ms == usage_events.STARTED_MS
    nothing = GenerationReport(())
    assert await asking.ask(GenerationInquiry(site.other, job)) == nothing
    assert await asking.ask(GenerationInquiry(site.acme, new_job())) == nothing
    words = messages.encode(report)
    assert b"upstream" not in words.replace(b"upstream_timeout", b""), "the provider's name for the model"


async def test_an_account_that_is_gone_is_unknown(site: Site, asking: Asking) -> None:
    assert await asking.ask(KeyInquiry(site.acme + 100, 1)) == InquiryRefusal(RefusalReason.UNKNOWN)
    assert await asking.ask(UsageInquiry(site.acme + 100, 1)) == InquiryRefusal(RefusalReason.UNKNOWN)


async def test_a_key_of_another_account_is_told_nothing_of_its_own(site: Site, asking: Asking) -> None:
    report = await asking.key(site.other, site.ci)
    assert report.readings == ()
    assert report.day == NOTHING


async def test_too_many_questions_are_refused_at_once(
    site: Site, asking: Asking, bus: NATSBus, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.metering.inquiries.STATEMENT_TIMEOUT_MS", round(DEADLINE_S * 1000))
    monkeypatch.setattr("services.metering.inquiries.WAIT_MAX_S", DEADLINE_S)
    reasons: list[Report] = []
    inbox = "test.inbox"
    await bus.subscribe(inbox, lambda message: reasons.append(decode_report(message.data)))
    question = messages.encode(KeyInquiry(site.acme, site.ci))

    async def refused_some() -> bool:
        return asking.counted("busy") > 0

    async with database.transaction() as connection:
        # Nobody is answered meanwhile, however slowly the questions come.
        await connection.execute("lock table accounts in access exclusive mode")
        for _ in range(WAITING_MAX + 50):
            bus.publish(subjects.ASK, question, inbox)
        await eventually(refused_some, within_s=DEADLINE_S, what="there are too many")

    async def all_answered() -> bool:
        return len(reasons) == WAITING_MAX + 50

    await eventually(all_answered, within_s=DEADLINE_S, what="every question is answered")
    refused = [report for report in reasons if report == InquiryRefusal(RefusalReason.BUSY)]
    assert len(refused) == asking.counted("busy") > 0
    assert len([report for report in reasons if isinstance(report, KeyReport)]) >= WAITING_MAX


async def test_what_is_no_question_is_passed_over(asking: Asking, bus: NATSBus, site: Site) -> None:
    bus.publish(subjects.ASK, b"not a question", "test.inbox")
    assert await asking.key(site.acme, site.ci)
    assert asking.counted("refused") == 1


async def test_a_slow_statement_ends_and_says_so(
    site: Site, asking: Asking, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.metering.inquiries.STATEMENT_TIMEOUT_MS", 1000)
    async with database.transaction() as connection:
        # Readers of usage wait for as long as this transaction lives.
        await connection.execute("lock table usage in access exclusive mode")
        assert await asking.ask(UsageInquiry(site.acme, 0)) == InquiryRefusal(RefusalReason.TOO_MUCH)
        # A key that is too busy for its sums is told the rest; one whose budget cannot be read is not.
        report = await asking.key(site.acme, site.web)
        assert (report.balance_nano, report.day, report.month) == (10_000, None, None)


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


async def test_without_postgres_nobody_listens(bus: NATSBus, own_postgres: PostgresServer, tasks: TaskSet) -> None:
    await migrate(own_postgres.admin_dsn)
    database = await connect(own_postgres.admin_dsn)
    asking = Asking(bus, database, tasks)
    await asking.desk.open()
    assert await asking.ask(KeyInquiry(1, 1)) == InquiryRefusal(RefusalReason.UNKNOWN)
    own_postgres.stop()
    assert await asking.ask(KeyInquiry(1, 1)) == InquiryRefusal(RefusalReason.AWAY)

    async def unheard() -> bool:
        try:
            await asking.ask(KeyInquiry(1, 1))
        except NoRespondersError:
            return True
        except BusError:
            return False
        return False

    await eventually(unheard, within_s=DEADLINE_S, what="the desk is closed")
    await asking.desk.close()
    await database.close()
