"""One run: a cluster, clients, the faults of a schedule one after the other, and what the judges say of it.

`python -m tests.chaos` and tests/e2e/test_network_chaos.py call it.
"""

import asyncio
import contextlib
import itertools
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import aiohttp

from tests.chaos import judge
from tests.chaos.faults import Faults
from tests.chaos.judge import Limited, Span
from tests.chaos.load import HASTY, HASTY_RPM, POOR, RICH, WORDY, WORDY_TPM, WORKERS, Clients
from tests.chaos.schedule import UNNOTICED, Kind, Step
from tests.support.books import assert_at_rest, ledger_connection
from tests.support.chat_client import PROPER, Ending, Load, Outcome, endings, load, session
from tests.support.network import Network, running_network
from tests.support.network_cluster import CLIENT, EDGES, HOSTS, NetworkCluster, running_cluster
from tests.support.waiting import eventually
from trunkline.runtime.clock import SystemClock
from trunkline.store.database import StoreError

FIRST_S = 5.0
"""Of requests before anything goes wrong."""

SERVES_WITHIN_S = 20.0
"""Each edge, from when all processes say that they are ready."""

CALM_AFTER_S = 3.0
"""From when all serve again until no request may fail: an edge asks metering anew some time after a lost question."""

STALLED_S_MAX = 10.0
"""A connection to Postgres that was cut for some seconds stands still for as long again, since TCP repeats ever more
rarely; metering gives it up when a statement has taken so long."""

EXPECTED = {
    RICH: frozenset({"upstream_cut"}),
    POOR: frozenset({"upstream_cut", "insufficient_quota"}),
    HASTY: frozenset({"upstream_cut", "rate_limit"}),
    WORDY: frozenset({"upstream_cut", "rate_limit"}),
}
"""Codes of errors that each account's requests may end with at any time."""

FORGOTTEN_S = 0.6
"""Of grants, by a crash of Postgres (docs/allowances.md)."""

USED_WITHIN_S = 1.0
"""After its grant a unit of a minute is used, or not at all (`limits.RATE_SLICE_MS`)."""

UNNOTICED_S = 0.1
"""Between two times that are quiet where nothing was to be noticed."""

CRASHES = frozenset({Kind.POSTGRES_KILLED, Kind.POSTGRES_DISK})
"""Faults that Postgres may crash by."""

EVIDENCE_TIMEOUT = aiohttp.ClientTimeout(total=2)
"""Of a process to show its metrics; it may hang."""

REST_TIMEOUT_S = 90.0
"""Usage in the hands of a process that was cut off is delivered to another one after 30 s, and again after that."""


class Run:
    """A run that is under way, and what is known of it.

    Args:
        cluster: it breaks this one.
        http: to its edges and ops ports.
        clients: send the requests.
        say: takes a line of what happens.
    """

    def __init__(self, cluster: NetworkCluster, http: aiohttp.ClientSession, clients: Clients, say: "Say") -> None:
        self._cluster = cluster
        self._http = http
        self._clients = clients
        self._say = say
        self._clock = SystemClock()
        self._quiet: list[Span] = []
        self._forgotten: list[Span] = []
        self._quiet_since = self._clock.now()

    async def go(self, steps: Sequence[Step]) -> list[str]:
        """Let it all happen; returns what was against a promise."""
        faults = Faults(self._cluster)
        async with load(self._clients.request, workers=WORKERS) as running:
            self._quiet_since = self._clock.now()
            await self._clock.sleep(FIRST_S)
            for step in steps:
                self._end_quiet()
                await self._bring_about(faults, step, running)
        self._end_quiet()
        await assert_at_rest(self._cluster, self._http, within_s=REST_TIMEOUT_S)
        return await self._judge(steps)

    def _end_quiet(self) -> None:
        """Something is about to happen. By what nobody is to notice, the quiet goes on."""
        from_s = self._quiet_since
        self._quiet_since = max(self._clock.now(), from_s)
        self._quiet.append(Span(from_s, self._quiet_since))

    async def _bring_about(self, faults: Faults, step: Step, running: Load) -> None:
        before = len(running.outcomes)
        self._say(f"{step}: {step.kind.value}")
        began_s = self._clock.now()
        await faults.run(step)
        over_s = self._clock.now()
        if step.kind in CRASHES:
            self._forgotten.append(Span(began_s - FORGOTTEN_S, over_s + USED_WITHIN_S))
        await self._cluster.all_ready()
        ready_s = self._clock.now()
        for edge in range(len(EDGES)):
            await self._serves(edge)
        if step.kind not in UNNOTICED:
            stalled_s = min(step.seconds, STALLED_S_MAX) if step.kind is Kind.METERING_CUT else 0.0
            self._quiet_since = max(self._clock.now(), over_s + stalled_s) + CALM_AFTER_S
        serves_s = self._clock.now()
        await self._clock.sleep(step.pause_s)
        self._say(
            f"    ready after {ready_s - over_s:.1f} s, serving after {serves_s - over_s:.1f} s; "
            f"meanwhile {dict(endings(running.outcomes[before:]))}"
        )

    async def _serves(self, edge: int) -> None:
        async def look() -> bool:
            return (await self._clients.probe(edge)).ending is Ending.WHOLE

        await eventually(look, within_s=SERVES_WITHIN_S, what=f"{EDGES[edge]} serves again")

    async def _judge(self, steps: Sequence[Step]) -> list[str]:
        by_account = self._clients.outcomes
        outcomes = [outcome for of_account in by_account.values() for outcome in of_account]
        killed = any(step.kind is Kind.SERVICE_KILLED for step in steps)
        allowed = PROPER | {Ending.LEFT} | ({Ending.CUT} if killed else set())
        counts, listed = await self._cluster.counts(self._http), await self._cluster.answers(self._http)
        found = judge.improper_ends(outcomes, allowed)
        for name, of_account in by_account.items():
            found += judge.failures_in_quiet(of_account, self._quiet, EXPECTED[name])
        found += judge.late_closings(self._clients.leavings, counts.aborts, self._quiet)
        found += self._over_limits()
        async with ledger_connection(self._cluster) as connection:
            charges = await judge.judge_charges(connection, outcomes, self._quiet)
            answers = judge.judge_answers(await judge.booked_answers(connection), listed, counts, killed=killed)
            found += charges.found + answers.found + await judge.wrong_books(connection)
        slowest = max(outcomes, key=lambda outcome: outcome.seconds)
        quiet_s = sum(window.to_s - window.from_s for window in self._quiet)
        self._say(
            f"{len(outcomes)} requests ended: {dict(endings(outcomes))}; the slowest after {slowest.seconds:.1f} s; "
            f"{quiet_s:.0f} s were quiet; {charges.in_vain} were charged in vain; "
            f"answers made while their call was closed: {answers.closed}"
        )
        return found

    def _over_limits(self) -> list[str]:
        troubles = [Span(before.to_s, after.from_s) for before, after in itertools.pairwise(self._quiet)]
        troubles = [trouble for trouble in troubles if trouble.to_s - trouble.from_s > UNNOTICED_S]
        found = []
        for limited in (Limited(HASTY, HASTY_RPM, _one), Limited(WORDY, WORDY_TPM, _tokens)):
            outcomes = self._clients.outcomes[limited.name]
            found += judge.over_limits(limited, outcomes, troubles, self._forgotten)
            most = judge.busiest_minute(limited, outcomes)
            self._say(f"{limited.name} had {most} units in its busiest minute, by a limit of {limited.limit}")
        return found


