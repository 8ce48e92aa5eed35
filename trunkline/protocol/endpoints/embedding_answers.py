"""Embeddings in the two forms that providers and clients give them: OpenAI's and Gemini's. Read and written here.

Used by both endpoints' modules where an answer crosses from one form to the other.
"""

import msgspec

from trunkline.core.usage import Units
from trunkline.protocol.endpoints.answer_form import AnswerForm, FormReader
from trunkline.protocol.endpoints.json_value import count_of, report_of
from trunkline.protocol.endpoints.vectors import VectorError, VectorForm, in_form
from trunkline.protocol.upstream_error import UpstreamError


class Embeddings(msgspec.Struct, frozen=True):
    """A whole answer.

    Attributes:
        vectors: each as JSON, in the order of the inputs.
        tokens: of the input, as the provider reported them; None if it did not.
    """

    vectors: list[bytes]
    tokens: int | None

    @property
    def units(self) -> Units | None:
        """What was used, None if the provider reported nothing."""
        return None if self.tokens is None else Units(input=self.tokens)


class _OpenAIItem(msgspec.Struct, gc=False):
    index: int | None = None
    embedding: msgspec.Raw = msgspec.Raw()


class _OpenAIAnswer(AnswerForm, gc=False):
    data: list[_OpenAIItem] | None = None
    usage: msgspec.Raw = msgspec.Raw()


class _Values(msgspec.Struct, gc=False):
    values: msgspec.Raw = msgspec.Raw()


class _GeminiAnswer(AnswerForm, gc=False, rename="camel"):
    embedding: _Values | None = None
    embeddings: list[_Values] | None = None
    usage_metadata: msgspec.Raw = msgspec.Raw()


_INVALID = "The provider's answer holds no embeddings."
_OPENAI = FormReader(_OpenAIAnswer, _INVALID)
_GEMINI = FormReader(_GeminiAnswer, _INVALID)
_encode = msgspec.json.Encoder().encode


def invalid_embeddings() -> UpstreamError:
    """Return the error for an answer whose embeddings are missing or broken."""
    return _OPENAI.invalid()


def openai_tokens(usage: msgspec.Raw) -> int | None:
    """Return the input tokens in OpenAI's usage report; some vendors give the total alone. Zero says nothing."""
    report = report_of(usage)
    return count_of(report, "prompt_tokens") or count_of(report, "total_tokens") or None


def read_openai(body: bytes, inputs: int) -> Embeddings | UpstreamError:
    """Return the embeddings of an answer in OpenAI's form.

    Args:
        body: the answer.
        inputs: how many there have to be.
    """
    answer = _OPENAI.read(body)
    if not isinstance(answer, _OpenAIAnswer):
        return answer
    items = answer.data or []
    if sorted(item.index for item in items if item.index is not None) == list(range(len(items))):
        items = sorted(items, key=lambda item: item.index or 0)
    return _checked([bytes(item.embedding) for item in items], openai_tokens(answer.usage), inputs)


def read_gemini(body: bytes, inputs: int | None = None) -> Embeddings | UpstreamError:
    """Return the embeddings of an answer in Gemini's form, of one content or of a batch.

    Args:
        body: the answer.
        inputs: how many there have to be; None for any number.
    """
    answer = _GEMINI.read(body)
    if not isinstance(answer, _GeminiAnswer):
        return answer
    items = answer.embeddings or []
    if answer.embedding is not None:
        items = [answer.embedding]
    tokens = count_of(report_of(answer.usage_metadata), "promptTokenCount") or None
    return _checked([bytes(item.values) for item in items], tokens, inputs or len(items))


def _checked(vectors: list[bytes], tokens: int | None, inputs: int) -> Embeddings | UpstreamError:
    # A client knows its inputs by their places alone: with one missing, every vector after it would be another's.
    if not vectors or len(vectors) != inputs or not all(vector[:1] in {b"[", b'"'} for vector in vectors):
        return invalid_embeddings()
    return Embeddings(vectors, tokens)


# --- writing ---------------------------------------------------------------------------------------------------------


class _ShownItem(msgspec.Struct):
    object: str
    index: int
    embedding: msgspec.Raw


class _ShownUsage(msgspec.Struct):
    prompt_tokens: int
    total_tokens: int


class _ShownAnswer(msgspec.Struct):
    object: str
    data: list[_ShownItem]
    model: str
    usage: _ShownUsage


class _ShownValues(msgspec.Struct):
    values: msgspec.Raw


class _ShownTokens(msgspec.Struct, rename="camel"):
    prompt_token_count: int


class _ShownEmbedding(msgspec.Struct, rename="camel", omit_defaults=True):
    embedding: _ShownValues
    usage_metadata: _ShownTokens | None = None


class _ShownBatch(msgspec.Struct, rename="camel", omit_defaults=True):
    embeddings: list[_ShownValues]
    usage_metadata: _ShownTokens | None = None


def write_openai(embeddings: Embeddings, form: VectorForm | None, model: str, tokens: int) -> bytes:
    """Return embeddings in OpenAI's form.

    Args:
        embeddings: any.
        form: of the vectors.
        model: the public name.
        tokens: for the usage report, which clients expect; reported or counted.

    Raises:
        VectorError: a vector cannot be converted.
    """
    items = [
        _ShownItem("embedding", index, msgspec.Raw(in_form(vector, form)))
        for index, vector in enumerate(embeddings.vectors)
    ]
    return _encode(_ShownAnswer("list", items, model, _ShownUsage(tokens, tokens)))


def write_gemini(embeddings: Embeddings, *, batch: bool) -> bytes:
    """Return embeddings in Gemini's form, whose vectors are lists of numbers.

    Raises:
        VectorError: a vector cannot be converted.
    """
    values = [_ShownValues(msgspec.Raw(in_form(vector, VectorForm.FLOAT))) for vector in embeddings.vectors]
    tokens = None if embeddings.tokens is None else _ShownTokens(embeddings.tokens)
    if batch:
        return _encode(_ShownBatch(values, tokens))
    if len(values) != 1:
        raise VectorError("one content has one embedding")
    return _encode(_ShownEmbedding(values[0], tokens))
