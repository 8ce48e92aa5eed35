"""A chat client's request as a neutral one (DIALECTS section 2). Called by the dispatcher where dialects differ.

The edge has checked the body (`request.read_head`), so that here it is JSON of bounded depth; the types of its fields
are checked now.
"""

import re

import msgspec

from trunkline.core.errors import FaultError
from trunkline.protocol.body import bad_json
from trunkline.protocol.fidelity import Feature
from trunkline.protocol.json_span import without_lone_surrogates
from trunkline.protocol.model import Effort, Request, Sampling, Thinking
from trunkline.protocol.openai_chat import request_wire as wire
from trunkline.protocol.openai_chat.client_error import bad_field, not_carried
from trunkline.protocol.openai_chat.message_reader import Conversation
from trunkline.protocol.openai_chat.part_reader import PartReader
from trunkline.protocol.openai_chat.tool_reader import read_output, read_tool_choice, read_tools
from trunkline.protocol.splice import PRIVATE_FIELDS

CHOICES_MAX = 128
"""OpenAI's bound on ``n``."""

REFUSED_FIELDS = frozenset(
    {
        "access_programs",
        "background",
        "container",
        "context_management",
        "conversation",
        "diagnostics",
        "mcp_servers",
        "moderation",
        "previous_response_id",
    }
)
"""Without these the answer would mean something else (DIALECTS section 2.6)."""

_OWN_FIELDS = (
    "top_k",
    "logit_bias",
    "reasoning",
    "thinking",
    "enable_thinking",
    "thinking_budget",
    "user",
    "safety_identifier",
    "service_tier",
    "metadata",
    "store",
    "prediction",
    "verbosity",
)
"""Fields that a provider of another dialect gets in its own words or not at all."""

_UNSAID_EFFORTS = frozenset({"auto", "default"})

_PATH = re.compile(r" - at `\$\.?([^`]*)`$")

_decode_strictly = msgspec.json.Decoder(wire.StrictRequestFields).decode
_decode = msgspec.json.Decoder(wire.RequestFields).decode
_encode = msgspec.json.Encoder().encode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def read_request(body: bytes, *, stream: bool) -> Request:
    """Return the neutral request.

    Args:
        body: as `request.read_head` accepted it.
        stream: whether the answer is to be a stream.

    Raises:
        FaultError: ``client_bad_request``: something in it cannot be understood; names the field.
    """
    fields, unknown = _read_fields(body)
    extras = list(unknown)
    if not fields.messages:
        raise bad_field("messages", "`messages` must be a list with at least one message.")
    parts = PartReader()
    conversation = Conversation(parts)
    conversation.read(fields.messages)
    features = parts.features
    tools = read_tools(fields, features)
    thinking = _thinking(fields, extras)
    _note_features(fields, features, extras)
    return Request(
        turns=tuple(conversation.turns),
        instructions=tuple(conversation.instructions),
        tools=tools,
        tool_choice=read_tool_choice(fields, tools),
        parallel_tools=fields.parallel_tool_calls,
        max_output=fields.max_completion_tokens or fields.max_tokens or None,
        stop=_stop(fields.stop),
        choices=_choices(fields.n),
        logprobs=_logprobs(fields),
        sampling=_sampling(fields),
        thinking=thinking,
        output=read_output(fields.response_format),
        cache_key=fields.prompt_cache_key or "",
        user=fields.safety_identifier or fields.user or "",
        service_tier=fields.service_tier or "",
        stream=stream,
        wants_usage=fields.stream_options is not None and bool(fields.stream_options.include_usage),
        features=tuple(features),
        extras=tuple(extras),
        own_fields=_own_fields(fields, unknown),
    )


# --- Bytes -----------------------------------------------------------------------------------------------------------


