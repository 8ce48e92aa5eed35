"""What must be true after a run, whatever went wrong in it: the promises that clients, owners and operators have.

Each function returns what it has found against one promise, as sentences; an empty list is a good end.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tests.chaos.load import CREDIT_USD, INPUT_NANO, OUTPUT_NANO, Leaving
from tests.support.chat_client import Ending, Outcome, endings
from tests.support.network_cluster import EDGES
from trunkline.core.money import NANO_PER_USD
from trunkline.dev.demo.counts import Abort, Answer, Counts
from trunkline.store import ledger
from trunkline.store.database import Connection
from trunkline.store.ledger import Book

CLOSED_WITHIN_MS = 1000
"""An upstream's connection, after its client has left (P4)."""

MINUTE_S = 60.0

MINTS_BEFORE_S = 1.0
"""For so long before a question that is not answered an edge's share of a limit grows all the same."""

SHOWN_MAX = 3

_CHARGED = """
    select job::text, count(*) as charges, sum(input)::bigint as input, sum(output)::bigint as output,
           sum(charge_nano)::bigint as charge_nano
    from usage where charge_nano > 0 and job not in (select corrects_job from transfers where kind = 'refund')
    group by job
"""
"""But for what was given back."""

_REPORTED = """
    select split_part(upstream_model, '?', 1) as model, input, output, cache_read, count(*) as answers
    from usage where not counted group by 1, 2, 3, 4
"""

_ACCOUNTS = f"""
    select name, id,
           (select coalesce(sum(charge_nano), 0)::bigint from usage where account_id = accounts.id)
           - (select coalesce(sum(amount_nano), 0)::bigint from transfers
              where kind = 'refund' and credit = accounts.id * 8 + {Book.WALLET:d}) as charged
    from accounts
"""  # noqa: S608 - a constant


class Span(NamedTuple):
    """A time, in monotonic seconds."""

    from_s: float
    to_s: float

    def has(self, outcome: Outcome) -> bool:
        """Return whether a request lay in it from its start to its end."""
        return self.from_s <= outcome.began and outcome.began + outcome.seconds <= self.to_s

    def meets(self, outcome: Outcome) -> bool:
        """Return whether some of a request lay in it."""
        return self.from_s <= outcome.began + outcome.seconds and outcome.began <= self.to_s

    def shared_s(self, other: "Span") -> float:
        """Return how much of it another one has."""
        return max(min(self.to_s, other.to_s) - max(self.from_s, other.from_s), 0.0)


def improper_ends(outcomes: Sequence[Outcome], allowed: frozenset[Ending]) -> list[str]:
    """P1: every request ends once, with a full answer or an error in its dialect."""
    wrong = [outcome for outcome in outcomes if outcome.ending not in allowed]
    return [f"P1: {len(wrong)} requests ended wrongly, such as {wrong[:SHOWN_MAX]}"] if wrong else []


def failures_in_quiet(outcomes: Sequence[Outcome], quiet: Sequence[Span], expected: frozenset[str]) -> list[str]:
    """Without trouble, and once all processes say that they are ready, no request fails by us.

    Args:
        outcomes: of one account.
        quiet: times without trouble.
        expected: codes of errors that are not ours.
    """
    wrong = [
        outcome
        for outcome in outcomes
        if outcome.ending in {Ending.REFUSED, Ending.IN_BAND}
        and outcome.code not in expected
        and any(window.has(outcome) for window in quiet)
    ]
    return [f"{len(wrong)} requests failed without trouble: {endings(wrong)}; {wrong[:SHOWN_MAX]}"] if wrong else []


def late_closings(leavings: Sequence[Leaving], aborts: Sequence[Abort], quiet: Sequence[Span]) -> list[str]:
    """P4: who leaves while nothing is wrong has his upstream's connection closed within a second."""
    seen = {abort.tag: abort.at_ms for abort in aborts}
    wrong = []
    for leaving in leavings:
        if not any(window.from_s <= leaving.at_s <= window.to_s - CLOSED_WITHIN_MS / 1000 for window in quiet):
            continue
        at_ms = seen.get(leaving.tag)
        if at_ms is not None and at_ms - leaving.at_ms > CLOSED_WITHIN_MS:
            wrong.append(f"{leaving.tag} after {at_ms - leaving.at_ms} ms")
    return [f"P4: {len(wrong)} upstream calls were closed late: {wrong[:SHOWN_MAX]}"] if wrong else []


