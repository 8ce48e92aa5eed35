"""What a crossing between two dialects keeps: the table, and the one place where it is applied.

A request that stays in its dialect is not translated and loses nothing. One that crosses may use features that the
target has no word for. Each is a row here with a mark per target; writers report what they meet by `Crossing.lose`, and
the mark decides. docs/fidelity.md is made from this table, and the response header ``x-trunkline-fidelity`` from what
was lost.
"""

import re
from collections.abc import Iterable
from enum import StrEnum

import msgspec

from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol.names import ANTHROPIC, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES

NAMES_MAX = 32
"""Names in the header; a request with more lost fields is not worth a longer one."""

NAME_CHARS_MAX = 64
"""Of one name: a field that nobody knows is named as the client typed it."""

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]")


class Mark(StrEnum):
    """What becomes of a feature in a crossing."""

    LOSSLESS = "lossless"
    DEGRADED = "degraded"
    """The answer still means the same; the header names it."""
    HINT = "dropped"
    """It changes cost, speed or style, not which answer is right; the header names it."""
    REFUSED = "refused"
    """Without it the answer would mean something else: 400."""


class Feature(StrEnum):
    """What a request may use. The value is the row's name in the docs and in the header."""

    INSTRUCTIONS_MIDWAY = "instructions_midway"
    PARTICIPANT_NAME = "participant_name"
    STARTS_WITH_ASSISTANT = "starts_with_assistant"
    PREFILL = "prefill"
    IMAGE_URL = "image_url"
    IMAGE_DETAIL = "image_detail"
    FILE_URL = "file_url"
    FILE_ID = "file_id"
    FILE_CONTEXT = "file_context"
    FILE_NAME = "file_name"
    AUDIO_INPUT = "audio_input"
    VIDEO_INPUT = "video_input"
    SEARCH_RESULT = "search_result"
    REFUSAL_HISTORY = "refusal_history"
    RESULT_IMAGE = "tool_result_image"
    RESULT_FAILED = "tool_result_failed"
    TEMPERATURE_OVER_ONE = "temperature_over_one"
    TEMPERATURE_WITH_TOP_P = "temperature_with_top_p"
    SAMPLING_REFUSED = "sampling_refused_by_model"
    TOP_K = "top_k"
    PENALTIES = "penalties"
    SEED = "seed"
    STOP = "stop"
    STOP_MANY = "stop_too_many"
    CHOICES = "choices"
    LOGPROBS = "logprobs"
    LOGIT_BIAS = "logit_bias"
    AUDIO_OUTPUT = "audio_output"
    IMAGE_OUTPUT = "image_output"
    PREDICTION = "prediction"
    VERBOSITY = "verbosity"
    STORE = "store"
    STATE = "stored_state"
    METADATA = "metadata"
    USER = "user"
    SERVICE_TIER = "service_tier"
    SAFETY_SETTINGS = "safety_settings"
    CACHE_KEY = "cache_key"
    CACHE_MARKS = "cache_marks"
    CACHED_CONTENT = "cached_content"
    TOOL_STRICT = "tool_strict"
    TOOL_SUBSET = "tool_subset"
    TOOL_CUSTOM = "custom_tool"
    TOOL_GRAMMAR = "custom_tool_grammar"
    TOOL_BUILT_IN = "built_in_tool"
    TOOL_FORCED = "forced_tool_with_thinking"
    TOOL_BRIDGE = "text_behind_tool_results"
    PARALLEL_OFF = "parallel_tools_off"
    JSON_FORM = "json_object"
    SCHEMA_FORM = "json_schema"
    EFFORT = "reasoning_effort"
    SHOW_REASONING = "reasoning_summary"
    FOREIGN_PROOF = "foreign_reasoning_proof"
    REASONING_HISTORY = "reasoning_history"
    EXTRA = "extra_field"


class Row(msgspec.Struct, frozen=True):
    """One feature.

    Attributes:
        feature: see there.
        marks: by target dialect; one that is missing is lossless.
        becomes: what a degraded one turns into, for the docs.
        fields: what clients call it, by their dialect, for the 400 and its ``param``.
    """

    feature: Feature
    marks: dict[str, Mark]
    becomes: str
    fields: dict[str, str] = {}


