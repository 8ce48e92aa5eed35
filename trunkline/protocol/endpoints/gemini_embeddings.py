"""Gemini's ``:embedContent`` and ``:batchEmbedContents``, from Gemini itself and from providers of OpenAI's form.

The model stands in the path; bodies come in camelCase or snake_case (DIALECTS section 1).
"""

import re

import msgspec

from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol.body import BodyReader, filled_list
from trunkline.protocol.camel_key import camel_key
from trunkline.protocol.dialect import ClientRequest, WholeAnswer
from trunkline.protocol.endpoint import EndpointCall, Provider
from trunkline.protocol.endpoints.embedding_answers import (
    Embeddings,
    invalid_embeddings,
    read_gemini,
    read_openai,
    write_gemini,
)
from trunkline.protocol.endpoints.input_count import count_members
from trunkline.protocol.endpoints.json_value import start_of
from trunkline.protocol.endpoints.provider_call import JSON, gemini_call, gemini_resource, openai_call
from trunkline.protocol.endpoints.vectors import VectorError
from trunkline.protocol.fidelity import Crossing, Feature
from trunkline.protocol.json_span import without_lone_surrogates
from trunkline.protocol.names import GEMINI, OPENAI_CHAT, UPSTREAM_GEMINI
from trunkline.protocol.splice import PRIVATE_FIELDS, BodyChanges, ruled


class _Fields(msgspec.Struct):
    content: msgspec.Raw = msgspec.Raw()
    requests: msgspec.Raw = msgspec.Raw()


_READER = BodyReader(
    _Fields,
    {
        "content": '`content` must be an object with parts, such as {"parts": [{"text": "…"}]}.',
        "requests": "`requests` must be a list with at least one request, each an object with a `content`.",
    },
    example="a JSON object with the content to embed",
    large=("content", "requests"),
)

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_requests = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode
_decode_sources = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode
_ABSENT = msgspec.Raw()


class GeminiEmbedContent:
    """One content; see `protocol.endpoint`."""

    name = "embed_content"
    _method = "embedContent"
    _batch = False

    def read_head(self, body: bytes, content_type: str) -> ClientRequest:
        """See `Endpoint`. The model is empty: it stands in the path."""
        _read_requests(body, batch=self._batch)
        return ClientRequest("", stream=False)

    def count_input(self, body: bytes) -> int:
        """Return an estimate of the input tokens. Never raises, takes bounded time."""
        return count_members(body, ("content", "requests"))

    def open(self, body: bytes, content_type: str, provider: Provider) -> EndpointCall:
        """See `Endpoint`."""
        if provider.dialect == UPSTREAM_GEMINI:
            call = gemini_call(provider.model, self._method)
            return EndpointCall(_prepared(body, provider), JSON, call, whole=_read_own, answer_type=JSON)
        call = openai_call(provider, "/embeddings", "embeddings")
        crossing = Crossing(GEMINI, OPENAI_CHAT)
        wanted = _wanted(body, crossing, batch=self._batch)

        def whole(answer: bytes) -> tuple[WholeAnswer, bytes]:
            embeddings = read_openai(answer, len(wanted.texts))
            if not isinstance(embeddings, Embeddings):
                return WholeAnswer(None, 0, embeddings), b""
            try:
                return WholeAnswer(embeddings.units, 0, None), write_gemini(embeddings, batch=self._batch)
            except VectorError:
                return WholeAnswer(None, 0, invalid_embeddings()), b""

        return EndpointCall(
            ruled(_encode(_OpenAIRequest(provider.model, wanted.texts, "float", wanted.dimensions)), provider.rules),
            JSON,
            call,
            whole=whole,
            answer_type=JSON,
            fidelity=crossing.header(),
        )


class GeminiBatchEmbedContents(GeminiEmbedContent):
    """Many contents; see `protocol.endpoint`."""

    name = "batch_embed_contents"
    _method = "batchEmbedContents"
    _batch = True


def _read_requests(body: bytes, *, batch: bool) -> None:
    """Check that a body has its contents.

    Raises:
        FaultError: ``client_bad_json`` or ``client_bad_request``.
    """
    fields = _READER.read(body)
    if not batch:
        if start_of(fields.content) != b"{":
            raise _READER.bad_field("content")
        return
    if not filled_list(fields.requests):
        raise _READER.bad_field("requests")
    try:
        requests = _decode_requests(fields.requests)
    except msgspec.DecodeError:
        raise _READER.bad_field("requests") from None
    if not all(start_of(request.get("content", _ABSENT)) == b"{" for request in requests):
        raise _READER.bad_field("requests")


