"""Books each attempt: what it used for metering, how it went for health, and both for metrics."""

from services.dispatcher.answers import AnswerFacts
from services.dispatcher.attempt import OUT_OF_TIME, Attempt, AttemptResult
from services.dispatcher.attempt_trace import end_span
from services.dispatcher.job_entry import JobEntry
from services.dispatcher.joined_answer import JoinedStream
from services.dispatcher.metrics import ChannelCounters, DispatcherMetrics
from services.dispatcher.outcome_outbox import OutcomeOutbox
from trunkline.bus.messages import AttemptOutcome, UsageEvent
from trunkline.core.clock import Clock
from trunkline.core.errors import ErrorType
from trunkline.core.usage import Usage, UsageSource
from trunkline.protocol.upstream_error import MODEL_DENIED
from trunkline.runtime.usage_outbox import UsageOutbox

_SAYS_NOTHING = frozenset({ErrorType.CLIENT_GONE, ErrorType.GATEWAY_OUTRUN})
"""Ends of attempts that tell health nothing of their channels."""


class Settlement:
    """Books attempts.

    Args:
        usage, outcomes: where events go.
        clock, metrics: of the process.
    """

    def __init__(
        self, usage: UsageOutbox, outcomes: OutcomeOutbox, *, clock: Clock, metrics: DispatcherMetrics
    ) -> None:
        self._usage = usage
        self._outcomes = outcomes
        self._clock = clock
        self._metrics = metrics
        self._counters: dict[str, ChannelCounters] = {}

    def book(
        self, entry: JobEntry, attempt: Attempt, result: AttemptResult, facts: AnswerFacts, *, charged: bool
    ) -> tuple[UsageEvent, int]:
        """Book an attempt that has ended; returns its usage event and that event's number."""
        event = self.note(entry, attempt, result, facts, charged=charged)
        return event, self.add(event)

    def note(
        self, entry: JobEntry, attempt: Attempt, result: AttemptResult, facts: AnswerFacts, *, charged: bool
    ) -> UsageEvent:
        """Tell health and the metrics of an attempt that has ended; returns its usage event, which is to be added."""
        error = None if result.fault is None else result.fault.type
        event = self._event(entry, attempt, facts, error, charged=charged)
        self._count(attempt, facts, error, event.first_token_ms / 1000 if event.stream else 0.0)
        if attempt.span is not None:
            end_span(attempt.span, attempt, result, facts, charged=charged)
        if error not in _SAYS_NOTHING and result.fault is not OUT_OF_TIME:
            self._outcomes.add(
                AttemptOutcome(
                    channel=event.channel,
                    credential=event.credential,
                    model=event.model,
                    error=error,
                    status=attempt.status,
                    first_token_ms=event.first_token_ms,
                    output_tokens=facts.usage.units.output_total,
                    duration_ms=event.duration_ms,
                    denied=result.fault is not None and result.fault.code == MODEL_DENIED,
                    stream=event.stream,
                )
            )
        return event

    def add(self, event: UsageEvent) -> int:
        """Have an event published; returns its number."""
        return self._usage.add(event)

    def checkpoint(self, attempt: Attempt) -> list[UsageEvent]:
        """Return what is to be booked of an attempt that goes on if this process dies."""
        rest, answer = attempt.rest_of, attempt.passage.answer
        events = [rest.event_if_lost(answer)] if rest is not None and isinstance(answer, JoinedStream) else []
        facts = attempt.facts_so_far()
        if facts is not None and facts.output:
            counted = facts._replace(usage=Usage(facts.usage.units, UsageSource.COUNTED))
            lost = ErrorType.GATEWAY_DISPATCHER_LOST
            events.append(self._event(attempt.entry, attempt, counted, lost, charged=rest is None))
        return events

    def _event(
        self, entry: JobEntry, attempt: Attempt, facts: AnswerFacts, error: ErrorType | None, *, charged: bool
    ) -> UsageEvent:
        envelope, candidate, variant = entry.machine.envelope, attempt.candidate, attempt.passage.variant
        first_output_s = max(0.0, attempt.first_output_at - attempt.began) if attempt.first_output_at else 0.0
        return UsageEvent(
            job=entry.machine.job,
            attempt=attempt.number,
            account=envelope.account,
            key=envelope.key,
            model=candidate.model,
            upstream_model=candidate.upstream_model,
            group=candidate.group,
            channel=candidate.channel.id,
            credential=0 if candidate.credential is None else candidate.credential.id,
            units=facts.usage.units,
            source=facts.usage.source,
            charged=charged,
            outcome="" if error is None else error.value,
            status=attempt.status,
            stream=envelope.stream,
            started_ms=attempt.started_ms,
            first_token_ms=round(first_output_s * 1000),
            duration_ms=round((self._clock.now() - attempt.began) * 1000),
            user=envelope.user,
            lease=envelope.lease,
            variant=variant() if variant is not None and facts.usage.units.images else "",
            asked=envelope.asked or ("" if candidate.model == envelope.model else envelope.model),
            continues=attempt.rest_of is not None,
            trace=envelope.trace if attempt.span is None else attempt.span.traceparent,
        )

    def _count(self, attempt: Attempt, facts: AnswerFacts, error: ErrorType | None, first_token_s: float) -> None:
        name = attempt.candidate.channel.name
        counters = self._counters.get(name)
        if counters is None:
            counters = self._counters[name] = ChannelCounters(self._metrics, name)
        counters.attempts(error).inc()
        if first_token_s:
            exemplar = None if attempt.span is None else attempt.span.exemplar
            counters.first_token_seconds.observe(first_token_s, exemplar)
        units = facts.usage.units
        if units.any():
            tokens_in, tokens_out = counters.tokens[facts.usage.source]
            tokens_in.inc(units.input_total)
            tokens_out.inc(units.output_total)
