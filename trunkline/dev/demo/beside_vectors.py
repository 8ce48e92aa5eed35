"""The demo upstream's embeddings, in OpenAI's form and in Gemini's. Pure.

The same text has the same vector in both. Sources: OpenAI API reference, "Create embeddings"; Gemini API reference,
"Embeddings".
"""

import base64
import hashlib
import struct
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from trunkline.dev.demo import gemini, gemini_request
from trunkline.dev.demo.beside import Endpoint, JSONBody, bare, product, whole_speech
from trunkline.dev.demo.completion import Plan, Product
from trunkline.dev.demo.counts import Usage
from trunkline.dev.demo.gemini_request import CONTENT, Shape
from trunkline.dev.demo.request import Asked, RequestError, objects, parsed, reading
from trunkline.runtime.http_exchange import Request

DIMENSIONS = 16
"""Of a vector, unless a request says otherwise."""

DIMENSIONS_MAX = 3072
INPUTS_MAX = 2048
BATCH_MAX = 100

FLOAT_ONLY = "float-only"
"""A model with this in its name is a vendor's that ignores ``encoding_format``."""

REPORTING = "gemini-embedding-2"
"""Gemini's older models do not say what an embedding cost."""

EMBED, BATCH_EMBED = "embedContent", "batchEmbedContents"
ACTIONS = frozenset({EMBED, BATCH_EMBED})


def vector(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """Return a text's numbers; each is exact in float32, so that all forms of a vector say the same."""
    source = text.encode(errors="surrogatepass")
    digests = [hashlib.sha256(b"%d %b" % (block, source)).digest() for block in range(-(-dimensions // 32))]
    return [(byte - 128) / 128 for byte in b"".join(digests)[:dimensions]]


def packed(numbers: list[float]) -> str:
    """Return a vector as base64 of little-endian float32."""
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


# --- OpenAI ------------------------------------------------------------------------------------------------------


class _Body(JSONBody):
    input: str | list[str | int | list[int]] = ""
    dimensions: Annotated[int, msgspec.Meta(ge=1, le=DIMENSIONS_MAX)] = DIMENSIONS
    encoding_format: Literal["float", "base64"] = "float"


_decode = msgspec.json.Decoder(_Body).decode


class Embeddings(Endpoint):
    """``POST /v1/embeddings``."""

    def read(self, request: Request) -> Asked:
        """See `Dialect`."""
        body = _decode(request.body)
        model = self.model(body.model)
        texts, tokens = _inputs(body.input)
        in_base64 = body.encoding_format == "base64" and FLOAT_ONLY not in bare(model)

        def write(plan: Plan) -> object:
            vectors = [vector(text, body.dimensions) for text in texts]
            data = [
                {"object": "embedding", "index": index, "embedding": packed(numbers) if in_base64 else numbers}
                for index, numbers in enumerate(vectors)
            ]
            answer: dict[str, Any] = {"object": "list", "data": data, "model": plan.model}
            if not plan.script.no_usage:
                answer["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
            return answer

        return product(model, whole_speech(write), Product(Usage(tokens)), script=body.trunkline_demo)


def _inputs(source: str | list[str | int | list[int]]) -> tuple[list[str], int]:
    """Return a text for each input, and the tokens of all.

    Raises:
        RequestError: there is nothing, too much, or a mixture.
    """
    items: list[Any] = source if isinstance(source, list) else [source]
    if items and all(isinstance(item, int) for item in items):
        items = [items]
    if not items or len({type(item) for item in items}) > 1 or not all(items):
        raise RequestError("'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs.")
    if len(items) > INPUTS_MAX:
        raise RequestError(f"'$.input' is too long. Please provide at most {INPUTS_MAX} inputs.")
    tokens = sum(len(item.split()) if isinstance(item, str) else len(item) for item in items)
    return [item if isinstance(item, str) else repr(item) for item in items], tokens


# --- Gemini ------------------------------------------------------------------------------------------------------

_CONFIG: Shape = dict.fromkeys(("taskType", "title", "outputDimensionality"))
_ONE: Shape = {"model": None, "content": CONTENT, **_CONFIG, "embedContentConfig": _CONFIG}
_MANY: Shape = {"requests": _ONE}
_TITLED = "RETRIEVAL_DOCUMENT"


class GeminiEmbeddings:
    """``POST /v1beta/models/{model}:{action}``, one request's.

    Args:
        model: of the path, decoded.
        action: one of `ACTIONS`.
    """

    counting = False

    def __init__(self, model: str, action: str) -> None:
        self._model = model
        self._batch = action == BATCH_EMBED

    def credential(self, request: Request) -> str:
        """See `Dialect`."""
        return gemini.key_of(request)

    def error(self, error: RequestError, number: int) -> tuple[bytes, bytes]:
        """See `Dialect`."""
        return gemini.error_answer(error, number)

    def read(self, request: Request) -> Asked:
        """See `Dialect`."""
        with reading():
            body = gemini_request.normal(parsed(request.body), _MANY if self._batch else _ONE, "")
            requests = objects(body.get("requests"), "requests") if self._batch else [body]
            wanted = [self._read_one(one) for one in requests]
        if not 1 <= len(wanted) <= BATCH_MAX:
            raise RequestError(f"* BatchEmbedContentsRequest.requests: 1 to {BATCH_MAX} requests can be in one batch")
        tokens = sum(len(text.split()) for text, _ in wanted)
        reported = REPORTING in bare(self._model)

        def write(plan: Plan) -> object:
            values = [{"values": vector(text, dimensions)} for text, dimensions in wanted]
            answer: dict[str, Any] = {"embeddings": values} if self._batch else {"embedding": values[0]}
            if reported and not plan.script.no_usage:
                answer["usageMetadata"] = {"promptTokenCount": tokens, "totalTokenCount": tokens}
            return answer

        return product(self._model, whole_speech(write), Product(Usage(tokens), reported))

    def _read_one(self, one: Mapping[str, Any]) -> tuple[str, int]:
        """Return the text to embed, and how many numbers are wanted."""
        named = one.get("model")
        if named != f"models/{self._model}" and (self._batch or named is not None):
            raise RequestError(f"* EmbedContentRequest.model: '{named}' is not the model in the URL")
        config = {**one, **(one.get("embedContentConfig") or {})}
        if config.get("title") and config.get("taskType") != _TITLED:
            raise RequestError(f"* EmbedContentRequest.title: only for the task type {_TITLED}")
        text = "".join(part["text"] for part in objects((one.get("content") or {}).get("parts"), "content.parts"))
        if not text:
            raise RequestError("* EmbedContentRequest.content: contents is not specified")
        dimensions = config.get("outputDimensionality") or DIMENSIONS
        if not isinstance(dimensions, int) or not 1 <= dimensions <= DIMENSIONS_MAX:
            raise RequestError(f"* EmbedContentRequest.output_dimensionality: 1 to {DIMENSIONS_MAX}")
        return text, dimensions
