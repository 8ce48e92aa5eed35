"""Bounds on guessing passwords and codes, over consoles; and that unknown names cost the same work."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.console import RunningConsole, running_console
from tests.support.people import PASSWORD, Browser, browser, first_operator, new_login, stretch_windows, token_of
from tests.support.waiting import eventually
from trunkline.policy.logins.guesses import OF_NAME, OF_NETWORK, Guess, bounds
from trunkline.runtime.nats_bus import NATSBus
from trunkline.runtime.tasks import TaskSet
from trunkline.store import guesses
from trunkline.store.database import Database

WRONG = "eight lazy harbours"
NOW_S = 1_893_456_000
PROXIED = {"TRUNKLINE_CONSOLE_TRUSTED_PROXIES": "127.0.0.1"}


@pytest.fixture(autouse=True)
def long_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    stretch_windows(monkeypatch)


@pytest.fixture
async def consoles(bus: NATSBus, tasks: TaskSet, database_dsn: str) -> AsyncIterator[list[RunningConsole]]:
    async with (
        running_console(bus, tasks, database_dsn, **PROXIED) as first,
        running_console(bus, tasks, database_dsn, **PROXIED) as second,
    ):
        yield [first, second]


@pytest.fixture
async def person(consoles: list[RunningConsole]) -> AsyncIterator[Browser]:
    async with browser(consoles[0].client.url) as person:
        await first_operator(consoles[0].client, person)
        yield person


async def tries(browsers: list[Browser], name: str, count: int, *, address: str = "192.0.2.1") -> list[int]:
    """Return what as many wrong passwords are answered with, all sent at once, in turn to each console."""
    bodies = ({"name": name, "password": WRONG} for _ in range(count))
    answers = await asyncio.gather(
        *(
            browsers[number % len(browsers)].call("POST", "/session", body, x_forwarded_for=address)
            for number, body in enumerate(bodies)
        )
    )
    return sorted(answer.status for answer in answers)


async def test_a_name_has_so_many_tries_over_all_consoles(consoles: list[RunningConsole], person: Browser) -> None:
    limit = OF_NAME[0].failures_max
    both = [person, person.at(consoles[1].client.url)]
    assert await tries(both, "root", limit + 4) == [401] * limit + [429] * 4
    # From another network, with the right password, at either console.
    for one in both:
        refused = await one.call(
            "POST", "/session", {"name": "ROOT", "password": PASSWORD}, x_forwarded_for="198.51.100.1"
        )
        assert refused.status == 429
        assert int(one.answered["retry-after"]) > 0
    # Others are not kept out by it.
    await new_login(consoles[0].client, "kim")
    assert (await person.sign_in("kim")).status == 200


async def test_unknown_names_are_counted_and_answered_as_known_ones(
    consoles: list[RunningConsole], person: Browser
) -> None:
    limit = OF_NAME[0].failures_max
    assert await tries([person], "toor", limit + 1) == [401] * limit + [429]
    assert await tries([person], "root", limit + 1) == [401] * limit + [429]


async def test_right_passwords_do_not_count(consoles: list[RunningConsole], person: Browser) -> None:
    for _ in range(OF_NAME[0].failures_max + 2):
        assert (await person.sign_in("root")).status == 200
    assert await tries([person], "root", 1) == [401]


async def test_a_network_has_so_many_tries_whatever_the_names(
    consoles: list[RunningConsole], person: Browser, database: Database
) -> None:
    limit = OF_NETWORK[0].failures_max
    async with database.connection() as connection:
        await tries([person], "one", 1)
        # As if others of the network had tried so often.
        await connection.execute("update sign_in_failures set failures = $1", limit)
    assert await tries([person], "two", 1, address="192.0.2.200") == [429]
    assert await tries([person], "two", 1, address="198.51.100.1") == [401]


async def test_what_is_refused_counts_for_nothing(
    consoles: list[RunningConsole], person: Browser, database: Database
) -> None:
    limit = OF_NAME[0].failures_max
    await tries([person], "root", limit + 3)
    async with database.connection() as connection:
        assert await connection.fetchval("select max(failures) from sign_in_failures") == limit


async def test_unknown_names_cost_a_comparison_as_known_ones_do(
    consoles: list[RunningConsole], person: Browser
) -> None:
    passwords = consoles[0].console._people._passwords
    await new_login(consoles[0].client, "kim")
    assert (await consoles[0].client.call("POST", "/logins", {"name": "lee"})).status == 201  # without a password
    verified = []
    for name in ("root", "kim", "lee", "toor", "toor@example.com"):
        before = passwords.verified
        assert await tries([person], name, 1) == [401]
        verified.append(passwords.verified - before)
    assert verified == [1] * 5
    before = passwords.verified
    answer = await person.call("POST", "/session", {"name": "root", "password": "é" * 600})
    assert (answer.status, passwords.verified - before) == (401, 0)


async def test_a_link_lets_somebody_in_at_once_who_has_tried_in_vain(
    consoles: list[RunningConsole], person: Browser
) -> None:
    await tries([person], "root", OF_NAME[0].failures_max + 1)
    link = (await consoles[0].client.call("POST", "/logins/root/link")).body
    body = {"token": token_of(link), "password": PASSWORD + "!"}
    assert (await person.call("POST", "/password-resets/finish", body)).status == 200
    person.csrf = ""
    assert (await person.sign_in("root", PASSWORD + "!")).status == 200


async def test_links_are_not_guessed(consoles: list[RunningConsole], person: Browser) -> None:
    statuses = []
    for number in range(OF_NETWORK[0].failures_max + 2):
        body = {"token": f"{number:043}", "password": PASSWORD}
        statuses.append((await person.call("POST", "/password-resets/finish", body)).status)
    assert statuses == [404] * OF_NETWORK[0].failures_max + [429] * 2


async def test_people_of_one_network_do_not_wait_for_each_other_in_a_circle(database: Database) -> None:
    counters = sorted(bounds(Guess.PASSWORD, "root", "192.0.2.1", b"pepper"))
    row = "select from sign_in_failures where subject = $1 for update nowait"
    async with database.connection() as connection, database.connection() as giver:
        # In the table they lie from the last to the first, and are read as they lie.
        for counter in reversed(counters):
            await guesses.count(connection, [counter], NOW_S)
        await giver.execute("set enable_indexscan = off; set enable_bitmapscan = off")

        async def waits() -> bool:
            return bool(
                await connection.fetchval(
                    "select exists (select from pg_stat_activity where wait_event_type = 'Lock'"
                    " and datname = current_database())"
                )
            )

        async with connection.transaction():
            await connection.execute(row, counters[0].subject)
            giving = TaskSet().spawn(guesses.give_back(giver, counters, NOW_S), name="giver")
            await eventually(waits, within_s=5, what="the one that waits")
            # Who waits for the first one holds none of those that come behind it.
            await connection.execute(row, counters[-1].subject)
        await giving
        assert await connection.fetchval("select sum(failures) from sign_in_failures") == 0


async def test_counts_that_bound_nothing_are_forgotten(
    consoles: list[RunningConsole], person: Browser, database: Database
) -> None:
    await tries([person], "root", 1)
    async with database.connection() as connection:
        await connection.execute("update sign_in_failures set window_at = now() - interval '3 days'")
        await consoles[0].console._upkeep.once()
        assert await connection.fetchval("select count(*) from sign_in_failures") == 0
