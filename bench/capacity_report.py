"""Plans a fleet for the load that docs/operating/capacity.md works through, and says what it is made of.

The plan and the simulation need each other's results: how many edges there are decides how often leases are renewed,
which decides how many processes settle. Two rounds are enough for the numbers to stand still. Called by
`bench.__main__`.
"""

from typing import Final, NamedTuple

from bench.capacity import NODE_CORES, UTILISATION, Costs, Kind, Pace, Plan, bytes_per_s, plan, published
from bench.capacity_fleet import Fleet, Seen, simulate

ACCOUNTS: Final = 5000
STREAMED: Final = 0.5
"""Share of the requests for text that ask for a stream."""

OUTPUT_SHARE: Final = 0.5
"""Of the tokens of a request, those of its answer."""

PACE: Final = Pace(first_token_s=0.5, tokens_per_s=50.0)
STICKY: Final = 2
"""Edges that an account is sent to where the load balancer knows accounts."""

SECONDS: Final = 20.0
WARM_S: Final = 8.0
"""Longer than nearly every answer takes, so that as many end as begin."""

QUICK_SECONDS: Final = 1.0
QUICK_WARM_S: Final = 0.5

ROUNDS: Final = 2


class Planned(NamedTuple):
    """A plan, and the fleet that it is for under its load.

    Attributes:
        plan, seen: see there.
        sticky: the same where the load balancer sends an account to a few edges only.
    """

    plan: Plan
    seen: Seen
    sticky: Seen


def work_out(costs: Costs, *, seed: int, quick: bool) -> Planned:
    """Plan for the published table of a service, and simulate it."""
    kinds = published(streamed=STREAMED, output_share=OUTPUT_SHARE)
    found = plan(kinds, costs, PACE, draws_per_s=0.0, routed=0.0)
    for _ in range(ROUNDS):
        seen = _simulate(kinds, found, seed=seed, quick=quick)
        found = plan(kinds, costs, PACE, draws_per_s=seen.draws, routed=seen.routed)
    seen = _simulate(kinds, found, seed=seed, quick=quick)
    return Planned(found, seen, _simulate(kinds, found, seed=seed, quick=quick, sticky=STICKY))


def _simulate(kinds: list[Kind], found: Plan, *, seed: int, quick: bool, sticky: int = 0) -> Seen:
    fleet = Fleet(
        edges=found.processes["edge"],
        dispatchers=found.processes["dispatcher"],
        meterings=found.processes["metering"],
        nodes=found.nodes["nats"],
        accounts=ACCOUNTS,
        sticky=sticky,
    )
    seconds, warm_s = (QUICK_SECONDS, QUICK_WARM_S) if quick else (SECONDS, WARM_S)
    return simulate(kinds, fleet, PACE, seconds=seconds, warm_s=warm_s, seed=seed)


def text(planned: Planned) -> str:
    """Return both as Markdown."""
    found, seen = planned.plan, planned.seen
    load = f"{found.requests_per_s:,.0f} requests/s, {found.chunks_per_s:,.0f} streamed chunks/s"
    lines = [
        f"{load}, {found.in_flight:,.0f} jobs at a time; at most {UTILISATION:.0%} of each core.",
        "",
        "| | cores used | planned | memory |",
        "| --- | --- | --- | --- |",
    ]
    for role, cores in found.cores.items():
        planned_as = (
            f"{found.processes[role]} processes"
            if role in found.processes
            else f"{found.nodes[role]} nodes of {NODE_CORES} cores"
        )
        memory = f"{found.memory_gib[role]:.1f} GiB" if role in found.memory_gib else ""
        lines.append(f"| {role} | {cores:.1f} | {planned_as} | {memory} |")
    lines += ["", "| simulated, a second | | |", "| --- | --- | --- |"]
    rows = [
        ("jobs at a time, the most", f"{seen.in_flight:,}", ""),
        ("messages in and out at a NATS node, mean and largest", *(f"{value:,.0f}" for value in seen.node_messages)),
        ("megabytes there", *(f"{value / 1e6:,.0f}" for value in seen.node_bytes)),
        ("messages from node to node", f"{seen.routed:.0%}", ""),
        ("messages that beats become", f"{seen.beats:,.0f}", ""),
        ("usage batches to JetStream", f"{seen.usage_messages:,.0f}", ""),
        ("reports of leases, and messages that hold them", f"{seen.draws:,.0f}", f"{seen.draw_messages:,.0f}"),
        (
            f"the same, if an account is sent to {STICKY} edges",
            f"{planned.sticky.draws:,.0f}",
            f"{planned.sticky.draw_messages:,.0f}",
        ),
        ("usage rows", f"{seen.requests:,.0f}", ""),
    ]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    written = bytes_per_s(found.requests_per_s)
    lines += [
        "",
        "Postgres grows by "
        + ", ".join(
            f"{size / 1e6:.1f} MB/s ({size * 86_400 / 1e12:.2f} TB a day) of {name}" for name, size in written.items()
        )
        + ", if the load never ebbs.",
    ]
    return "\n".join(lines)
