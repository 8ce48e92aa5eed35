"""``POST /v1/embeddings``: OpenAI's embeddings, from providers of its own form and from Gemini.

The client decides the form of the vectors, and gets it whatever the provider answers (DIALECTS section 7 and its
regression 25).
"""

from typing import Annotated

import msgspec

from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol.body import BodyReader, filled_list
from trunkline.protocol.dialect import ClientRequest, WholeAnswer
from trunkline.protocol.endpoint import EndpointCall, Provider
from trunkline.protocol.endpoints.answer_form import AnswerForm, FormReader, renamed
from trunkline.protocol.endpoints.embedding_answers import (
    Embeddings,
    invalid_embeddings,
    openai_tokens,
    read_gemini,
    write_openai,
)
from trunkline.protocol.endpoints.input_count import count_members
from trunkline.protocol.endpoints.json_value import start_of
from trunkline.protocol.endpoints.provider_call import JSON, gemini_call, gemini_resource, openai_call
from trunkline.protocol.endpoints.vectors import VectorError, VectorForm, asked_form, at_unit_length, in_form
from trunkline.protocol.fidelity import Crossing, Feature
from trunkline.protocol.json_span import without_lone_surrogates
from trunkline.protocol.names import GEMINI, UPSTREAM_GEMINI
from trunkline.protocol.routing_wish import WishFields, read_wish
from trunkline.protocol.splice import PRIVATE_FIELDS, BodyChanges, prepare_body, ruled


class _Fields(WishFields):
    model: str | msgspec.UnsetType = msgspec.UNSET
    input: msgspec.Raw = msgspec.Raw()
    encoding_format: str | None = None
    dimensions: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] | None = None


_READER = BodyReader(
    _Fields,
    {
        "model": "`model` must be a string naming a model, such as one that GET /v1/models lists.",
        "input": "`input` must be a text, a list of texts, or lists of token ids; not empty.",
        "encoding_format": "`encoding_format` must be `float` or `base64`.",
        "dimensions": "`dimensions` must be a positive whole number.",
    },
    example="a JSON object with `model` and `input`",
    large=("input",),
)


class _Item(msgspec.Struct, gc=False):
    embedding: msgspec.Raw = msgspec.Raw()


class _Answer(AnswerForm, gc=False):
    data: list[_Item] | None = None
    usage: msgspec.Raw = msgspec.Raw()


_ANSWER = FormReader(_Answer, "The provider's answer holds no embeddings.")

_STARTS = {VectorForm.FLOAT: b"[", VectorForm.BASE64: b'"'}


class OpenAIEmbeddings:
    """See `protocol.endpoint`."""

    name = "embeddings"

    def read_head(self, body: bytes, content_type: str) -> ClientRequest:
        """See `Endpoint`."""
        fields = _READER.read(body)
        if not (start_of(fields.input) == b'"' or filled_list(fields.input)):
            raise _READER.bad_field("input")
        return ClientRequest(_READER.model(fields.model), stream=False, wish=read_wish(fields))

    def count_input(self, body: bytes) -> int:
        """Return an estimate of the input tokens. Never raises, takes bounded time."""
        return count_members(body, ("input",))

    def open(self, body: bytes, content_type: str, provider: Provider) -> EndpointCall:
        """See `Endpoint`."""
        fields = _READER.read(body)
        form = asked_form(fields.encoding_format)
        if provider.dialect == UPSTREAM_GEMINI:
            return self._open_gemini(body, fields, form, provider)
        call = openai_call(provider, "/embeddings", "embeddings")
        changes = prepare_body(body, upstream_model=provider.model)
        # Some providers refuse a null here, and it says nothing.
        changes.removed.update(i for i in changes.present("encoding_format") if changes.value(i) == b"null")
        return EndpointCall(
            changes.ruled(provider.rules),
            JSON,
            call,
            whole=lambda answer: _read_answer(answer, form, provider),
            answer_type=JSON,
        )

    def _open_gemini(self, body: bytes, fields: _Fields, form: VectorForm | None, provider: Provider) -> EndpointCall:
        texts = _texts(fields.input)
        crossing = Crossing(self.name, GEMINI)
        for name in _decode_members(without_lone_surrogates(body)):
            if name not in _Fields.__struct_fields__ and name not in PRIVATE_FIELDS:
                crossing.lose(Feature.EXTRA, name)

        def whole(answer: bytes) -> tuple[WholeAnswer, bytes]:
            embeddings = read_gemini(answer, len(texts))
            if not isinstance(embeddings, Embeddings):
                return WholeAnswer(None, 0, embeddings), b""
            tokens = embeddings.tokens or self.count_input(body)
            try:
                if fields.dimensions is not None:
                    # OpenAI's are of length 1 at any size, and clients count on it; Gemini's only at the full one
                    # (DIALECTS section 7).
                    vectors = [at_unit_length(vector) for vector in embeddings.vectors]
                    embeddings = msgspec.structs.replace(embeddings, vectors=vectors)
                shown = write_openai(embeddings, form, provider.public_model, tokens)
            except VectorError:
                return WholeAnswer(None, 0, invalid_embeddings()), b""
            return WholeAnswer(embeddings.units, 0, None), shown

        return EndpointCall(
            ruled(_gemini_batch(texts, fields.dimensions, provider.model), provider.rules),
            JSON,
            gemini_call(provider.model, "batchEmbedContents"),
            whole=whole,
            answer_type=JSON,
            fidelity=crossing.header(),
        )


