"""What planning the first attempt of a job costs, by strategy and number of channels. Called by `bench.__main__`.

In this process, with everything known of every channel, which is the dearest case. CPU time, the median of rounds.
"""

import random
import statistics
import time
from collections.abc import Iterator
from typing import NamedTuple

from trunkline.bus.snapshots import ChannelSnapshot, SealedCredential, Strategy
from trunkline.core.hashing import mix64
from trunkline.policy.credentials import CredentialStates
from trunkline.policy.routing import RoutingTable

SIZES = (1, 3, 8, 100, 1000)
ROUNDS = 9
PLANS = 2000
"""In a round, some 20 ms: little enough for most rounds not to be disturbed."""

AIM_US = 20.0
"""Most that a plan may cost, whatever the strategy, over a thousand channels."""

_MODEL = "model"


class PlanCost(NamedTuple):
    """One row: µs for a job, and for one of a conversation."""

    channels: int
    strategy: Strategy
    job_us: float
    conversation_us: float


def table(channels: int) -> RoutingTable:
    """Return a table of channels that have all been asked."""
    made, draw = RoutingTable(), random.Random(channels).random
    for number in range(1, channels + 1):
        made.put(
            ChannelSnapshot(
                id=number,
                name=f"channel-{number}",
                dialect="openai",
                base_url="http://127.0.0.1:1/v1",
                credentials=(SealedCredential(number, 1, b"", b""),),
                models={_MODEL: _MODEL},
                costs={_MODEL: number % 3},
            )
        )
        underway = made.figures.begin(number, _MODEL)
        underway.first_output(draw(), 0.0)
        underway.streamed(100, draw(), 0.0)
        underway.judged(failed=draw() < 0.1, now=0.0)
        underway.end()
    return made


def costs() -> Iterator[PlanCost]:
    """Measure all of them."""
    for size in SIZES:
        made = table(size)
        for strategy in Strategy:
            yield PlanCost(size, strategy, _median_us(made, strategy, 0), _median_us(made, strategy, 1))


def _median_us(made: RoutingTable, strategy: Strategy, conversation: int) -> float:
    """Return the median of the rounds; ``conversation`` is 1 for a conversation of its own for each plan, else 0."""
    states, draw = CredentialStates(), random.Random(1).random
    rounds = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        for number in range(1, PLANS + 1):
            affinity = mix64(number) * conversation
            plan = made.plan(_MODEL, ("default",), states, draw, affinity, strategy=strategy, now=0.0)
            if plan.next(0.0) is None:
                raise AssertionError("a plan over channels that serve has nobody")
        rounds.append((time.process_time() - begun) / PLANS * 1e6)
    return statistics.median(rounds)


def text(found: list[PlanCost]) -> str:
    """Return the figures as a Markdown table."""
    head = " | ".join(f"{strategy.value} | c" for strategy in Strategy)
    lines = [f"| channels | {head} |", "| --- |" + " --- |" * (2 * len(Strategy))]
    for size in SIZES:
        row = [cost for cost in found if cost.channels == size]
        cells = " | ".join(f"{cost.job_us:.1f} | {cost.conversation_us:.1f}" for cost in row)
        lines.append(f"| {size:,} | {cells} |")
    worst = max(max(cost.job_us, cost.conversation_us) for cost in found)
    return "\n".join([*lines, "", f"µs; at most {worst:.1f}, the aim is {AIM_US:g}."])
