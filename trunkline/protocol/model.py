"""The neutral request: what a conversation asks for, whoever's words it was asked in.

A client dialect's reader makes one, an upstream dialect's writer turns it into a body; neither knows of the other, so
that N dialects need N readers and N writers. It exists only where the two differ: within one dialect a request stays
bytes. Everything is immutable; a field that a dialect has no word for is at its default.

Order is meaning: turns and parts stand as the client sent them, and a writer that must regroup them (tool results into
turns of their own, neighbours of one role into one) does so deterministically, since the same request must give the
same bytes or no provider's prompt cache ever hits.
"""

from enum import StrEnum

import msgspec

from trunkline.protocol.fidelity import Feature


class CacheMark(StrEnum):
    """A prompt-cache breakpoint behind a part: how long the provider should keep what stands up to here."""

    SHORT = "5m"
    LONG = "1h"


class Proof(msgspec.Struct, frozen=True):
    """A model's own evidence of its reasoning; only its provider can read it, and only unaltered.

    Attributes:
        dialect: whose it is, such as ``anthropic``.
        data: as the provider sent it.
    """

    dialect: str
    data: str


# --- Parts of a turn ---------------------------------------------------------------------------------------------


class Text(msgspec.Struct, frozen=True, tag=True):
    """Words. Empty text is kept by readers where the client sent it and dropped by writers that must."""

    text: str
    cache: CacheMark | None = None


class Image(msgspec.Struct, frozen=True, tag=True):
    """A picture, by ``url`` or as ``data``; exactly one of both is set.

    Attributes:
        url: http or https.
        data: base64 in the standard alphabet, without white space.
        media_type: of ``data``, such as ``image/png``.
        detail: ``low``, ``high``, ``auto`` or ``original``; empty if unsaid.
    """

    url: str = ""
    data: str = ""
    media_type: str = ""
    detail: str = ""
    cache: CacheMark | None = None


class File(msgspec.Struct, frozen=True, tag=True):
    """A document, by ``url``, as base64 ``data``, or as plain ``text``; exactly one of them is set.

    Attributes:
        media_type: of ``data``, such as ``application/pdf``.
        name: of the file, or its title; may be empty.
        context: words about it that are not part of it.
        citations: whether the answer may cite it.
    """

    url: str = ""
    data: str = ""
    text: str = ""
    media_type: str = ""
    name: str = ""
    context: str = ""
    citations: bool = False
    cache: CacheMark | None = None


class Audio(msgspec.Struct, frozen=True, tag=True):
    """Sound as base64 ``data``; ``media_type`` such as ``audio/wav``."""

    data: str
    media_type: str


class Refusal(msgspec.Struct, frozen=True, tag=True):
    """An earlier answer's words of refusal."""

    text: str


class Reasoning(msgspec.Struct, frozen=True, tag=True):
    """What a model thought before it answered.

    Attributes:
        text: readable part or summary; may be empty.
        proof: must come back in place and unaltered to the provider that gave it.
        redacted: ``proof`` is all there is: the provider showed no text.
    """

    text: str = ""
    proof: Proof | None = None
    redacted: bool = False


class ToolCall(msgspec.Struct, frozen=True, tag=True):
    """A model's call of a tool.

    Attributes:
        id: joins call and result; minted by the reader where the dialect has none.
        name: of the tool.
        arguments: source text of a JSON object; empty for none. Never decoded and encoded on the way.
        custom: a free-form tool, whose ``arguments`` are plain text.
        proof: what Gemini hangs on a call.
    """

    id: str
    name: str
    arguments: str
    custom: bool = False
    proof: Proof | None = None
    cache: CacheMark | None = None


class ToolResult(msgspec.Struct, frozen=True, tag=True):
    """What a tool answered. Stands in a user turn.

    Attributes:
        id: of the call.
        name: of the tool, looked up by the reader from the call where the dialect does not repeat it; may be empty.
        parts: texts, images and files.
        failed: the tool reported an error.
        custom: the result of a free-form tool.
    """

    id: str
    name: str
    parts: tuple[Text | Image | File, ...]
    failed: bool = False
    custom: bool = False
    cache: CacheMark | None = None


Part = Text | Image | File | Audio | Refusal | Reasoning | ToolCall | ToolResult


class Role(StrEnum):
    """Whose turn it is."""

    SYSTEM = "system"
    """Instructions in the middle of a conversation; those at its start are `Request.instructions`."""
    USER = "user"
    ASSISTANT = "assistant"