class Charges(NamedTuple):
    """What was charged, against what clients got.

    Attributes:
        found: against P2.
        in_vain: requests that were refused, charged while something was wrong, and not refunded: their answers were
            made, and lost on their way to the edge. docs/failure-modes.md says when that is left.
    """

    found: list[str]
    in_vain: int


async def judge_charges(connection: Connection, outcomes: Sequence[Outcome], quiet: Sequence[Span]) -> Charges:
    """P2 for clients: what they got is charged once and as it was reported; what they did not get is not charged."""
    charged = {row["job"]: row for row in await connection.fetch(_CHARGED)}
    wrong: dict[str, list[str]] = {}
    in_vain = 0
    for outcome in outcomes:
        job = outcome.headers.get("x-request-id", "")
        row = charged.get(job)
        if row is not None and row["charges"] > 1:
            wrong.setdefault("charged twice", []).append(job)
        elif row is not None and outcome.ending is Ending.REFUSED:
            if any(window.has(outcome) for window in quiet):
                wrong.setdefault("charged, although they were refused", []).append(job)
            else:
                in_vain += 1
        elif what := _wrong_charge(outcome, row):
            wrong.setdefault(what, []).append(job)
    return Charges(
        [f"P2: {len(jobs)} answers were {what}: {jobs[:SHOWN_MAX]}" for what, jobs in wrong.items()], in_vain
    )


