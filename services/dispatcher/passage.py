"""How a job's request gets to one candidate and the answer back: as bytes within a dialect, translated across two.

Made once per attempt, since every candidate may speak another dialect.
"""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from services.dispatcher.answers import (
    InputCount,
    PlainAnswer,
    RelayedStream,
    StreamAnswer,
    TranslatedStream,
    with_counted_usage,
)
from services.dispatcher.costs import StatedCost
from services.dispatcher.header_lines import kept_lines
from services.dispatcher.joined_answer import Begun, JoinedStream
from trunkline.bus.messages import Envelope
from trunkline.core.errors import FaultError
from trunkline.core.ids import JobID
from trunkline.policy.routing import Candidate
from trunkline.protocol import registry
from trunkline.protocol.continuation import AnswerSoFar, continuable, continued
from trunkline.protocol.counted_usage import counted_units
from trunkline.protocol.dialect import (
    AnswerFrame,
    Call,
    ClientDialect,
    Conversant,
    RelayDialect,
    UpstreamDialect,
    WholeAnswer,
    Written,
)
from trunkline.protocol.endpoint import Endpoint, Provider
from trunkline.protocol.events import Event, StreamError
from trunkline.protocol.fidelity import Crossing, Feature
from trunkline.protocol.meter import AnswerMeter
from trunkline.protocol.model import Effort, without_proofs
from trunkline.protocol.names import GEMINI, UPSTREAM_AZURE, UPSTREAM_GEMINI, UPSTREAM_OPENAI, UPSTREAM_RESPONSES
from trunkline.protocol.rules import RequestRules
from trunkline.protocol.splice import ruled
from trunkline.protocol.tokens import count_text, estimate_input
from trunkline.protocol.upstream_error import UpstreamError

_JSON = "application/json"
_TELLING_HEADERS = frozenset({"anthropic-beta"})
_WITH_COMPLETIONS = frozenset({UPSTREAM_OPENAI, UPSTREAM_AZURE})


class Leg(NamedTuple):
    """One attempt of a job.

    Attributes:
        envelope, job, body: of the job; the body is the client's.
        candidate: who is called.
        rules: what is changed in a request for it.
        now_ms: Unix time in milliseconds.
        proofs: whether proofs of reasoning are sent; not to an account that has refused them.
        fetched: what the client named by URL and the body holds inline now.
        named: the model that the body names, where it is not the one of the envelope.
    """

    envelope: Envelope
    job: JobID
    body: bytes
    candidate: Candidate
    rules: RequestRules
    now_ms: int
    proofs: bool = True
    fetched: frozenset[Feature] = frozenset()
    named: str = ""


class Passage(msgspec.Struct, frozen=True):
    """A request ready to be sent, and what takes its answer.

    Attributes:
        body: for the upstream.
        call: where to.
        carried: header lines of the client's that go along.
        answer: takes the answer.
        body_type: content type of the body.
        content_type: of the answer for the client; empty: as the upstream says.
        fidelity: what was lost, for a response header; empty for nothing.
        variant: tells, once the answer was read, what kind of images it has; None for another answer.
    """

    body: bytes
    call: Call
    carried: bytes
    answer: StreamAnswer | PlainAnswer
    body_type: str = _JSON
    content_type: str = ""
    fidelity: str = ""
    variant: Callable[[], str] | None = None


def inlines(leg: Leg) -> bool:
    """Return whether a candidate is to get inline what the request names by URL.

    Gemini's own clients know what its models fetch, and name files that only it can open: theirs stay as they are
    unless the channel says so.
    """
    if leg.envelope.dialect not in registry.LINKS:
        return False
    channel = leg.candidate.channel
    wanted = channel.options.inline_images
    return channel.dialect == UPSTREAM_GEMINI and leg.envelope.dialect != GEMINI if wanted is None else wanted


def open_passage(leg: Leg) -> Passage:
    """Return the passage of a job to a candidate.

    Raises:
        FaultError: ``client_bad_request``: the request cannot be carried to this candidate.
    """
    passage = _open(leg)
    pricing = leg.envelope.pricing
    if pricing is not None:
        passage.answer.cost = StatedCost(pricing, leg.candidate.group, passage.variant)
    return passage


