"""What a probe sends, in the words of the channel's dialect, and how its answer is read.

Asked by health for its own probes, and by the console for those that an operator asks for. A model is asked in the same
way as dispatchers do it: by the dialect's own writer, under the provider's name for the model, with the channel's rules
and headers. What comes back is read by the dialect's own reader, so that a page of HTML with status 200 is no answer
here either. No socket here.
"""

from collections.abc import Callable
from urllib.parse import quote

import msgspec

from trunkline.bus.snapshots import ChannelSnapshot, ProbeKind
from trunkline.core.errors import Fault
from trunkline.policy.model_terms import model_terms
from trunkline.policy.probing import ProbeResult, judged, judged_fault
from trunkline.protocol import names, registry
from trunkline.protocol.dialect import Call
from trunkline.protocol.endpoint import Provider
from trunkline.protocol.endpoints.embeddings import OpenAIEmbeddings
from trunkline.protocol.events import StreamError
from trunkline.protocol.fidelity import Crossing
from trunkline.protocol.model import Request, Role, Text, Turn
from trunkline.protocol.splice import BodyChanges
from trunkline.protocol.upstream_error import read_upstream_error

WORD = "Hi"
"""What a model is asked: a word, of one token nearly everywhere."""

ANSWER_TOKENS = 1

ANSWER_TOKENS_RESPONSES = 16
"""The fewest that OpenAI's Responses endpoint takes."""

_JSON = "application/json"

ReadFault = Callable[[bytes], Fault | None]
"""Takes a body with status 200; returns why it is no answer, None for a good one."""


class ProbeCall(msgspec.Struct, frozen=True):
    """One request over HTTP.

    Attributes:
        method: ``GET`` or ``POST``.
        url: where to.
        headers: names in lower case; at most one holds the credential.
        body: None for none.
        read: reads an answer of a model; None where the status says all.
    """

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None = None
    read: ReadFault | None = None


class ProbeAnswer(msgspec.Struct, frozen=True):
    """What came back.

    Attributes:
        status: of HTTP.
        headers: names in lower case.
        body: or what was read of it.
        whole: whether that is all of it.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool


class Reading(msgspec.Struct, frozen=True):
    """What an answer says of its channel.

    Attributes:
        result: see there.
        fault: why it is no good answer; None for one that is, and where only the status says anything.
    """

    result: ProbeResult
    fault: Fault | None = None


def read_answer(channel: ChannelSnapshot, call: ProbeCall, answer: ProbeAnswer, now_ms: int) -> Reading:
    """Return what an answer says of its channel.

    Args:
        channel: that was probed.
        call: what was sent.
        answer: see there.
        now_ms: Unix time in milliseconds.
    """
    status = channel.status_map.get(answer.status, answer.status)
    if call.read is None:
        fault = read_upstream_error(status, answer.headers, answer.body, now_ms).fault if status >= 400 else None
        return Reading(judged(status), fault)
    if status != 200:
        fault = read_upstream_error(status, answer.headers, answer.body, now_ms).fault
    elif not answer.whole or (said := call.read(answer.body)) is None:
        return Reading(ProbeResult.PASSED)
    else:
        fault = said
    return Reading(judged_fault(fault, status), fault)


def probe_call(channel: ChannelSnapshot, kind: ProbeKind, model: str, secret: str | None) -> ProbeCall:
    """Return the request of a probe over HTTP.

    Args:
        channel: that is probed.
        kind: any but a mere connection.
        model: public name, one of the channel's; of no meaning to a list of models.
        secret: the credential; None where the upstream wants none.

    Raises:
        FaultError: the dialect has no such request.
    """
    if kind is ProbeKind.MODELS:
        return ProbeCall("GET", channel.base_url + models_path(channel), probe_headers(channel, secret))
    call, body, read = _embedding(channel, model) if kind is ProbeKind.EMBEDDING else _completion(channel, model)
    headers = probe_headers(channel, secret, call.headers, {"content-type": _JSON})
    return ProbeCall("POST", channel.base_url + call.path, headers, body, read)


def probe_headers(
    channel: ChannelSnapshot, secret: str | None, lines: bytes = b"", more: dict[str, str] | None = None
) -> dict[str, str]:
    """Return the header of a probe: exactly one line with the credential, as the channel's provider wants it.

    Args:
        channel: that is probed; its own rules for headers hold.
        secret: see `probe_call`.
        lines: of the call, each ending in CRLF.
        more: of the body.
    """
    upstream = registry.UPSTREAMS[channel.dialect]
    headers = {"accept": _JSON, "user-agent": "trunkline-health"} | _fields(lines)
    headers |= _fields(upstream.carried({}, channel.options))
    for name in channel.headers.drop:
        headers.pop(name, None)
    headers |= channel.headers.set
    # What no channel changes, as in its jobs. An answer comes in plain bytes: nothing here unpacks one.
    headers |= {"accept-encoding": "identity"} | (more or {})
    return headers if secret is None else headers | _fields(upstream.credential_header(secret, channel.options))


def _fields(lines: bytes) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in lines.decode("latin-1").splitlines():
        name, _, value = line.partition(": ")
        fields[name.lower()] = value
    return fields


def models_path(channel: ChannelSnapshot) -> str:
    """Return the path of a channel's list of models, which costs nothing, behind its base URL."""
    if channel.dialect != names.UPSTREAM_AZURE:
        return "/models"
    version = channel.options.api_version
    return f"/openai/models?api-version={quote(version, safe='')}" if version else "/openai/v1/models"


def _completion(channel: ChannelSnapshot, model: str) -> tuple[Call, bytes, ReadFault]:
    upstream, options, name = registry.UPSTREAMS[channel.dialect], channel.options, channel.models[model]
    responses = upstream.name == names.OPENAI_RESPONSES
    request = Request(
        (Turn(Role.USER, (Text(WORD),)),), max_output=ANSWER_TOKENS_RESPONSES if responses else ANSWER_TOKENS
    )
    written = upstream.write_request(request, Crossing(names.OPENAI_CHAT, upstream.name), name, options)
    body = BodyChanges(written.body).ruled(model_terms(channel, model).rules)

    def read(body: bytes) -> Fault | None:
        last = upstream.read_answer(body, written, options)[-1]
        return last.error.fault if isinstance(last, StreamError) else None

    return upstream.call(name, stream=False, options=options), body, read


def _embedding(channel: ChannelSnapshot, model: str) -> tuple[Call, bytes, ReadFault]:
    provider = Provider(
        channel.dialect, channel.models[model], model, channel.options, model_terms(channel, model).rules
    )
    opened = OpenAIEmbeddings().open(msgspec.json.encode({"model": model, "input": WORD}), _JSON, provider)
    whole = opened.whole

    def read(body: bytes) -> Fault | None:
        error = None if whole is None else whole(body)[0].error
        return None if error is None else error.fault

    return opened.call, opened.body, read