def _one(_outcome: Outcome) -> int:
    return 1


def _tokens(outcome: Outcome) -> int:
    assert outcome.usage is not None, "a whole answer has its usage"
    total: int = outcome.usage["total_tokens"]
    return total


class Say:
    """Keeps the lines of what happened, with the seconds since the start; shows them if asked to.

    Args:
        show: takes each line at once.
    """

    def __init__(self, show: Callable[[str], object] | None = None) -> None:
        self._show = show
        self._now = SystemClock().now
        self._began = self._now()
        self.lines: list[str] = []

    def __call__(self, text: str) -> None:
        """Keep a line."""
        line = f"{self._now() - self._began:7.1f} {text}"
        self.lines.append(line)
        if self._show is not None:
            self._show(line)


async def _keep_evidence(cluster: NetworkCluster, http: aiohttp.ClientSession) -> None:
    """Write beside the logs what the ledger has of each attempt, and every process's metrics."""
    with contextlib.suppress(StoreError, OSError):
        async with ledger_connection(cluster) as connection:
            query = "select * from usage order by started_at"
            await connection.copy_from_query(query, output=cluster.logs / "usage.csv", format="csv", header=True)
    for role, processes in cluster.ready.processes.items():
        for number, process in enumerate(processes, start=1):
            if not process.ops_url:
                continue
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with http.get(f"{process.ops_url}/metrics", timeout=EVIDENCE_TIMEOUT) as response:
                    (cluster.logs / f"{role}{number}.metrics").write_bytes(await response.read())


async def _run(network: Network, steps: Sequence[Step], say: Say, logs: Path) -> list[str]:
    async with running_cluster(network, keep_logs=logs) as cluster, session() as http:
        clients = Clients(cluster.edges, http)
        await cluster.configure(http, *clients.keys.values(), **clients.configuration(cluster.upstream_url))
        say("the cluster serves")
        try:
            return await Run(cluster, http, clients, say).go(steps)
        except AssertionError as error:
            return [str(error)]
        finally:
            await _keep_evidence(cluster, http)
            lost = [count for count in network.counts() if count.dropped]
            say(f"packets lost: {', '.join(f'{one.source}>{one.target} {one.dropped}' for one in lost)}")


def run(seed: int, steps: Sequence[Step], say: Say) -> list[str]:
    """Run a schedule on a cluster of its own.

    Args:
        seed: of the packets that are lost.
        steps: see `schedule.draw_schedule`.
        say: takes what happens.

    Returns:
        What was against a promise; an empty list is a good end. The processes' logs are kept where ``say`` says.
    """
    logs = Path(tempfile.gettempdir()) / f"trunkline-chaos-{seed}"
    say(f"seed {seed}; logs will be in {logs}")
    with running_network(HOSTS, seed=seed) as network, network.host(CLIENT).entered():
        return asyncio.run(_run(network, steps, say, logs))
