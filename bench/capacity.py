"""How many processes and nodes a load needs, from what a request and a chunk were measured to cost. Pure.

The costs are those of a report of ``python -m bench measure`` (``--json``), or the ones that docs/performance.md has.
What a load does to the fleet beside that is simulated (`bench.capacity_fleet`). Called by `bench.capacity_report`.
"""

import math
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from bench.results import Report

UTILISATION: Final = 0.6
"""Of a core, at the load that is planned for: what is left takes bursts, a node that is lost, and a rolling restart."""

NODE_CORES: Final = 8
"""Of a broker's or database's machine in the plan; a service's process uses one core."""


class Costs(msgspec.Struct, frozen=True):
    """CPU microseconds by role, of one process each with 32 connections.

    Attributes:
        request: of a plain request.
        chunk: of a streamed chunk that is a message of its own, its stream's opening and end shared out over 100.
    """

    request: dict[str, float]
    chunk: dict[str, float]


MEASURED: Final = Costs(
    request={"edge": 71.2, "nats": 21.6, "dispatcher": 76.8, "metering": 15.2, "postgres": 20.8},
    chunk={"edge": 15.2, "nats": 12.3, "dispatcher": 14.0, "metering": 0.6, "postgres": 0.6},
)
"""docs/performance.md; of Postgres with what `usage_hours` added."""

STREAM_KIB: Final = {"edge": 6.2, "dispatcher": 13.8}
"""Memory of an open stream, from the same page."""

BASE_MIB: Final = {"edge": 60.0, "dispatcher": 90.0}
"""Of a process without streams."""

JOBS_MAX: Final = {"edge": 20_000, "dispatcher": 10_000}
"""Their settings' defaults."""

DRAW_US: Final = {"metering": 48.2, "postgres": 21.6, "nats": 12.6}
"""Of an account's report and grant: `python -m bench money`."""

ROW_BYTES: Final = {"usage": 352.0, "transfers": 276.0}
"""Of an attempt with its indexes, measured by settling 80,000: its metadata, which goes after `TRUNKLINE_USAGE_DAYS`,
and what it is in the ledger, which stays."""

WAL_BYTES: Final = 1040.0
"""Of Postgres's log for an attempt, measured with them."""

ROUTED: Final = 1.0
"""What it costs NATS to carry a message to another node of its own, as a share of taking and giving it at one: not
measured, so reckoned as the whole again."""


def costs_of(path: Path) -> Costs:
    """Read the costs from a report.

    Raises:
        ValueError: there is no such figure in it.
    """
    found = msgspec.json.decode(path.read_bytes(), type=Report)
    by_name = {work.name: {role: cost.us for role, cost in work.roles.items()} for work in found.works}
    try:
        return Costs(by_name["plain, 32 connections"], by_name["stream, 10 ms a chunk"])
    except KeyError as error:
        raise ValueError(f"{path} lacks {error}: write it with python -m bench --only plain,stream --json") from error


class Kind(NamedTuple):
    """Requests of one kind.

    Attributes:
        name: of the model.
        per_s: requests.
        output_tokens: of an answer.
        streamed: share of the requests.
    """

    name: str
    per_s: float
    output_tokens: float
    streamed: float


class Plan(NamedTuple):
    """What a load needs.

    Attributes:
        requests_per_s, chunks_per_s: of all kinds.
        in_flight: jobs at a time.
        cores: that each role uses.
        processes: of each service.
        nodes: of NATS and Postgres, of `NODE_CORES` cores each.
        memory_gib: of all edges and of all dispatchers.
    """

    requests_per_s: float
    chunks_per_s: float
    in_flight: float
    cores: dict[str, float]
    processes: dict[str, int]
    nodes: dict[str, int]
    memory_gib: dict[str, float]


def bytes_per_s(attempts_per_s: float) -> dict[str, float]:
    """Return what Postgres writes a second: what each table grows by, and its log."""
    return {
        **{name: attempts_per_s * size for name, size in ROW_BYTES.items()},
        "write-ahead log": attempts_per_s * WAL_BYTES,
    }


class Pace(NamedTuple):
    """How answers come.

    Attributes:
        first_token_s: until it begins.
        tokens_per_s: of an answer; in a stream each is a chunk.
    """

    first_token_s: float
    tokens_per_s: float

    def seconds(self, output_tokens: float) -> float:
        """Return how long an answer takes."""
        return self.first_token_s + output_tokens / self.tokens_per_s


def plan(kinds: list[Kind], costs: Costs, pace: Pace, *, draws_per_s: float, routed: float) -> Plan:
    """Return what a load needs.

    Args:
        kinds: of requests.
        costs: see there.
        pace: of answers.
        draws_per_s: reports of accounts' leases, from the simulation.
        routed: share of the messages that go from one node of NATS to another, from the simulation.
    """
    requests = sum(kind.per_s for kind in kinds)
    streams = sum(kind.per_s * kind.streamed for kind in kinds)
    chunks = sum(kind.per_s * kind.streamed * kind.output_tokens for kind in kinds)
    in_flight = sum(kind.per_s * pace.seconds(kind.output_tokens) for kind in kinds)
    cores = {
        role: (requests * costs.request[role] + chunks * costs.chunk[role] + draws_per_s * DRAW_US.get(role, 0.0)) / 1e6
        for role in costs.request
        if role in costs.chunk
    }
    cores["nats"] *= 1 + routed * ROUTED
    open_streams = in_flight * streams / requests
    processes = {
        role: max(math.ceil(cores[role] / UTILISATION), math.ceil(in_flight / (JOBS_MAX.get(role, 1e12) * UTILISATION)))
        for role in ("edge", "dispatcher", "metering")
    }
    return Plan(
        requests,
        chunks,
        in_flight,
        cores,
        processes,
        {role: math.ceil(cores[role] / (NODE_CORES * UTILISATION)) for role in ("nats", "postgres")},
        {
            role: (processes[role] * BASE_MIB[role] + open_streams * STREAM_KIB[role] / 1024) / 1024
            for role in ("edge", "dispatcher")
        },
    )


PUBLISHED: Final = (
    ("gpt-4o-mini", 820_000, 82_000_000, True),
    ("gpt-4o", 461_700, 76_950_000, True),
    ("gpt-4-turbo", 50_880, 8_480_000, True),
    ("gpt-4", 43_920, 7_320_000, True),
    ("gpt-4-turbo-preview", 50_880, 8_480_000, True),
    ("text-embedding-ada-002", 136_500, 22_750_000, False),
    ("text-embedding-3-small", 136_500, 22_750_000, False),
    ("text-embedding-3-large", 136_500, 22_750_000, False),
    ("gpt-3.5-turbo", 127_800, 21_180_000, True),
    ("gpt-3.5-turbo-instruct", 77_760, 12_960_000, True),
    ("dall-e-3", 318, 0, False),
    ("tts-1", 162, 0, False),
    ("whisper-1", 162, 0, False),
)
"""The capacity that 聚合AI publishes: requests and tokens a minute by model, and whether its answers are text."""


def published(*, streamed: float, output_share: float) -> list[Kind]:
    """Return that table as a load.

    Args:
        streamed: share of the requests for text.
        output_share: of the tokens, of requests for text.
    """
    return [
        Kind(
            name,
            requests / 60,
            tokens / requests * output_share if text else 0.0,
            streamed if text else 0.0,
        )
        for name, requests, tokens, text in PUBLISHED
    ]