# --- to Gemini -------------------------------------------------------------------------------------------------------


def _prepared(body: bytes, provider: Provider) -> bytes:
    """Return the body for Gemini. A model that it names, or one of its requests, has to be the one in the path."""
    changes = BodyChanges(body, camel_key)
    changes.drop_private()
    resource = gemini_resource(provider.model)
    _put_model(changes, resource)
    for index in changes.present("requests"):
        source = changes.value(index)
        requests = [bytes(request) for request in _decode_sources(without_lone_surrogates(source))]
        named = [_named(request, resource) for request in requests]
        if named != requests:
            changes.replaced[index] = b"[" + b",".join(named) + b"]"
    return changes.ruled(provider.rules)


def _named(request: bytes, resource: str) -> bytes:
    changes = BodyChanges(request)
    _put_model(changes, resource)
    return changes.result()


def _put_model(changes: BodyChanges, resource: str) -> None:
    if changes.present("model"):
        changes.put_text("model", resource)


def _read_own(answer: bytes) -> tuple[WholeAnswer, bytes]:
    embeddings = read_gemini(answer)
    if not isinstance(embeddings, Embeddings):
        return WholeAnswer(None, 0, embeddings), b""
    return WholeAnswer(embeddings.units, 0, None), answer


# --- to OpenAI -------------------------------------------------------------------------------------------------------


class _OpenAIRequest(msgspec.Struct, omit_defaults=True):
    model: str
    input: list[str]
    encoding_format: str
    dimensions: int | None = None


class _Wanted(msgspec.Struct):
    """What contents say: their texts, and the one size of the vectors."""

    texts: list[str]
    dimensions: int | None = None


class _Part(msgspec.Struct):
    text: str


class _Content(msgspec.Struct):
    parts: list[_Part] | _Part


_decode_content = msgspec.json.Decoder(_Content).decode
_decode_dimensions = msgspec.json.Decoder(int).decode
_CAPITAL = re.compile(r"(?<=[a-z])([A-Z])")


def _wanted(body: bytes, crossing: Crossing, *, batch: bool) -> _Wanted:
    """Return what a body asks for, and report what OpenAI's form has no word for.

    Raises:
        FaultError: ``client_bad_request``: OpenAI's form cannot say it.
    """
    members = _decode_members(without_lone_surrogates(body))
    requests = [members]
    if batch:
        requests = _decode_requests(members.pop("requests"))
        _read_request(members, crossing)
    read = [_read_request(request, crossing) for request in requests]
    sizes = {dimensions for _, dimensions in read}
    if len(sizes) > 1:
        raise _refusal(
            "`outputDimensionality` must be the same in all requests for this model.", "outputDimensionality"
        )
    return _Wanted([text for text, _ in read], sizes.pop())


def _read_request(request: dict[str, msgspec.Raw], crossing: Crossing) -> tuple[str, int | None]:
    """Return a request's text, and the size of its vector; names what is lost in snake case, as all headers do."""
    text, dimensions = "", None
    for key, value in request.items():
        if key in PRIVATE_FIELDS or bytes(value) == b"null":
            continue
        match _CAPITAL.sub(r"_\1", key).lower():
            case "model":
                pass
            case "content":
                text = _text(value)
            case "output_dimensionality":
                dimensions = _dimensions(value)
            case "embed_content_config" if start_of(value) == b"{":
                dimensions = _read_request(_decode_members(value), crossing)[1]
            case name:
                crossing.lose(Feature.EXTRA, name)
    return text, dimensions


def _text(content: msgspec.Raw) -> str:
    try:
        parts = _decode_content(content).parts
    except msgspec.DecodeError:
        message = "`content` must have text parts alone for this model: its provider embeds texts."
        raise _refusal(message, "content") from None
    return parts.text if isinstance(parts, _Part) else "\n".join([part.text for part in parts])


def _dimensions(value: msgspec.Raw) -> int:
    try:
        dimensions = _decode_dimensions(value)
    except msgspec.DecodeError:
        dimensions = 0
    if not 0 < dimensions < 2**31:
        raise _refusal("`outputDimensionality` must be a positive whole number.", "outputDimensionality")
    return dimensions


def _refusal(message: str, param: str) -> FaultError:
    return FaultError(Fault(ErrorType.CLIENT_BAD_REQUEST, message, param=param))
