"""Reads a generateContent request into a neutral one (DIALECTS section 2). Called by the dispatcher.

Either spelling of a member is understood (`spelling`). What the neutral form has no place for stands in the request's
features and extras, for the writers to report.
"""

import msgspec

from trunkline.protocol.body import bad_json
from trunkline.protocol.camel_key import camel_key
from trunkline.protocol.fidelity import Feature
from trunkline.protocol.gemini.config_reader import ConfigReader
from trunkline.protocol.gemini.content_reader import ContentReader
from trunkline.protocol.gemini.decoding import bad_field, decoded, object_fields
from trunkline.protocol.gemini.spelling import camel_case
from trunkline.protocol.gemini.tool_reader import read_tool_choice, read_tools
from trunkline.protocol.gemini.wire import Content
from trunkline.protocol.json_span import decode_cleaned
from trunkline.protocol.model import Request, Text
from trunkline.protocol.splice import PRIVATE_FIELDS

_KNOWN = frozenset(
    {
        *("contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "serviceTier"),
        # The path says it better.
        "model",
        *(camel_key(name) for name in PRIVATE_FIELDS),
    }
)

_FEATURES = {
    "safetySettings": Feature.SAFETY_SETTINGS,
    "cachedContent": Feature.CACHED_CONTENT,
    "labels": Feature.METADATA,
    "store": Feature.STORE,
    "continuationToken": Feature.STATE,
}

_NOTHING = frozenset({b"null", b'""', b"[]", b"{}"})

_decode_contents = msgspec.json.Decoder(list[Content] | Content).decode
_decode_system = msgspec.json.Decoder(Content | str).decode
_decode_text = msgspec.json.Decoder(str | None).decode


def read_request(body: bytes, *, stream: bool) -> Request:
    """Return the neutral request.

    Args:
        body: as `request.read_head` accepted it.
        stream: whether the path asks for a stream.

    Raises:
        FaultError: ``client_bad_request``: something in it cannot be understood; names the field.
    """
    fields = _fields(body)
    extras: dict[str, None] = {}
    reader = ContentReader()
    features = reader.features
    for key, value in fields.items():
        feature = _FEATURES.get(key)
        if feature is not None:
            if bytes(value) not in _NOTHING:
                features[feature] = None
        elif key not in _KNOWN:
            extras[key] = None
    contents = decoded(_decode_contents, fields.get("contents", msgspec.Raw(b"[]")), "contents")
    turns = reader.turns([contents] if isinstance(contents, Content) else contents)
    tools = read_tools(fields.get("tools"), features)
    config = ConfigReader(fields.get("generationConfig"), features, extras)
    tier = fields.get("serviceTier")
    return Request(
        turns=turns,
        instructions=_instructions(fields.get("systemInstruction")),
        tools=tools,
        tool_choice=read_tool_choice(fields.get("toolConfig"), extras),
        max_output=config.max_output,
        stop=config.stop,
        choices=config.choices,
        logprobs=config.logprobs,
        sampling=config.sampling,
        thinking=config.thinking,
        output=config.output,
        service_tier=(decoded(_decode_text, tier, "serviceTier") if tier is not None else None) or "",
        stream=stream,
        features=tuple(features),
        extras=tuple(extras),
    )


def _fields(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        return decode_cleaned(lambda source: object_fields(camel_case(source)), body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise bad_json("The request body must be a JSON object.") from None


def _instructions(system: msgspec.Raw | None) -> tuple[Text, ...]:
    if system is None or bytes(system) == b"null":
        return ()
    content = decoded(_decode_system, system, "systemInstruction")
    if isinstance(content, str):
        return (Text(content),)
    texts = []
    for number, part in enumerate(content.all_parts):
        if part.text is None:
            raise bad_field(f"systemInstruction.parts[{number}]", "must be a text")
        texts.append(Text(part.text))
    return tuple(texts)