def open_rest(leg: Leg, begun: Begun, so_far: AnswerSoFar) -> Passage:
    """Return the passage of a job to a candidate that is to go on with an answer.

    Args:
        leg: the attempt.
        begun: what the client has, of a passage of the same job.
        so_far: of ``begun``.

    Raises:
        FaultError: ``client_bad_request``: the candidate cannot go on with it.
    """
    client = registry.CLIENTS[leg.envelope.dialect]
    upstream, options = registry.UPSTREAMS[leg.candidate.channel.dialect], leg.candidate.channel.options
    request = client.read_request(leg.body, stream=True)
    request = continued(request if leg.proofs else without_proofs(request), so_far.text)
    crossing = Crossing(client.name, upstream.name)
    written = upstream.write_request(request, crossing, leg.candidate.upstream_model, options)
    count = InputCount(client.count_input, leg.body, count_text(so_far.text))
    answer = JoinedStream(begun, so_far, upstream.event_reader(written, options), count)
    return _sent(leg, upstream, written, answer, crossing)


def _open(leg: Leg) -> Passage:
    endpoint = registry.ENDPOINTS.get(leg.envelope.dialect)
    if endpoint is not None:
        conversant = registry.CONVERSANTS.get(endpoint.name)
        channel = leg.candidate.channel
        if conversant is not None and not (channel.dialect in _WITH_COMPLETIONS and channel.options.completions):
            return _across(leg, conversant, registry.UPSTREAMS[channel.dialect])
        return _beside(leg, endpoint)
    client = registry.CLIENTS[leg.envelope.dialect]
    upstream = _upstream(leg, client)
    if client.name == upstream.name and not leg.candidate.channel.options.translated:
        within = _within(leg, client, upstream, registry.RELAYS[client.name])
        # An answer that another provider may go on with is written anew; the request is sent as it is all the same.
        answer = _continuable(leg, client, upstream) if leg.envelope.continues and leg.envelope.stream else None
        return within if answer is None else msgspec.structs.replace(within, answer=answer)
    return _across(leg, client, upstream)


def _continuable(leg: Leg, client: ClientDialect, upstream: UpstreamDialect) -> TranslatedStream | None:
    """Return what takes an answer within a dialect that another provider may go on with; None where bytes must pass.

    They must where a translation of the request would lose anything, or where headers say more about it: then the
    answer may hold what only this provider has words for.
    """
    if leg.envelope.headers.keys() & _TELLING_HEADERS:
        return None
    try:
        passage = _across(leg, client, upstream)
    except FaultError:
        return None
    answer = passage.answer
    if not isinstance(answer, TranslatedStream) or answer.so_far is None or passage.fidelity:
        return None
    return answer


def _upstream(leg: Leg, client: ClientDialect) -> UpstreamDialect:
    """Return the dialect in which the candidate is called.

    Some of OpenAI's models refuse tools together with reasoning on chat completions and take them on Responses
    (DIALECTS section 2.5): such a request goes there.
    """
    channel = leg.candidate.channel
    if channel.options.tools_by_responses and channel.dialect == UPSTREAM_OPENAI:
        request = client.read_request(leg.body, stream=leg.envelope.stream)
        if request.tools and request.thinking.effort is not Effort.NONE:
            return registry.UPSTREAMS[UPSTREAM_RESPONSES]
    return registry.UPSTREAMS[channel.dialect]


def _within(leg: Leg, client: ClientDialect, upstream: UpstreamDialect, relay: RelayDialect) -> Passage:
    envelope, channel = leg.envelope, leg.candidate.channel
    upstream_model = leg.candidate.upstream_model
    public_model = None if upstream_model == envelope.model else envelope.model
    renamed = None if upstream_model == (leg.named or envelope.model) else upstream_model
    stream = envelope.stream
    withheld = relay.withheld(envelope.headers, channel.options) if envelope.headers else ()
    rules = leg.rules
    prepared = relay.prepare(
        leg.body if leg.proofs else relay.without_proofs(leg.body),
        upstream_model=renamed,
        # One who wants the cost is told the usage, though the request may not say so in the provider's words.
        ask_usage=stream and channel.stream_usage and (not envelope.wants_usage or envelope.pricing is not None),
        rules=msgspec.structs.replace(rules, drop=(*rules.drop, *withheld)) if withheld else rules,
    )

    count = InputCount(client.count_input, leg.body)

    def read(body: bytes) -> tuple[WholeAnswer, bytes]:
        whole = relay.read_whole(body)
        if whole.error is not None:
            return whole, body
        if whole.units is None:
            # The same numbers as in the books, which `PlainAnswer.facts` makes in the same way.
            body = relay.state_usage(body, counted_units(whole.opening, whole.output_tokens_counted, count))
        return whole, body if public_model is None else relay.rename(body, public_model)

    answer: StreamAnswer | PlainAnswer
    if stream:
        relayed = relay.relay(
            public_model=public_model,
            hide_usage=not envelope.wants_usage,
            array=envelope.array,
            options=channel.options,
            count_input=count,
        )
        answer = RelayedStream(relayed, count)
    else:
        answer = PlainAnswer(read, count)
    return Passage(
        body=prepared,
        call=upstream.call(upstream_model, stream=stream, options=channel.options),
        carried=kept_lines(upstream.carried(envelope.headers, channel.options), channel.headers),
        answer=answer,
        content_type=client.stream_type(array=True) if stream and envelope.array else "",
    )