def _wrong_charge(outcome: Outcome, row: Mapping[str, Any] | None) -> str:
    if outcome.ending is not Ending.WHOLE:
        return ""
    if row is None:
        return "not charged"
    if outcome.usage is None:
        return ""
    cached = (outcome.usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    tokens = outcome.usage["prompt_tokens"] - cached, outcome.usage["completion_tokens"]
    owed = tokens[0] * INPUT_NANO + tokens[1] * OUTPUT_NANO
    return "" if (row["input"], row["output"], row["charge_nano"]) == (*tokens, owed) else "charged wrongly"


async def wrong_books(connection: Connection) -> list[str]:
    """P2 and P3: the ledger agrees with itself, and nobody has spent more than they had."""
    found = [f"P2: balances are wrong: {wrong}" for wrong in await ledger.verify(connection)]
    for row in await connection.fetch(_ACCOUNTS):
        credit = CREDIT_USD.get(row["name"])
        if credit is None:
            continue
        credit_nano = round(credit * NANO_PER_USD)
        left = await ledger.balance(connection, row["id"])
        if left != credit_nano - row["charged"]:
            found.append(f"P2: {row['name']} has {left}, but {credit_nano} - {row['charged']} are owed")
        if left < 0:
            found.append(f"P3: {row['name']} has overspent by {-left} nano-USD")
    return found


# --- each answer of the upstream --------------------------------------------------------------------------------------


class Told(NamedTuple):
    """What an upstream has reported of one answer; no two requests of a run have as many tokens from a cache."""

    model: str
    prompt: int
    completion: int
    cached: int


class Answers(NamedTuple):
    """The upstream's answers against the ledger's.

    Attributes:
        found: against P2.
        closed: that the ledger lacks, since the gateway closed their call in the instant in which they were made.
            docs/failure-modes.md has it as an open limit.
    """

    found: list[str]
    closed: int


async def booked_answers(connection: Connection) -> Counter[Told]:
    """Return what the ledger has of answers whose usage was reported."""
    rows = await connection.fetch(_REPORTED)
    return Counter({Told(row["model"], row["input"], row["output"], row["cache_read"]): row["answers"] for row in rows})


def judge_answers(booked: Counter[Told], answers: Sequence[Answer], counts: Counts, *, killed: bool) -> Answers:
    """P2 for the operator: the ledger has each answer that the upstream has reported, and no other.

    Args:
        booked: see `booked_answers`.
        answers: all that the upstream has reported.
        counts: its totals, which must agree with that.
        killed: services were: usage of the last moment may be lost with them.
    """
    reported = {model: usage.answers for model, usage in counts.reported.items()}
    if Counter(answer.model for answer in answers) != reported:
        return Answers([f"the upstream counts {reported}, but lists {len(answers)} answers"], 0)
    told: dict[Told, list[Answer]] = {}
    for answer in answers:
        usage = answer.usage
        told.setdefault(Told(answer.model, usage.prompt, usage.completion, usage.cached), []).append(answer)
    found, closed = [], 0
    if invented := booked - Counter({key: len(of_key) for key, of_key in told.items()}):
        found.append(f"P2: the ledger has {invented.total()} answers that nobody made: {_first(invented)}")
    lost = []
    for key, of_key in told.items():
        missing = len(of_key) - booked[key]
        # Of several that are alike, those whose call was closed are taken for the ones that are missing.
        of_closed = [answer for answer in of_key if _was_closed(answer)][: max(missing, 0)]
        closed += len(of_closed)
        if missing > len(of_closed):
            lost.append(of_key[-1].tag)
    if lost and not killed:
        found.append(f"P2: the ledger lacks answers of {len(lost)} kinds, such as those to {lost[:SHOWN_MAX]}")
    return Answers(found, closed)


def _was_closed(answer: Answer) -> bool:
    """Whether the gateway closed the call while the end of its answer was on the way."""
    return answer.closed_after_ms is not None and answer.closed_after_ms <= CLOSED_WITHIN_MS


def _first(counted: Iterable[object]) -> list[object]:
    return list(counted)[:SHOWN_MAX]


# --- limits by the minute ---------------------------------------------------------------------------------------------


class Limited(NamedTuple):
    """An account with a limit by the minute.

    Attributes:
        name: of the account.
        limit: units that a minute may have.
        amount: units of a request that was answered.
    """

    name: str
    limit: int
    amount: Callable[[Outcome], int]


def over_limits(
    limited: Limited, outcomes: Sequence[Outcome], troubles: Sequence[Span], forgotten: Sequence[Span]
) -> list[str]:
    """P3: no minute, wherever it begins, lets more through than the limit.

    What docs/allowances.md says comes on top: while edges cannot ask metering, each goes on at its share, which all
    together make the limit once over; and a crash of Postgres forgets what was granted just before.

    Only requests of which all lies in a minute are counted in it: their units were surely used then.

    Args:
        limited: whose limit.
        outcomes: of that account.
        troubles: when edges may have gone without metering.
        forgotten: when what was used may have been forgotten.
    """
    served = [outcome for outcome in outcomes if outcome.ending is Ending.WHOLE]
    found = []
    for minute, used in _minutes(limited, served):
        alone_s = sum(minute.shared_s(Span(each.from_s - MINTS_BEFORE_S, each.to_s)) for each in troubles)
        again = sum(
            limited.amount(outcome)
            for outcome in served
            if minute.has(outcome) and any(each.meets(outcome) for each in forgotten)
        )
        may = limited.limit * (1 + alone_s / MINUTE_S) + again
        if alone_s:
            may += len(EDGES)  # the fraction of a unit that each has left from an earlier time
        if used > may:
            found.append(f"{used} instead of {may:.0f} units, from {minute.from_s:.1f} s")
    return [f"P3: {limited.name} had too much in {len(found)} minutes: {found[:SHOWN_MAX]}"] if found else []


def busiest_minute(limited: Limited, outcomes: Sequence[Outcome]) -> int:
    """Return the most units that any minute has had."""
    served = [outcome for outcome in outcomes if outcome.ending is Ending.WHOLE]
    return max((used for _, used in _minutes(limited, served)), default=0)


def _minutes(limited: Limited, served: Sequence[Outcome]) -> Iterator[tuple[Span, int]]:
    """Yield the minute that begins with each request, and what it had."""
    for first in sorted(served, key=lambda outcome: outcome.began):
        minute = Span(first.began, first.began + MINUTE_S)
        yield minute, sum(limited.amount(outcome) for outcome in served if minute.has(outcome))