class Turn(msgspec.Struct, frozen=True):
    """One turn.

    Attributes:
        role: whose.
        parts: in order; may be empty, as chat histories have such turns.
        name: of the participant; a hint.
    """

    role: Role
    parts: tuple[Part, ...]
    name: str = ""


# --- Tools -------------------------------------------------------------------------------------------------------


class Tool(msgspec.Struct, frozen=True):
    """A function that the model may call.

    Attributes:
        schema: JSON source of the parameters' schema; empty for a tool without parameters.
        strict: whether arguments must follow the schema exactly; None if unsaid.
        custom: takes free text instead of an object; ``schema`` is empty.
    """

    name: str
    description: str = ""
    schema: bytes = b""
    strict: bool | None = None
    custom: bool = False
    cache: CacheMark | None = None


class ToolMode(StrEnum):
    """Whether tools are called."""

    AUTO = "auto"
    REQUIRED = "required"
    NONE = "none"


class ToolChoice(msgspec.Struct, frozen=True):
    """Whether, and which.

    Attributes:
        mode: see there.
        only: names that may be called; empty for all.
    """

    mode: ToolMode
    only: tuple[str, ...] = ()


# --- What the answer should be -----------------------------------------------------------------------------------


class Format(StrEnum):
    """Form of the answer's text."""

    TEXT = "text"
    JSON = "json"
    SCHEMA = "schema"


class OutputFormat(msgspec.Struct, frozen=True):
    """Form of the answer's text; name, description, schema (JSON source) and strict belong to `Format.SCHEMA`."""

    form: Format
    name: str = ""
    description: str = ""
    schema: bytes = b""
    strict: bool | None = None


class Effort(StrEnum):
    """How hard a model thinks, from least to most."""

    NONE = "none"
    MINIMAL = "minimal"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"
    MAX = "max"


class Thinking(msgspec.Struct, frozen=True):
    """How much to think, and whether to show it. All unset: as the model does by itself.

    Attributes:
        effort: a level.
        budget: tokens; -1 lets the model decide. A client states one of both.
        adaptive: the model decides (Anthropic).
        show: whether the client wants to read it; None if unsaid.
    """

    effort: Effort | None = None
    budget: int | None = None
    adaptive: bool = False
    show: bool | None = None


class Sampling(msgspec.Struct, frozen=True):
    """How tokens are drawn; None: unsaid, and then never written."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None


class Request(msgspec.Struct, frozen=True):
    """A conversation and what is wanted next.

    Attributes:
        turns: after the leading instructions.
        instructions: leading system texts, in order.
        max_output: bound on output tokens; None if unsaid.
        stop: sequences that end the answer.
        choices: how many answers.
        logprobs: None: none; else how many alternatives for each token, 0 for the token's own.
        parallel_tools: False: one call at a time; None if unsaid.
        output: form of the text.
        cache_key: groups requests that share a prompt.
        user: the client's own user, as the client names it; never leaves the gateway as it is.
        service_tier: as the client said it; empty if unsaid.
        stream: whether the client wants a stream.
        wants_usage: whether a chat client wants the usage chunk of a stream.
        features: what the request uses beside all this, and a writer must report (`fidelity.Crossing.lose_all`).
        extras: fields that nobody knows, by the client's name for them; reported, too.
        own_fields: name and JSON of the client's top-level fields that are not, or not wholly, in all this: for a
            provider of the client's own dialect, and of use to no other.
    """

    turns: tuple[Turn, ...]
    instructions: tuple[Text, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    max_output: int | None = None
    stop: tuple[str, ...] = ()
    choices: int = 1
    logprobs: int | None = None
    sampling: Sampling = Sampling()
    thinking: Thinking = Thinking()
    output: OutputFormat = OutputFormat(Format.TEXT)
    cache_key: str = ""
    user: str = ""
    service_tier: str = ""
    stream: bool = False
    wants_usage: bool = False
    features: tuple[Feature, ...] = ()
    extras: tuple[str, ...] = ()
    own_fields: tuple[tuple[str, bytes], ...] = ()


def without_proofs(request: Request) -> Request:
    """Return a request whose history has no reasoning and no proof of any, for an account that cannot read them."""
    turns = []
    for turn in request.turns:
        parts = tuple(
            msgspec.structs.replace(part, proof=None) if isinstance(part, ToolCall) else part
            for part in turn.parts
            if not isinstance(part, Reasoning)
        )
        turns.append(msgspec.structs.replace(turn, parts=parts))
    return msgspec.structs.replace(request, turns=tuple(turns))
