"""Reads ``generationConfig``: limits, sampling, thinking, and the form of the answer (DIALECTS sections 2.3 to 2.6)."""

import msgspec

from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol.fidelity import Feature
from trunkline.protocol.gemini.decoding import bad_field, decoded, object_fields
from trunkline.protocol.gemini.request_wire import GenerationConfig, ThinkingConfig
from trunkline.protocol.gemini.tool_reader import read_schema
from trunkline.protocol.model import Effort, Format, OutputFormat, Sampling, Thinking

_PLACE = "generationConfig"

_KNOWN = frozenset(field.encode_name for field in msgspec.structs.fields(GenerationConfig))

_LEVELS = {
    "MINIMAL": Effort.MINIMAL,
    "LOW": Effort.LOW,
    "MEDIUM": Effort.MEDIUM,
    "HIGH": Effort.HIGH,
    "XHIGH": Effort.XHIGH,
}

_MODALITIES_BY_NUMBER = {1: "TEXT", 2: "IMAGE", 3: "AUDIO"}

_decode = msgspec.json.Decoder(GenerationConfig | None).decode


class ConfigReader:
    """What a ``generationConfig`` says, in neutral terms.

    Args:
        source: its JSON; None if there is none.
        features, extras: get what the neutral form has no place for.

    Raises:
        FaultError: ``client_bad_request``.

    Attributes:
        max_output, stop, choices, logprobs, sampling, thinking, output: as in `model.Request`.
    """

    def __init__(self, source: msgspec.Raw | None, features: dict[Feature, None], extras: dict[str, None]) -> None:
        config = decoded(_decode, source, _PLACE) if source is not None else None
        if config is None or source is None:
            config = GenerationConfig()
        else:
            for key in object_fields(source):
                if key not in _KNOWN:
                    extras[f"{_PLACE}.{key}"] = None
        self.max_output = _whole(config.max_output_tokens, "maxOutputTokens")
        self.stop = tuple(config.stop_sequences or ())
        self.choices = _whole(config.candidate_count, "candidateCount") or 1
        self.logprobs = (_whole(config.logprobs, "logprobs") or 0) if config.response_logprobs else None
        self.sampling = Sampling(
            temperature=config.temperature,
            top_p=config.top_p,
            top_k=_whole(config.top_k, "topK"),
            frequency_penalty=config.frequency_penalty,
            presence_penalty=config.presence_penalty,
            seed=_whole(config.seed, "seed"),
        )
        self.thinking = _thinking(config.thinking_config)
        self.output = _output(config)
        _note_media(config, features)


def _whole(value: float | str | None, name: str) -> int | None:
    """Return a whole number, in whichever form Google's JSON allows.

    Raises:
        FaultError: ``client_bad_request``.
    """
    if value is None or isinstance(value, int):
        return value
    try:
        number = float(value)
        if number == int(number):
            return int(number)
    except (ValueError, OverflowError):
        pass
    raise bad_field(f"{_PLACE}.{name}", "must be a whole number")


def _thinking(config: ThinkingConfig | None) -> Thinking:
    if config is None:
        return Thinking()
    level = (config.thinking_level or "").upper()
    effort = None
    if level and not level.endswith("_UNSPECIFIED"):
        effort = _LEVELS.get(level)
        if effort is None:
            raise bad_field(f"{_PLACE}.thinkingConfig.thinkingLevel", f"must be one of {', '.join(_LEVELS)}")
        if config.thinking_budget is not None:
            # Google refuses the pair, too (section 2.3).
            raise bad_field(f"{_PLACE}.thinkingConfig", "takes either `thinkingLevel` or `thinkingBudget`")
    return Thinking(effort=effort, budget=config.thinking_budget, show=config.include_thoughts)


def _output(config: GenerationConfig) -> OutputFormat:
    kind = (config.response_mime_type or "").lower()
    if kind not in {"", "text/plain", "application/json"}:
        raise _not_carried("responseMimeType", "Use application/json")
    if config.response_format is not msgspec.UNSET and bytes(config.response_format) not in {b"null", b"[]"}:
        raise _not_carried("responseFormat", "Use `responseMimeType` and `responseJsonSchema`")
    schema = read_schema(config.response_schema, config.response_json_schema, _PLACE, "responseSchema")
    if schema:
        return OutputFormat(Format.SCHEMA, schema=schema)
    return OutputFormat(Format.JSON if kind == "application/json" else Format.TEXT)


def _not_carried(name: str, instead: str) -> FaultError:
    """Return the error for a form of answer that no other dialect has."""
    message = f"`{_PLACE}.{name}` cannot be carried to the provider of this model. {instead}."
    param = f"{_PLACE}.{name}"
    return FaultError(Fault(ErrorType.CLIENT_BAD_REQUEST, message, param=param, code="unsupported_parameter"))


def _note_media(config: GenerationConfig, features: dict[Feature, None]) -> None:
    given = config.response_modalities or ()
    names = {_MODALITIES_BY_NUMBER.get(name, "") if isinstance(name, int) else name.upper() for name in given}
    if "AUDIO" in names or config.speech_config is not msgspec.UNSET:
        features[Feature.AUDIO_OUTPUT] = None
    if "IMAGE" in names or config.image_config is not msgspec.UNSET:
        features[Feature.IMAGE_OUTPUT] = None