# --- within OpenAI's form --------------------------------------------------------------------------------------------


def _read_answer(body: bytes, form: VectorForm | None, provider: Provider) -> tuple[WholeAnswer, bytes]:
    answer = _ANSWER.read(body)
    if not isinstance(answer, _Answer):
        return WholeAnswer(None, 0, answer), b""
    if not answer.data:
        return WholeAnswer(None, 0, _ANSWER.invalid()), b""
    tokens = openai_tokens(answer.usage)
    units = Embeddings([], tokens).units
    try:
        if form is not None and not all(start_of(item.embedding) == _STARTS[form] for item in answer.data):
            body = _converted(body, form)
        return WholeAnswer(units, 0, None), renamed(body, provider)
    except (VectorError, FaultError):
        return WholeAnswer(None, 0, _ANSWER.invalid()), b""


def _converted(body: bytes, form: VectorForm | None) -> bytes:
    """Return an answer with its vectors in a form, every other byte as it was.

    Raises:
        VectorError: a vector cannot be converted.
    """
    changes = BodyChanges(body)
    for index in changes.present("data"):
        items = [bytes(item) for item in _decode_items(without_lone_surrogates(changes.value(index))) or ()]
        converted = [_converted_item(item, form) for item in items]
        if converted != items:
            changes.replaced[index] = b"[" + b",".join(converted) + b"]"
    return changes.result()


def _converted_item(item: bytes, form: VectorForm | None) -> bytes:
    changes = BodyChanges(item)
    for index in changes.present("embedding"):
        vector = changes.value(index)
        converted = in_form(vector, form)
        if converted is not vector:
            changes.replaced[index] = converted
    return changes.result()


_decode_items = msgspec.json.Decoder(list[msgspec.Raw] | None).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

# --- to Gemini -------------------------------------------------------------------------------------------------------


class _Part(msgspec.Struct):
    text: str


class _Content(msgspec.Struct):
    parts: tuple[_Part]


class _Request(msgspec.Struct, rename="camel", omit_defaults=True):
    model: str
    content: _Content
    output_dimensionality: int | None = None


class _Batch(msgspec.Struct):
    requests: list[_Request]


_decode_texts = msgspec.json.Decoder(str | list[str]).decode
_encode = msgspec.json.Encoder().encode


def _texts(source: msgspec.Raw) -> list[str]:
    """Return the inputs as texts.

    Raises:
        FaultError: ``client_bad_request``: token ids, which mean nothing to another tokenizer, or media.
    """
    try:
        texts = _decode_texts(without_lone_surrogates(bytes(source)))
    except msgspec.DecodeError:
        message = "`input` must be a text or a list of texts for this model: its provider takes no token ids."
        fault = Fault(ErrorType.CLIENT_BAD_REQUEST, message, param="input", code="unsupported_parameter")
        raise FaultError(fault) from None
    return [texts] if isinstance(texts, str) else texts


def _gemini_batch(texts: list[str], dimensions: int | None, model: str) -> bytes:
    # The model stands in each request, too, and has to be the one in the path.
    resource = gemini_resource(model)
    return _encode(_Batch([_Request(resource, _Content((_Part(text),)), dimensions) for text in texts]))