_D, _H, _R = Mark.DEGRADED, Mark.HINT, Mark.REFUSED


def _row(
    feature: Feature,
    becomes: str,
    *,
    chat: Mark | None = None,
    resp: Mark | None = None,
    anth: Mark | None = None,
    gem: Mark | None = None,
    fields: dict[str, str] | None = None,
) -> Row:
    marks = {OPENAI_CHAT: chat, OPENAI_RESPONSES: resp, ANTHROPIC: anth, GEMINI: gem}
    return Row(feature, {name: mark for name, mark in marks.items() if mark is not None}, becomes, fields or {})


_ROWS = (
    _row(Feature.INSTRUCTIONS_MIDWAY, "a user text marked as an instruction, in its place", chat=_D, anth=_D, gem=_D),
    _row(Feature.PARTICIPANT_NAME, "nothing", resp=_H, anth=_H, gem=_H, fields={OPENAI_CHAT: "messages.name"}),
    _row(
        Feature.STARTS_WITH_ASSISTANT,
        "",
        anth=_R,
        gem=_R,
        fields={OPENAI_CHAT: "messages", OPENAI_RESPONSES: "input", ANTHROPIC: "messages", GEMINI: "contents"},
    ),
    _row(
        Feature.PREFILL,
        "",
        chat=_R,
        resp=_R,
        anth=_R,
        gem=_R,
        fields={OPENAI_CHAT: "messages", OPENAI_RESPONSES: "input", ANTHROPIC: "messages", GEMINI: "contents"},
    ),
    _row(
        Feature.IMAGE_URL,
        "fetched and sent inline; a file URI where the channel says that its models fetch public URLs",
        gem=_D,
    ),
    _row(Feature.IMAGE_DETAIL, "nothing", anth=_H, gem=_H),
    _row(
        Feature.FILE_URL,
        "fetched and sent inline by a channel with `inline_images`",
        chat=_R,
        fields={OPENAI_RESPONSES: "file_url", ANTHROPIC: "source.url", GEMINI: "fileData.fileUri"},
    ),
    _row(
        Feature.FILE_ID,
        "",
        chat=_R,
        resp=_R,
        anth=_R,
        gem=_R,
        fields={OPENAI_CHAT: "file_id", OPENAI_RESPONSES: "file_id", ANTHROPIC: "source.file_id", GEMINI: "fileUri"},
    ),
    _row(Feature.FILE_CONTEXT, "a text before the file", chat=_D, resp=_D, gem=_D),
    _row(Feature.FILE_NAME, "nothing", gem=_H),
    _row(
        Feature.AUDIO_INPUT,
        "",
        resp=_R,
        anth=_R,
        fields={OPENAI_CHAT: "input_audio", GEMINI: "inlineData"},
    ),
    _row(
        Feature.VIDEO_INPUT,
        "",
        chat=_R,
        resp=_R,
        anth=_R,
        gem=_R,
        fields={OPENAI_CHAT: "video_url", GEMINI: "inlineData"},
    ),
    _row(Feature.SEARCH_RESULT, "a text with its source", chat=_D, resp=_D, gem=_D),
    _row(Feature.REFUSAL_HISTORY, "a text", anth=_D, gem=_D),
    _row(Feature.RESULT_IMAGE, "an image in a user message behind the results", chat=_D, gem=_D),
    _row(Feature.RESULT_FAILED, "a text that begins with `Error: `", chat=_D, resp=_D),
    _row(Feature.TEMPERATURE_OVER_ONE, "1", anth=_D, fields={OPENAI_CHAT: "temperature"}),
    _row(Feature.TEMPERATURE_WITH_TOP_P, "temperature alone", anth=_D),
    _row(Feature.SAMPLING_REFUSED, "nothing: the model takes none", chat=_H, resp=_H, anth=_H, gem=_H),
    _row(Feature.TOP_K, "nothing", chat=_H, resp=_H),
    _row(Feature.PENALTIES, "nothing", resp=_H, anth=_H),
    _row(Feature.SEED, "nothing", resp=_H, anth=_H),
    _row(
        Feature.STOP,
        "",
        resp=_R,
        fields={OPENAI_CHAT: "stop", ANTHROPIC: "stop_sequences", GEMINI: "generationConfig.stopSequences"},
    ),
    _row(
        Feature.STOP_MANY,
        "",
        chat=_R,
        gem=_R,
        fields={OPENAI_CHAT: "stop", ANTHROPIC: "stop_sequences", GEMINI: "generationConfig.stopSequences"},
    ),
    _row(
        Feature.CHOICES,
        "",
        resp=_R,
        anth=_R,
        fields={OPENAI_CHAT: "n", GEMINI: "generationConfig.candidateCount"},
    ),
    _row(
        Feature.LOGPROBS,
        "",
        resp=_R,
        anth=_R,
        gem=_R,
        chat=_R,
        fields={
            OPENAI_CHAT: "logprobs",
            OPENAI_RESPONSES: "top_logprobs",
            GEMINI: "generationConfig.responseLogprobs",
        },
    ),
    _row(Feature.LOGIT_BIAS, "", resp=_R, anth=_R, gem=_R, fields={OPENAI_CHAT: "logit_bias"}),
    _row(
        Feature.AUDIO_OUTPUT,
        "",
        chat=_R,
        resp=_R,
        anth=_R,
        gem=_R,
        fields={OPENAI_CHAT: "modalities", GEMINI: "generationConfig.responseModalities"},
    ),
    _row(
        Feature.IMAGE_OUTPUT,
        "",
        chat=_R,
        resp=_R,
        anth=_R,
        fields={OPENAI_CHAT: "modalities", GEMINI: "generationConfig.responseModalities"},
    ),
    _row(Feature.PREDICTION, "nothing", resp=_H, anth=_H, gem=_H),
    _row(Feature.VERBOSITY, "nothing", anth=_H, gem=_H),
    _row(Feature.STORE, "nothing", chat=_H, resp=_H, anth=_H, gem=_H),
    _row(
        Feature.STATE,
        "",
        chat=_R,
        resp=_R,
        anth=_R,
        gem=_R,
        fields={OPENAI_RESPONSES: "previous_response_id", ANTHROPIC: "container"},
    ),
    _row(Feature.METADATA, "nothing", chat=_H, resp=_H, anth=_H, gem=_H),
    _row(Feature.USER, "nothing", chat=_H, resp=_H, anth=_H, gem=_H),
    _row(Feature.SERVICE_TIER, "nothing", chat=_H, resp=_H, anth=_H, gem=_H),
    _row(Feature.SAFETY_SETTINGS, "nothing", chat=_H, resp=_H, anth=_H),
    _row(Feature.CACHE_KEY, "nothing", anth=_H, gem=_H),
    _row(Feature.CACHE_MARKS, "nothing", chat=_H, resp=_H, gem=_H),
    _row(Feature.CACHED_CONTENT, "", chat=_R, resp=_R, anth=_R, fields={GEMINI: "cachedContent"}),
    _row(Feature.TOOL_STRICT, "nothing", chat=_H, gem=_H),
    _row(Feature.TOOL_SUBSET, "the other tools are left out", anth=_D),
    _row(Feature.TOOL_CUSTOM, "a function with one string field, unwrapped on the way back", anth=_D, gem=_D),
    _row(
        Feature.TOOL_GRAMMAR,
        "",
        anth=_R,
        gem=_R,
        fields={OPENAI_CHAT: "tools.custom.format", OPENAI_RESPONSES: "tools.format"},
    ),
    _row(
        Feature.TOOL_BUILT_IN,
        "",
        chat=_R,
        resp=_R,
        anth=_R,
        gem=_R,
        fields={OPENAI_CHAT: "tools", OPENAI_RESPONSES: "tools", ANTHROPIC: "tools", GEMINI: "tools"},
    ),
    _row(Feature.TOOL_FORCED, "a free choice", chat=_D, anth=_D),
    _row(Feature.TOOL_BRIDGE, "the same behind a configured word of the assistant", chat=_D),
    _row(Feature.PARALLEL_OFF, "nothing: the model may still call several", chat=_D, gem=_D),
    _row(Feature.JSON_FORM, "an instruction to answer with a JSON object", anth=_D),
    _row(
        Feature.SCHEMA_FORM,
        "what the provider knows of it, or a tool that demands it",
        chat=_D,
        anth=_D,
        fields={
            OPENAI_CHAT: "response_format",
            OPENAI_RESPONSES: "text.format",
            ANTHROPIC: "output_config.format",
            GEMINI: "generationConfig.responseJsonSchema",
        },
    ),
    _row(Feature.EFFORT, "the nearest setting that the model has", chat=_D, resp=_D, anth=_D, gem=_D),
    _row(Feature.SHOW_REASONING, "nothing", chat=_H),
    _row(Feature.FOREIGN_PROOF, "history without that reasoning", chat=_D, resp=_D, anth=_D, gem=_D),
    _row(Feature.REASONING_HISTORY, "history without earlier reasoning", chat=_H, resp=_H, anth=_H, gem=_H),
    _row(Feature.EXTRA, "nothing", chat=_H, resp=_H, anth=_H, gem=_H),
)

