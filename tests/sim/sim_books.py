"""What must be true when a simulation has come to rest: every client has one end, and the ledger fits what happened."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from tests.sim.sim_clients import Client, Outcome
from tests.sim.sim_processes import Settled
from tests.sim.sim_upstream import Call
from trunkline.bus import messages
from trunkline.bus.messages import UsageEvent
from trunkline.core.errors import ErrorType
from trunkline.core.usage import UsageSource
from trunkline.runtime.memory_bus import StoredMessage


class Ledger:
    """Consumes the stream as metering does: costs are unique by job and attempt, charges by job, unless it is void.

    Attributes:
        costs: every attempt.
        charges: the attempt that each job's client pays for.
        charged_twice: jobs of which more than one attempt was to be paid.
    """

    def __init__(self, stored: Iterable[StoredMessage]) -> None:
        self.costs: dict[tuple[bytes, int], UsageEvent] = {}
        self.charges: dict[bytes, UsageEvent] = {}
        self.charged_twice: set[bytes] = set()
        self.void: set[bytes] = set()
        for message in stored:
            batch = messages.decode_usage_batch(message.data)
            for event in batch.events:
                self._book(event)
            for void in batch.void:
                self.void.add(void.job)
                self.charges.pop(void.job, None)

    def settle_orphans(self, events: Iterable[UsageEvent]) -> None:
        """Book what dead dispatchers had under way, where nothing else is known of it."""
        for event in events:
            if (event.job, event.attempt) not in self.costs and event.job not in self.charges:
                self._book(event)

    def _book(self, event: UsageEvent) -> None:
        known = self.costs.setdefault((event.job, event.attempt), event)
        if known is not event:
            assert known == event, "two copies of an event differ"
            return
        if event.charged and event.units.any() and event.job not in self.void:
            if event.job in self.charges:
                self.charged_twice.add(event.job)
            self.charges.setdefault(event.job, event)


@dataclasses.dataclass
class Books:
    """The clients, the providers' own books and the ledger of one simulation, to be compared.

    Args:
        clients, calls, ledger: see there.
        settled: what the living edges were told of their jobs.
        lossless: no message was lost, and none was later than others: the ledger must fit exactly.
        deaths: processes died: what they held in memory is gone.
    """

    clients: list[Client]
    calls: list[Call]
    ledger: Ledger
    settled: Mapping[bytes, Sequence[Settled]]
    lossless: bool
    deaths: bool
    outcomes: Counter[Outcome] = dataclasses.field(default_factory=Counter)
    faults: list[str] = dataclasses.field(default_factory=list)

    def compare(self) -> list[str]:
        """Return what does not fit."""
        for client in self.clients:
            self._check_client(client)
            if not client.edge_died:
                self._check_settled(client)
        if self.lossless:
            if self.ledger.charged_twice:
                self.faults.append(f"{len(self.ledger.charged_twice)} jobs charged twice")
            if not self.deaths:
                self._check_costs()
        return self.faults

    def _check_client(self, client: Client) -> None:
        outcome = client.outcome()
        self.outcomes[outcome] += 1
        charge = self.ledger.charges.get(client.job)
        calls = [call for call in self.calls if call.tag == client.plan.tag]
        problem = ""
        match outcome:
            case Outcome.HANGS | Outcome.WRONG:
                problem = f"it {outcome.value} {client.problem}"
            case Outcome.FULL:
                problem = self._check_full(client, charge, calls) or self._check_exact(client, charge)
            case Outcome.ERROR:
                # Whatever is lost, unless the edge was told that the job has used something.
                if charge is not None and (self.lossless or not self._told_usage(client)):
                    problem = "an error response was charged"
            case Outcome.IN_BAND | Outcome.CUT:
                problem = self._check_part(client, charge, calls)
            case Outcome.LEFT:
                if charge is None and self.lossless and not self.deaths and client.answer:
                    problem = "what it got before it left was not charged"
            case Outcome.EDGE_DIED:
                pass
        if problem:
            self.faults.append(f"{client.plan.tag}: {problem}")

    def _check_settled(self, client: Client) -> None:
        """The edge is told once what a job that was published comes to, and where nothing was lost, the truth."""
        told = self.settled.get(client.job, ())
        charge = self.ledger.charges.get(client.job)
        if len(told) > 1 or (not told and charge is not None):
            self.faults.append(f"{client.plan.tag}: settled {len(told)} times")
        elif told and self.lossless:
            if told[0].lost and not self.deaths:
                self.faults.append(f"{client.plan.tag}: its use was lost")
            if not told[0].lost and told[0].usage != charge and (told[0].usage is None or told[0].usage.units.any()):
                self.faults.append(f"{client.plan.tag}: told {told[0].usage}, charged {charge}")

    def _check_full(self, client: Client, charge: UsageEvent | None, calls: list[Call]) -> str:
        said = [call for call in calls if call.text == client.answer]
        if not said:
            return "its answer is not what a provider said"
        if charge is None:
            # Usage has two holders, its dispatcher and the client's edge: both, or the first before it had told the
            # second, have died.
            excused = self.deaths and (client.edge_died or self._end_lost(client))
            return "" if excused else "a full answer was not charged"
        if self.lossless and charge.source is UsageSource.REPORTED:
            units = charge.units
            if not any((units.input, units.output) == (call.number, call.output_tokens) for call in said):
                return f"charged for {units}, answered by {said}"
        return ""

    def _check_part(self, client: Client, charge: UsageEvent | None, calls: list[Call]) -> str:
        if not client.plan.stream:
            free = charge is None or self._told_usage(client)
            return "" if free else "the beginning of an answer was charged"
        if not any(call.text.startswith(client.answer) for call in calls):
            return "it got what no provider said"
        owed = charge is None and self.lossless and not self.deaths and client.answer
        return "partial output was not charged" if owed else ""

    def _check_exact(self, client: Client, charge: UsageEvent | None) -> str:
        """Who has got an answer to its end pays for that, not for what a checkpoint knew of it."""
        lost = charge is not None and charge.outcome == ErrorType.GATEWAY_DISPATCHER_LOST
        return "charged by a checkpoint" if lost and self.lossless and not self._end_lost(client) else ""

    def _told_usage(self, client: Client) -> bool:
        """Its edge was told that it has used something."""
        return any(one.usage is not None for one in self.settled.get(client.job, ()))

    def _end_lost(self, client: Client) -> bool:
        """Its dispatcher has died between the last event of its answer and the word that it was the last."""
        return any(one.lost for one in self.settled.get(client.job, ()))

    def _check_costs(self) -> None:
        """Without deaths and losses, whatever a provider reported to us is booked, and nothing else."""
        booked = Counter(
            (event.units.input, event.units.output)
            for event in self.ledger.costs.values()
            if event.source is UsageSource.REPORTED and event.units.any()
        )
        reported = Counter((call.number, call.output_tokens) for call in self.calls if call.whole and call.reported)
        missing = reported - booked
        if missing:
            self.faults.append(f"reported and not booked: {dict(missing)}")
        surplus = booked - Counter((call.number, call.output_tokens) for call in self.calls if call.reported)
        if surplus:
            self.faults.append(f"booked and not reported: {dict(surplus)}")
