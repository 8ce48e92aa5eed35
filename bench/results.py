"""What is measured, as data: the body of the JSON report, and what `bench.report` prints."""

import msgspec

from bench.figures import merged

PROMISED_ROLES = ("edge", "nats", "dispatcher", "metering", "postgres")
"""What P7 of the design sums over."""

GATEWAY_ROLES = (*PROMISED_ROLES, "health", "console")


class RoleCost(msgspec.Struct, frozen=True):
    """CPU of a role per unit of work, less what it uses when idle.

    Attributes:
        us: microseconds.
        kernel: share of it that the kernel used, 0 to 1.
    """

    us: float
    kernel: float


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """CPU of a kind of work.

    Attributes:
        name: of the work.
        unit: of which there were `units`.
        per_s: units per second while it was measured.
        roles: of the gateway; the demo upstream is in `upstream_us`.
        promised_us: summed over `PROMISED_ROLES`.
        all_us: summed over `GATEWAY_ROLES`.
        upstream_us: the upstream behind the gateway.
        direct_upstream_us: the same upstream called directly.
        generator_us: the load generator, when it calls the gateway.
        others: CPU seconds per second of the machine's other processes meanwhile: what disturbs.
        slowed: how much slower the machine was than at its best, measured by `bench.speed`.
        failures: requests by reason.
    """

    name: str
    unit: str
    units: int
    per_s: float = 0.0
    roles: dict[str, RoleCost] = {}
    promised_us: float = 0.0
    all_us: float = 0.0
    upstream_us: float = 0.0
    direct_upstream_us: float = 0.0
    generator_us: float = 0.0
    others: float = 0.0
    slowed: float = 0.0
    failures: dict[str, int] = {}


class Target(msgspec.Struct, frozen=True):
    """One side of a comparison; medians over the rounds."""

    p50_us: float
    p99_us: float
    per_s: float


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Latency of a pattern of requests, of the gateway and of the upstream called directly.

    Attributes:
        name: of the pattern.
        what: time to the whole answer, or to its first byte.
        late_p99_us: how late the generator's own timers were (open pace).
        others, slowed: as in `Work`.
        failures: requests by reason, of both sides.
    """

    name: str
    what: str
    gateway: Target
    direct: Target
    late_p99_us: float
    others: float
    slowed: float
    failures: dict[str, int]

    @property
    def added_p50_us(self) -> float:
        """What the gateway adds to the median."""
        return self.gateway.p50_us - self.direct.p50_us

    @property
    def added_p99_us(self) -> float:
        """What the gateway adds to the 99th percentile."""
        return self.gateway.p99_us - self.direct.p99_us


class RoleMemory(msgspec.Struct, frozen=True):
    """Memory of a role: bytes before, and more per stream with the streams open."""

    base_pss: int
    stream_rss: float
    stream_pss: float


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """Streams open at the same time.

    Attributes:
        streams: how many were asked for; `open` is how many were open at the least while it was measured.
        pace_s: between two chunks of a stream.
        roles: memory of each.
        work: CPU per chunk while all were open.
        gap_p50_us, gap_p99_us, gap_max_us: over the streams, the longest silence within each.
        stalled: some stream was silent for more than three times the pace.
        failures: streams by reason.
    """

    streams: int
    open: int
    pace_s: float
    roles: dict[str, RoleMemory]
    work: Work
    gap_p50_us: float
    gap_p99_us: float
    gap_max_us: float
    stalled: bool
    failures: dict[str, int]


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """Cost of a plain request in a system of some size.

    Attributes:
        keys, channels: in Postgres and in KV.
        keys_used: that requests took in turn.
        serving: of the channels, how many serve the model that is asked for.
        projected_s: how long its configuration took to get to KV.
        idle: CPU seconds per second of the gateway without a request.
        work: see there.
        p50_us: latency at one connection.
    """

    keys: int
    keys_used: int
    channels: int
    serving: int
    projected_s: float
    idle: float
    work: Work
    p50_us: float


class Money(msgspec.Struct, frozen=True, kw_only=True):
    """What settlement and allowances cost.

    Attributes:
        events, draws: how many.
        events_per_s, draws_per_s: settled and decided.
        event_roles, draw_roles: CPU of each.
        draw_p50_us, draw_p99_us: from question to answer, under that load; draw_alone_us: the median of one at a time.
    """

    events: int
    events_per_s: float
    event_roles: dict[str, RoleCost]
    draws: int
    draws_per_s: float
    draw_p50_us: float
    draw_p99_us: float
    draw_alone_us: float
    draw_roles: dict[str, RoleCost]


class Translation(msgspec.Struct, frozen=True, kw_only=True):
    """CPU of a client's dialect over an upstream's; where they are the same, of the way without translation.

    Attributes:
        request_us: of a request and its whole answer: the median of the rounds; `request_best_us`: of the best one.
        chunk_us: of a chunk of a stream, its opening and end shared out; `chunk_best_us` as above.
    """

    client: str
    upstream: str
    request_us: float
    request_best_us: float
    chunk_us: float
    chunk_best_us: float


class Translations(msgspec.Struct, frozen=True, kw_only=True):
    """All pairs of dialects.

    Attributes:
        rounds: in which each was measured.
        slowed: see `Work`.
    """

    pairs: list[Translation]
    rounds: int
    slowed: float


class Machine(msgspec.Struct, frozen=True):
    """Where it was measured."""

    cpu: str
    cores: int
    kernel: str
    python: str
    load_before: float


class Report(msgspec.Struct, kw_only=True):
    """All of a run; a part that was not asked for is empty.

    Attributes:
        date: in UTC.
        commit: of the source, with ``+`` if there are changes.
        warm_failures: requests that failed while nothing was measured, by reason.
        first_start_s: seconds to ready with an empty data folder.
        starts_s: with the data of an earlier run.
    """

    date: str
    commit: str
    machine: Machine
    quick: bool
    works: list[Work] = []
    latencies: list[Latency] = []
    held: list[Held] = []
    scales: list[Scale] = []
    translations: Translations | None = None
    money: Money | None = None
    warm_failures: dict[str, int] = {}
    first_start_s: float = 0.0
    starts_s: list[float] = []

    def failures(self) -> dict[str, int]:
        """Return all failures by reason."""
        works = [*self.works, *(scale.work for scale in self.scales)]
        return merged(
            self.warm_failures,
            *(work.failures for work in works),
            *(latency.failures for latency in self.latencies),
            *(held.failures for held in self.held),
        )
