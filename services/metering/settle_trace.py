"""What the traces of requests say of their settlement. Called by `settler`."""

from collections.abc import Sequence

from trunkline.bus.messages import UsageEvent
from trunkline.protocol import gen_ai
from trunkline.runtime.tracer import SettledEvent, Tracer
from trunkline.store.settlement import SettledBatch


def trace_settled(tracer: Tracer, events: Sequence[UsageEvent], batch: SettledBatch, seconds: float) -> None:
    """Tell of a transaction that has been committed; nothing where none of its events is of a traced request.

    Args:
        tracer: of the process.
        events: of the transaction.
        batch: what was booked of them.
        seconds: how long it took.
    """
    traced = [event for event in events if event.trace]
    if not traced:
        return
    whole = {"trunkline.events": batch.events, "trunkline.duplicates": batch.duplicates}
    tracer.settled([SettledEvent(event.trace, _booked(event)) for event in traced], whole, seconds)


def _booked(event: UsageEvent) -> dict[str, str | bool | int]:
    return {
        **gen_ai.usage_attributes(event.billed),
        gen_ai.REQUEST_MODEL: event.model,
        "trunkline.account": event.account,
        "trunkline.key": event.key,
        "trunkline.attempt": event.attempt,
        "trunkline.charged": event.charged,
        "trunkline.outcome": event.outcome or "ok",
    }
