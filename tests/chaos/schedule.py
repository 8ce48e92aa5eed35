"""What goes wrong when, drawn from a seed: the same seed, the same faults in the same order.

A fault's victim is a number here; `faults` turns it into a host, since who leads a stream is only known then.
"""

import dataclasses
import random
from collections.abc import Sequence
from enum import StrEnum


class Kind(StrEnum):
    """What can go wrong."""

    BROKER_CUT = "an edge or a dispatcher is cut off from the brokers that it is connected to, but not from all"
    DISPATCHER_CUT = "a dispatcher is cut off from all brokers"
    METERING_CUT = "all of metering is cut off from Postgres"
    BROKERS_SPLIT = "the broker that leads the stream of usage is cut off from the other brokers"
    DEAF = "a process does not hear the brokers, but they hear it"
    DUMB = "the brokers do not hear a process, but it hears them"
    SLOW = "every packet from or to a broker takes 200 ms"
    LOSSY = "every twentieth packet from or to a broker is lost"
    BROKER_KILLED = "the broker that leads the stream of usage is killed"
    POSTGRES_KILLED = "Postgres is killed"
    ROLLING = "every service is restarted, one after the other"
    BROKER_DISK = "a broker's disk is full"
    SPOOL_DISK = "the disks for usage of all edges and dispatchers are full, and no broker is reached"
    POSTGRES_DISK = "Postgres's disk is full"
    CLOCK = "a service's wall clock jumps"
    POSTGRES_CLOCK = "Postgres's wall clock jumps"
    BROKER_CLOCK = "a broker's wall clock jumps"
    SERVICE_KILLED = "a service is killed"


GENTLE = tuple(kind for kind in Kind if kind is not Kind.SERVICE_KILLED)
"""No usage is lost with these, so that the books have to agree with the upstream to the token."""

CLOCKS = frozenset({Kind.CLOCK, Kind.POSTGRES_CLOCK, Kind.BROKER_CLOCK})
"""They set a clock wrong, and take nothing away."""

OUTER_CLOCKS = frozenset({Kind.POSTGRES_CLOCK, Kind.BROKER_CLOCK})
"""Clocks of programs that are not ours: see `tests.support.network_clocks` for where they can be set."""

UNNOTICED = CLOCKS | {Kind.ROLLING}
"""No request may fail by these."""

SHORT_S = (4.0, 9.0)
"""Over before anybody takes a connection for dead: what was sent then arrives late."""

LONG_S = (26.0, 32.0)
"""Long enough for both sides to find out: two pings without an answer, of ten seconds each."""

LONG_SHARE = 0.3
NEVER_LONG = frozenset({Kind.ROLLING, Kind.BROKER_KILLED, Kind.POSTGRES_KILLED, Kind.SERVICE_KILLED})

PAUSE_S = (4.0, 6.0)
"""Between the recovery from one fault and the next one."""

CLOCK_AHEAD_S = (-7200, -90, -2, 2, 90, 7200)
"""By so much a clock may be wrong."""


@dataclasses.dataclass(frozen=True)
class Step:
    """One fault.

    Attributes:
        victim: any number; which host it means depends on how many there are.
        seconds: that it lasts.
        pause_s: after the recovery from it.
        ahead_s: of a clock, in whole seconds.
    """

    kind: Kind
    victim: int
    seconds: float
    pause_s: float
    ahead_s: int = 0

    def __str__(self) -> str:
        what = f"{self.kind.name} #{self.victim} {self.seconds:.1f} s"
        return f"{what}, {self.ahead_s:+d} s" if self.ahead_s else what


def draw_schedule(seed: int, duration_s: float, kinds: Sequence[Kind], *, long_share: float = LONG_SHARE) -> list[Step]:
    """Return faults for so many seconds, recoveries not counted; each kind comes once before any comes again.

    Args:
        seed: decides all of it.
        duration_s: of all faults together.
        kinds: to draw from.
        long_share: of those that may last long.
    """
    draw = random.Random(seed)
    steps: list[Step] = []
    left_s, round_ = duration_s, list[Kind]()
    while left_s > 0:
        if not round_:
            round_ = draw.sample(kinds, len(kinds))
        kind = round_.pop()
        long = kind not in NEVER_LONG and draw.random() < long_share
        step = Step(
            kind=kind,
            victim=draw.randrange(1000),
            seconds=draw.uniform(*(LONG_S if long else SHORT_S)),
            pause_s=draw.uniform(*PAUSE_S),
            ahead_s=draw.choice(CLOCK_AHEAD_S) if kind in CLOCKS else 0,
        )
        steps.append(step)
        left_s -= step.seconds + step.pause_s
    return steps