def _read_fields(body: bytes) -> tuple[wire.RequestFields, dict[str, msgspec.Raw]]:
    """Return the fields, and those that nobody knows."""
    try:
        return _decode_strictly(body), {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return _read_leniently(body)
    except msgspec.ValidationError as error:
        raise _bad_type(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return _read_leniently(without_lone_surrogates(body))
    except msgspec.ValidationError as error:
        raise _bad_type(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise bad_json("The request body is not valid JSON.") from None


def _read_leniently(body: bytes) -> tuple[wire.RequestFields, dict[str, msgspec.Raw]]:
    fields = _decode(body)
    unknown = {}
    for name, value in _decode_members(body).items():
        if name in wire.RequestFields.__struct_fields__ or name in PRIVATE_FIELDS or bytes(value) == b"null":
            continue
        if name in REFUSED_FIELDS:
            raise not_carried(name, f"`{name}`")
        unknown[name] = value
    return fields, unknown


def _bad_type(error: msgspec.ValidationError) -> FaultError:
    """Return the error for a field of a wrong type; the decoder names types and places, never what the client wrote."""
    found = _PATH.search(str(error))
    if found is None or not found[1]:
        return bad_field("messages", "`messages` must be a list with at least one message.")
    expected = str(error)[: found.start()]
    return bad_field(found[1], f"`{found[1]}` is wrong: {expected[:1].lower()}{expected[1:]}.")


# --- Fields ----------------------------------------------------------------------------------------------------------


def _stop(stop: str | list[str] | None) -> tuple[str, ...]:
    sequences = [stop] if isinstance(stop, str) else stop or ()
    return tuple(sequence for sequence in sequences if sequence)


def _choices(n: int | None) -> int:
    if n is not None and not 1 <= n <= CHOICES_MAX:
        raise bad_field("n", f"`n` must be a whole number from 1 to {CHOICES_MAX}.")
    return n or 1


def _logprobs(fields: wire.RequestFields) -> int | None:
    if not fields.logprobs:
        if fields.top_logprobs:
            raise bad_field("top_logprobs", "`top_logprobs` needs `logprobs` to be true.")
        return None
    return fields.top_logprobs or 0


def _sampling(fields: wire.RequestFields) -> Sampling:
    return Sampling(
        fields.temperature,
        fields.top_p,
        fields.top_k,
        fields.frequency_penalty,
        fields.presence_penalty,
        fields.seed,
    )


class _Reasoning(msgspec.Struct):
    """OpenRouter's ``reasoning``."""

    effort: str | None = None
    max_tokens: int | None = None
    exclude: bool | None = None
    enabled: bool | None = None


class _VendorThinking(msgspec.Struct):
    """The ``thinking`` of DeepSeek, Zhipu, and of Anthropic's own chat endpoint."""

    type: str
    budget_tokens: int | None = None


_decode_reasoning = msgspec.json.Decoder(_Reasoning).decode
_decode_thinking = msgspec.json.Decoder(_VendorThinking).decode


def _thinking(fields: wire.RequestFields, extras: list[str]) -> Thinking:
    """Return how hard the model is to think: OpenAI's field first, then what vendors call it."""
    if fields.reasoning_effort is not None:
        effort = _effort(fields.reasoning_effort, "reasoning_effort")
        if effort is not None:
            return Thinking(effort)
    if wire.filled(fields.reasoning):
        try:
            said = _decode_reasoning(bytes(fields.reasoning))  # type: ignore[arg-type]  # filled: not unset
        except msgspec.DecodeError:
            extras.append("reasoning")
        else:
            effort = _effort(said.effort, "reasoning.effort")
            if said.enabled is False:
                effort = Effort.NONE
            show = None if said.exclude is None else not said.exclude
            return Thinking(effort, said.max_tokens if effort is None else None, show=show)
    if wire.filled(fields.thinking):
        try:
            vendor = _decode_thinking(bytes(fields.thinking))  # type: ignore[arg-type]  # filled: not unset
        except msgspec.DecodeError:
            extras.append("thinking")
        else:
            if vendor.type == "disabled":
                return Thinking(Effort.NONE)
            return Thinking(budget=vendor.budget_tokens, adaptive=vendor.type == "adaptive")
    if fields.enable_thinking is False:
        return Thinking(Effort.NONE)
    return Thinking(budget=fields.thinking_budget)


def _effort(said: str | None, param: str) -> Effort | None:
    if said is None or said in _UNSAID_EFFORTS:
        return None
    try:
        return Effort(said)
    except ValueError:
        known = ", ".join(Effort)
        raise bad_field(param, f"`{param}` must be one of {known}.") from None


def _own_fields(fields: wire.RequestFields, unknown: dict[str, msgspec.Raw]) -> tuple[tuple[str, bytes], ...]:
    """Return what another chat provider may take although the neutral model cannot hold all of it."""
    own: list[tuple[str, bytes]] = []
    for name in _OWN_FIELDS:
        value = getattr(fields, name)
        if isinstance(value, msgspec.Raw):
            if wire.filled(value):
                own.append((name, bytes(value)))
        elif value is not None and value is not msgspec.UNSET:
            own.append((name, _encode(value)))
    return (*own, *((name, bytes(value)) for name, value in unknown.items()))


def _note_features(fields: wire.RequestFields, features: dict[Feature, None], extras: list[str]) -> None:
    """Note what the neutral model has no field for."""
    modalities = fields.modalities or ()
    met = {
        Feature.LOGIT_BIAS: wire.filled(fields.logit_bias),
        Feature.AUDIO_OUTPUT: "audio" in modalities,
        Feature.IMAGE_OUTPUT: "image" in modalities,
        Feature.PREDICTION: wire.filled(fields.prediction),
        Feature.STORE: fields.store is not None,
        Feature.METADATA: wire.filled(fields.metadata),
        Feature.TOOL_BUILT_IN: fields.web_search_options is not msgspec.UNSET
        and bytes(fields.web_search_options) != b"null",
    }
    for feature, used in met.items():
        if used:
            features[feature] = None
    # The neutral model has no field for it, and the table calls it lossless between OpenAI's dialects: as an extra
    # field it is a hint everywhere.
    if fields.verbosity is not None:
        extras.append("verbosity")
    if fields.logit_bias is not msgspec.UNSET and bytes(fields.logit_bias) == b"{}":
        extras.append("logit_bias")
    if fields.stream_options is not None and fields.stream_options.include_obfuscation is not None:
        extras.append("stream_options.include_obfuscation")
