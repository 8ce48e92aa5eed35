"""What must be true after a run, whatever went wrong in it: the promises that clients, owners and operators have.

Each function returns what it has found against one promise, as sentences; an empty list is a good end.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from tests.chaos.load import INPUT_NANO, OUTPUT_NANO, POOR, POOR_USD, RICH, RICH_USD, Leaving
from tests.support.chat_client import Ending, Outcome, endings
from trunkline.core.money import NANO_PER_USD
from trunkline.dev.demo.counts import Abort, Counts, ModelUsage
from trunkline.store import ledger
from trunkline.store.database import Connection

CLOSED_WITHIN_MS = 1000
"""An upstream's connection, after its client has left (P4)."""

CLOSED_MEANWHILE_MAX = 3
"""Answers of a run that an upstream had sent when the gateway closed their call, since client or offer was gone. None
to three of some thousand were seen; docs/failure-modes.md has it as an open limit."""

SHOWN_MAX = 3

_CHARGED = """
    select job::text, count(*) as charges, sum(input)::bigint as input, sum(output)::bigint as output,
           sum(charge_nano)::bigint as charge_nano
    from usage where charge_nano > 0 group by job
"""

_ACCOUNTS = """
    select name, id, (select coalesce(sum(charge_nano), 0)::bigint from usage where account_id = accounts.id) as charged
    from accounts
"""


class Quiet(NamedTuple):
    """A time without trouble, in monotonic seconds."""

    from_s: float
    to_s: float

    def has(self, outcome: Outcome) -> bool:
        """Return whether a request lay in it from its start to its end."""
        return self.from_s <= outcome.began and outcome.began + outcome.seconds <= self.to_s


def improper_ends(outcomes: Sequence[Outcome], allowed: frozenset[Ending]) -> list[str]:
    """P1: every request ends once, with a full answer or an error in its dialect."""
    wrong = [outcome for outcome in outcomes if outcome.ending not in allowed]
    return [f"P1: {len(wrong)} requests ended wrongly, such as {wrong[:SHOWN_MAX]}"] if wrong else []


def failures_in_quiet(outcomes: Sequence[Outcome], quiet: Sequence[Quiet]) -> list[str]:
    """Without trouble, and once all processes say that they are ready, no request fails by us."""
    expected = {"upstream_cut", "insufficient_quota"}
    wrong = [
        outcome
        for outcome in outcomes
        if outcome.ending in {Ending.REFUSED, Ending.IN_BAND}
        and outcome.code not in expected
        and any(window.has(outcome) for window in quiet)
    ]
    return [f"{len(wrong)} requests failed without trouble: {endings(wrong)}; {wrong[:SHOWN_MAX]}"] if wrong else []


def late_closings(leavings: Sequence[Leaving], aborts: Sequence[Abort], quiet: Sequence[Quiet]) -> list[str]:
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
        in_vain: requests that were refused and charged all the same while something was wrong: their answers were made,
            and lost on their way to the edge. docs/failure-modes.md has it as an open limit.
    """

    found: list[str]
    in_vain: int


async def judge_charges(connection: Connection, outcomes: Sequence[Outcome], quiet: Sequence[Quiet]) -> Charges:
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
    tokens = outcome.usage["prompt_tokens"], outcome.usage["completion_tokens"]
    owed = tokens[0] * INPUT_NANO + tokens[1] * OUTPUT_NANO
    return "" if (row["input"], row["output"], row["charge_nano"]) == (*tokens, owed) else "charged wrongly"


async def wrong_books(connection: Connection) -> list[str]:
    """P2 and P3: the ledger agrees with itself, and nobody has spent more than they had."""
    found = [f"P2: balances are wrong: {wrong}" for wrong in await ledger.verify(connection)]
    for row in await connection.fetch(_ACCOUNTS):
        credit = {RICH: RICH_USD, POOR: POOR_USD}.get(row["name"])
        if credit is None:
            continue
        credit_nano = round(credit * NANO_PER_USD)
        left = await ledger.balance(connection, row["id"])
        if left != credit_nano - row["charged"]:
            found.append(f"P2: {row['name']} has {left}, but {credit_nano} - {row['charged']} are owed")
        if left < 0:
            found.append(f"P3: {row['name']} has overspent by {-left} nano-USD")
    return found


def wrong_sums(booked: Mapping[str, ModelUsage], counts: Counts) -> list[str]:
    """P2 for the operator: the ledger has what the upstream has reported, to the token.

    But for a few answers that only the upstream knows: made in the instant in which the gateway closed their void call.
    """
    for model in booked.keys() | counts.reported.keys():
        has, reported = (by_model.get(model, ModelUsage()) for by_model in (booked, counts.reported))
        missing = reported.answers - has.answers
        fields = msgspec.structs.asdict(reported)
        differs = {name: fields[name] - getattr(has, name) for name in fields}
        if missing > CLOSED_MEANWHILE_MAX or min(differs.values()) < 0 or (not missing and any(differs.values())):
            return [f"P2: the ledger has {booked}, the upstream has {counts.reported}"]
    return []