def _across(leg: Leg, client: Conversant, upstream: UpstreamDialect) -> Passage:
    envelope, options = leg.envelope, leg.candidate.channel.options
    crossing = Crossing(client.name, upstream.name)
    crossing.lose_inlined(leg.fetched)
    request = client.read_request(leg.body, stream=envelope.stream)
    if not leg.proofs:
        request = without_proofs(request)
    written = upstream.write_request(request, crossing, leg.candidate.upstream_model, options)
    kept = envelope.continues and envelope.dialect in registry.CLIENTS and continuable(request)
    answer = _translated(leg, client, upstream, written, AnswerSoFar() if kept else None)
    content_type = client.stream_type(array=envelope.array) if envelope.stream else _JSON
    return _sent(leg, upstream, written, answer, crossing, content_type=content_type)


def _sent(
    leg: Leg,
    upstream: UpstreamDialect,
    written: Written,
    answer: StreamAnswer | PlainAnswer,
    crossing: Crossing,
    *,
    content_type: str = "",
) -> Passage:
    channel, model = leg.candidate.channel, leg.candidate.upstream_model
    return Passage(
        body=ruled(written.body, leg.rules),
        call=upstream.call(model, stream=leg.envelope.stream, options=channel.options),
        carried=kept_lines(upstream.carried({}, channel.options), channel.headers),
        answer=answer,
        content_type=content_type,
        fidelity=crossing.header(),
    )


def _translated(
    leg: Leg, client: Conversant, upstream: UpstreamDialect, written: Written, so_far: AnswerSoFar | None
) -> StreamAnswer | PlainAnswer:
    envelope, options = leg.envelope, leg.candidate.channel.options
    frame = AnswerFrame(
        id=leg.job.hex(),
        model=envelope.model,
        created=leg.now_ms // 1000,
        wants_usage=envelope.wants_usage,
        array=envelope.array,
        input_estimate=estimate_input(leg.body) if envelope.stream and client.states_input_first else 0,
    )

    count = InputCount(client.count_input, leg.body)

    def read(body: bytes) -> tuple[WholeAnswer, bytes]:
        meter = AnswerMeter()
        events: list[Event] = []
        for event in with_counted_usage(upstream.read_answer(body, written, options), meter, count):
            if isinstance(event, StreamError):
                return _whole(meter, event.error), b""
            events.append(event)
        return _whole(meter, None), client.write_answer(events, frame)

    if envelope.stream:
        return TranslatedStream(upstream.event_reader(written, options), client.event_writer(frame), count, so_far)
    return PlainAnswer(read, count)


def _whole(meter: AnswerMeter, error: UpstreamError | None) -> WholeAnswer:
    counted = meter.output_tokens_counted() if meter.units is None else 0
    return WholeAnswer(
        meter.units,
        counted,
        error,
        output=meter.first_output,
        opening=meter.opening,
        finish_reason=meter.finish_reason,
    )


def _beside(leg: Leg, endpoint: Endpoint) -> Passage:
    envelope, channel = leg.envelope, leg.candidate.channel
    provider = Provider(channel.dialect, leg.candidate.upstream_model, envelope.model, channel.options, leg.rules)
    opened = endpoint.open(leg.body, envelope.headers.get("content-type", _JSON), provider)

    count = InputCount(endpoint.count_input, leg.body)

    answer: StreamAnswer | PlainAnswer
    if opened.stream is not None:
        answer = RelayedStream(opened.stream, count)
    elif opened.whole is not None:
        answer = PlainAnswer(opened.whole, count)
    else:
        raise AssertionError(f"{endpoint.name} opened a call that nothing reads")
    return Passage(
        body=opened.body,
        call=opened.call,
        carried=b"",
        answer=answer,
        body_type=opened.content_type,
        content_type=opened.answer_type,
        fidelity=opened.fidelity,
        variant=opened.variant,
    )
