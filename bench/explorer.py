"""Measures how quickly the usage explorer answers over millions of attempts. Called by `bench.__main__`.

Each question is asked of the console over HTTP, as a browser does, with other accounts each time where it is of one.
"""

import asyncio
import datetime as dt
import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple
from urllib.parse import urlencode

import aiohttp
import msgspec

from bench.explorer_fill import RARE_MODEL, RARE_OUTCOME, Filled, fill
from bench.figures import percentile
from bench.stack import Home
from trunkline.dev.ready import ReadyFile
from trunkline.policy.admin_api import PREFIX
from trunkline.store.database import single_connection

ROWS: Final = 10_000_000
DAYS: Final = 90
QUICK_ROWS: Final = 200_000
QUICK_DAYS: Final = 9

ASKED: Final = 20
"""Times that each question is asked."""

AIM_MS: Final = 300.0
"""Most that an answer may take."""

ANSWER_TIMEOUT_S: Final = 60.0

Say = Callable[[str], None]


class ExplorerError(Exception):
    """It could not be measured; says why."""


class Answered(NamedTuple):
    """How long a question took, in milliseconds, each time that it was asked."""

    name: str
    took_ms: list[float]


class Explored(NamedTuple):
    """All figures.

    Attributes:
        rows, days: of usage.
        filled_s: how long it took to make them.
        sizes: of the tables, by name, in bytes.
        answers: see there.
    """

    rows: int
    days: int
    filled_s: float
    sizes: dict[str, int]
    answers: list[Answered]


def explore(home: Home, say: Say, *, quick: bool) -> Explored:
    """Fill a stack's database, and ask."""
    with home.stack() as stack:
        return asyncio.run(_explore(stack.ready, *((QUICK_ROWS, QUICK_DAYS) if quick else (ROWS, DAYS)), say))


async def _explore(ready: ReadyFile, rows: int, days: int, say: Say) -> Explored:
    now = dt.datetime.fromtimestamp(time.time(), dt.UTC)
    begun = time.monotonic()
    async with single_connection(ready.postgres_dsn, application="bench", command_timeout_s=60.0) as connection:
        filled = await fill(connection, rows, days, now, say)
        counted = await connection.fetchval("select count(*) from usage")
        sizes = await connection.fetch(
            "select regexp_replace(relname, '_\\d{8}$', '') as name, sum(pg_total_relation_size(oid))::bigint as bytes"
            " from pg_class where relname like 'usage%' and relkind = 'r' group by 1 order by 2 desc"
        )
    filled_s = time.monotonic() - begun
    say(f"{counted} rows after {filled_s:.0f} s")
    headers = {"authorization": f"Bearer {ready.admin_key}"}
    answers = []
    async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(ANSWER_TIMEOUT_S)) as http:
        for name, path, query in _questions(days, now):
            took_ms = []
            for number in range(ASKED):
                url = _url(ready.console_url, path, query, filled, number)
                asked = time.perf_counter()
                async with http.get(url) as response:
                    body = await response.read()
                took_ms.append((time.perf_counter() - asked) * 1000)
                if response.status != 200:
                    raise ExplorerError(f"{url}: {response.status} {body[:200].decode(errors='replace')}")
            answers.append(Answered(name, sorted(took_ms)))
            say(f"{name}: {percentile(answers[-1].took_ms, 0.5):.0f} ms")
    return Explored(counted, days, filled_s, {row["name"]: row["bytes"] for row in sizes}, answers)


Question = tuple[str, str, dict[str, str]]


def _questions(days: int, now: dt.datetime) -> Iterator[Question]:
    """Yield questions: a name, a path and a query; braces stand for an account and its key."""
    whole = {"since": (now - dt.timedelta(days=days)).isoformat()}
    hours = {"since": (now - dt.timedelta(days=1)).isoformat()}
    mine = "/accounts/{account}/usage"
    yield f"site, overview, {days} days", "/usage/overview", whole
    yield "site, overview, 24 hours", "/usage/overview", hours
    yield "site, overview of one model", "/usage/overview", {**whole, "model": "model-3"}
    yield "site, overview of errors", "/usage/overview", {**whole, "errors": "true"}
    for by in ("model", "channel", "account", "key", "user", "outcome"):
        yield f"site, by {by}", "/usage/breakdown", {**whole, "by": by}
    yield "site, keys with errors", "/usage/breakdown", {**whole, "by": "key", "errors": "true", "order": "errors"}
    yield "site, newest attempts", "/usage/attempts", whole
    yield "site, errors", "/usage/attempts", {**whole, "errors": "true"}
    yield "site, a rare model", "/usage/attempts", {**whole, "model": RARE_MODEL}
    yield "site, a rare outcome", "/usage/attempts", {**whole, "outcome": RARE_OUTCOME}
    yield "site, a rare outcome of a channel", "/usage/attempts", {**whole, "outcome": RARE_OUTCOME, "channel": "#5"}
    yield "site, what there is none of", "/usage/attempts", {**whole, "model": "none"}
    yield "site, a key's errors", "/usage/attempts", {**whole, "account": "{account}", "key": "{key}", "errors": "true"}
    yield f"account, overview, {days} days", f"{mine}/overview", whole
    yield "account, overview, 24 hours", f"{mine}/overview", hours
    yield "account, overview of one key", f"{mine}/overview", {**whole, "key": "{key}"}
    yield "account, by key", f"{mine}/breakdown", {**whole, "by": "key"}
    yield "account, by model, of one key", f"{mine}/breakdown", {**whole, "by": "model", "key": "{key}"}
    yield "account, newest attempts", f"{mine}/attempts", whole
    yield "account, errors", f"{mine}/attempts", {**whole, "errors": "true"}
    yield "account, a rare outcome", f"{mine}/attempts", {**whole, "outcome": RARE_OUTCOME}


def _url(console: str, path: str, query: dict[str, str], filled: Filled, number: int) -> str:
    names = {"account": filled.accounts[number], "key": filled.keys[number]}
    asked = urlencode({name: value.format(**names) for name, value in query.items()})
    return f"{console}{PREFIX}{path.format(**names)}?{asked}"


def text(found: Explored) -> str:
    """Return the figures as Markdown."""
    sizes = ", ".join(f"{name} {size / 1e6:,.0f} MB" for name, size in found.sizes.items())
    lines = ["| | p50 ms | p95 ms | most |", "| --- | --- | --- | --- |"]
    for answered in found.answers:
        shares = (percentile(answered.took_ms, share) for share in (0.5, 0.95, 1.0))
        lines.append(f"| {answered.name} | " + " | ".join(f"{share:.0f}" for share in shares) + " |")
    slow = [answered.name for answered in found.answers if percentile(answered.took_ms, 0.95) > AIM_MS]
    verdict = f"All within {AIM_MS:.0f} ms." if not slow else f"Over {AIM_MS:.0f} ms: {', '.join(slow)}."
    return "\n".join(
        [
            f"{found.rows:,} attempts over {found.days} days, made in {found.filled_s:.0f} s. {sizes}.",
            "",
            *lines,
            "",
            verdict,
        ]
    )


def as_json(found: Explored) -> bytes:
    """Return the figures as JSON."""
    return msgspec.json.format(msgspec.json.encode(found._asdict())) + b"\n"
