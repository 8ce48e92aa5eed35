"""What the trace of a request says of each upstream call: ids, figures and configured names, no word of an answer."""

from urllib.parse import urlsplit

from services.dispatcher.answers import AnswerFacts
from services.dispatcher.attempt import Attempt, AttemptResult
from services.dispatcher.course import Course
from trunkline.core.errors import Fault
from trunkline.protocol import gen_ai
from trunkline.runtime.tracer import AttributeValue, Span, Tracer


class AttemptTraces:
    """Begins spans of attempts.

    Args:
        tracer: of the process.
        upstream: whether a provider is told the span of a call that is traced, in place of what the client sent.
    """

    def __init__(self, tracer: Tracer, *, upstream: bool = False) -> None:
        self._tracer = tracer
        self._upstream = upstream

    def begin(self, course: Course, attempt: Attempt, went_on: Fault | None) -> Span | None:
        """Return the span of an attempt, None where its request is not traced.

        Args:
            course: of the attempt.
            attempt: that is to be made.
            went_on: what broke off the answer that it goes on with; None for one that begins its own.
        """
        if not self._tracer.on:
            return None
        envelope, candidate = course.entry.machine.envelope, attempt.candidate
        channel, operation = candidate.channel, gen_ai.operation_of(envelope.dialect)
        url = urlsplit(channel.base_url)
        kind, why = _kind(course, went_on)
        attributes: dict[str, AttributeValue] = {
            gen_ai.OPERATION_NAME: operation,
            gen_ai.PROVIDER_NAME: gen_ai.provider_of(channel.dialect, channel.base_url),
            gen_ai.REQUEST_MODEL: candidate.upstream_model,
            gen_ai.REQUEST_STREAM: envelope.stream,
            "server.address": url.hostname or "",
            "server.port": url.port or (443 if url.scheme == "https" else 80),
            "trunkline.account": envelope.account,
            "trunkline.key": envelope.key,
            "trunkline.model": candidate.model,
            "trunkline.group": candidate.group,
            "trunkline.channel": channel.name,
            "trunkline.credential": 0 if candidate.credential is None else candidate.credential.id,
            "trunkline.attempt": attempt.number,
            "trunkline.attempt.kind": kind,
        }
        if envelope.max_output:
            attributes[gen_ai.REQUEST_MAX_TOKENS] = envelope.max_output
        if why is not None:
            attributes["trunkline.attempt.why"] = why.type.value
        return self._tracer.call(f"{operation} {candidate.upstream_model}", envelope.trace, attributes)

    def sent(self, attempt: Attempt) -> str:
        """Return the ``traceparent`` that a provider gets with an attempt, empty for none."""
        if self._upstream and attempt.span is not None:
            return attempt.span.traceparent
        return attempt.entry.machine.envelope.traceparent


def _kind(course: Course, went_on: Fault | None) -> tuple[str, Fault | None]:
    """Return why an attempt is made: a word, and the fault before it if there was one."""
    if went_on is not None:
        return "continuation", went_on
    if course.fault is not None:
        return "retry", course.fault
    if course.envelope is not course.entry.machine.envelope:
        return "fallback", None
    return ("hedge" if course.entry.attempts > 1 else "first"), None


def end_span(span: Span, attempt: Attempt, result: AttemptResult, facts: AnswerFacts, *, charged: bool) -> None:
    """End the span of an attempt that has ended.

    Args:
        span: of it.
        attempt: that has ended.
        result: how.
        facts: what it used.
        charged: whether the client pays.
    """
    attributes: dict[str, AttributeValue] = {
        **gen_ai.usage_attributes(facts.usage.units),
        "trunkline.usage.source": facts.usage.source.value,
        "trunkline.charged": charged,
    }
    if facts.finish_reason:
        attributes[gen_ai.RESPONSE_FINISH_REASONS] = [gen_ai.finish_reason(facts.finish_reason)]
    if attempt.status:
        attributes["http.response.status_code"] = attempt.status
    if attempt.committed:
        attributes[gen_ai.RESPONSE_FIRST_CHUNK_S] = attempt.first_output_at - attempt.began
    span.end("ok" if result.fault is None else result.fault.type.value, attributes)