TABLE: dict[Feature, Row] = {row.feature: row for row in _ROWS}
"""Every feature's row."""


class Crossing:
    """One request on its way from a client's dialect to an upstream's; collects what is lost.

    Args:
        client, upstream: names of the dialects.
    """

    __slots__ = ("_degraded", "_dropped", "client", "upstream")

    def __init__(self, client: str, upstream: str) -> None:
        self.client = client
        self.upstream = upstream
        self._dropped: dict[str, None] = {}
        self._degraded: dict[str, None] = {}

    def lose(self, feature: Feature, field: str = "") -> None:
        """The writer has met a feature that the target does not have as it is.

        Args:
            feature: which.
            field: what the client calls it here, where that is more exact than the row's name.

        Raises:
            FaultError: ``client_bad_request``: the table says that it must not be lost.
        """
        row = TABLE[feature]
        name = field or row.fields.get(self.client, feature.value)
        match row.marks.get(self.upstream, Mark.LOSSLESS):
            case Mark.DEGRADED:
                self._degraded[_shown(field) or feature.value] = None
            case Mark.HINT:
                self._dropped[_shown(field) or feature.value] = None
            case Mark.REFUSED:
                raise FaultError(_refusal(name))
            case Mark.LOSSLESS:
                raise AssertionError(f"{feature.value} is lossless towards {self.upstream}, and was lost")

    def lose_all(self, features: Iterable[Feature], extras: Iterable[str]) -> None:
        """Report what the client's reader met and the neutral model has no field for: `model.Request`'s last two.

        Raises:
            FaultError: as `lose`.
        """
        for feature in features:
            self.lose(feature)
        for name in extras:
            self.lose(Feature.EXTRA, name)

    def lose_inlined(self, features: Iterable[Feature]) -> None:
        """Report what was fetched and stands inline now, where the target degrades it; what it refuses is there now."""
        for feature in sorted(features):
            if TABLE[feature].marks.get(self.upstream) is Mark.DEGRADED:
                self.lose(feature)

    def header(self) -> str:
        """Return the value of ``x-trunkline-fidelity``; empty if nothing was lost. Names only, never what they held."""
        parts = [
            f"{word}={','.join(list(names)[:NAMES_MAX])}"
            for word, names in (("degraded", self._degraded), ("dropped", self._dropped))
            if names
        ]
        return "; ".join(parts)


def _shown(field: str) -> str:
    return _NOT_IN_NAMES.sub("_", field[:NAME_CHARS_MAX])


def _refusal(field: str) -> Fault:
    return Fault(
        ErrorType.CLIENT_BAD_REQUEST,
        f"`{field}` cannot be carried to the provider of this model. Leave it out, or use a model whose provider "
        "speaks the dialect of this request.",
        param=field,
        code="unsupported_parameter",
    )
