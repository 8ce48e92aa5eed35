"""The demo upstream's images: each a PNG of one pixel. Pure. Source: OpenAI API reference, "Images".

A model with ``gpt-image`` in its name behaves as OpenAI's GPT image models do: it answers in base64 alone, streams, and
reports tokens. Others are of an older kind, paid by the image.
"""

import base64
import functools
import hashlib
import struct
import zlib
from typing import Any, ClassVar

import msgspec

from trunkline.dev.demo import openai
from trunkline.dev.demo.beside import (
    Endpoint,
    JSONBody,
    bare,
    failing_event,
    missing,
    one_of,
    product,
    token_usage,
    typed_event,
    whole_speech,
    within,
)
from trunkline.dev.demo.beside_form import Form
from trunkline.dev.demo.completion import Plan, Product
from trunkline.dev.demo.counts import Usage
from trunkline.dev.demo.request import Asked, RequestError, SpeechMaker, names
from trunkline.dev.demo.script import Script
from trunkline.runtime.http_exchange import Request

BY_TOKENS = "gpt-image"
DEFAULT_MODEL = "dall-e-2"
IMAGES_MAX = 10
TOKENS_PER_IMAGE = 272
"""Of a square in low quality."""

INPUT_TOKENS_PER_IMAGE = 85

_FORMATS = frozenset({"url", "b64_json"})
_FORM_FIELDS = names(
    "model prompt n size quality background output_format output_compression response_format user stream "
    "partial_images image mask input_fidelity"
)
_IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/webp", "application/octet-stream"})


def png(text: str) -> bytes:
    """Return a PNG of one pixel, whose colour follows from a text."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))

    colour = hashlib.sha256(text.encode(errors="surrogatepass")).digest()[:3]
    header = struct.pack("!IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\x00" + colour)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


class _Wanted(msgspec.Struct, frozen=True):
    """What a request asks for, in JSON or as a form.

    Attributes:
        kind: of the events of a stream: ``image_generation`` or ``image_edit``.
        inputs: images that came with it.
    """

    kind: str
    model: str
    prompt: str
    count: float | None
    response_format: str | None
    stream: bool
    partial_images: float | None
    inputs: int = 0
    script: Script | None = None

    def asked(self) -> Asked:
        """Return it as a request.

        Raises:
            RequestError: this model would refuse it.
        """
        one_of(self.response_format, _FORMATS, "response_format")
        within(self.count, 1, IMAGES_MAX, "n")
        within(self.partial_images, 0, 3, "partial_images")
        count = int(self.count or 1)
        by_tokens = BY_TOKENS in bare(self.model)
        if by_tokens and self.response_format is not None:
            raise _unknown("response_format")
        if not by_tokens and (self.stream or self.partial_images):
            raise _unknown("stream")
        text, images = len(self.prompt.split()), self.inputs * INPUT_TOKENS_PER_IMAGE
        used = Usage(text + images, count * TOKENS_PER_IMAGE) if by_tokens else Usage(images=count)
        usage = {**token_usage(used), "input_tokens_details": {"text_tokens": text, "image_tokens": images}}
        made = Product(used, reported=by_tokens, pieces=int(self.partial_images or 0))
        pictures = [base64.b64encode(png(f"{self.prompt} {number}")).decode() for number in range(count)]
        speech: SpeechMaker = whole_speech(functools.partial(self._answer, pictures=pictures, usage=usage))
        if self.stream:
            speech = functools.partial(ImageSpeech, kind=self.kind, pictures=pictures, usage=usage)
        return product(self.model, speech, made, stream=self.stream, script=self.script)

    def _answer(self, plan: Plan, *, pictures: list[str], usage: dict[str, object]) -> object:
        data = [{"b64_json": picture} for picture in pictures]
        if self.response_format == "url":
            data = [{"url": f"https://images.example/{plan.number}-{place}.png"} for place in range(len(pictures))]
        answer: dict[str, Any] = {"created": plan.created_s, "data": data}
        if BY_TOKENS in plan.model:
            answer |= {"background": "opaque", "output_format": "png", "quality": "low", "size": "1024x1024"}
            if not plan.script.no_usage:
                answer["usage"] = usage
        return answer


def _unknown(param: str) -> RequestError:
    return RequestError(f"Unknown parameter: '{param}'.", param=param, code="unknown_parameter")


# --- requests ----------------------------------------------------------------------------------------------------


class _Body(JSONBody):
    prompt: str = ""
    n: int | None = None
    size: str | None = None
    quality: str | None = None
    background: str | None = None
    moderation: str | None = None
    output_format: str | None = None
    output_compression: int | None = None
    response_format: str | None = None
    style: str | None = None
    stream: bool | None = None
    partial_images: int | None = None


class _Source(msgspec.Struct, forbid_unknown_fields=True):
    image_url: str | None = None
    file_id: str | None = None


class _EditBody(_Body):
    images: tuple[_Source, ...] = ()
    mask: _Source | None = None
    input_fidelity: str | None = None


_decode = msgspec.json.Decoder(_Body).decode
_decode_edit = msgspec.json.Decoder(_EditBody).decode


class ImageGenerations(Endpoint):
    """``POST /v1/images/generations``."""

    def read(self, request: Request) -> Asked:
        """See `Dialect`."""
        body = _decode(request.body)
        if body.style is not None and BY_TOKENS in (body.model or ""):
            raise _unknown("style")
        return self._asked(body, "image_generation")

    def _asked(self, body: _Body, kind: str, inputs: int = 0) -> Asked:
        if not body.prompt:
            raise missing("prompt")
        return _Wanted(
            kind,
            self.model(body.model or DEFAULT_MODEL),
            body.prompt,
            body.n,
            body.response_format,
            bool(body.stream),
            body.partial_images,
            inputs,
            body.trunkline_demo,
        ).asked()


class ImageEdits(ImageGenerations):
    """``POST /v1/images/edits``: a form with files, or JSON that says where the images are."""

    _prompted = True

    def read(self, request: Request) -> Asked:
        """See `Dialect`."""
        if request.headers.get("content-type", "").startswith("application/json"):
            body = _decode_edit(request.body)
            if not body.images:
                raise missing("images")
            return self._asked(body, "image_edit", len(body.images))
        form = Form(request, _FORM_FIELDS)
        images = form.files.get("image", [])
        if not images:
            raise missing("image")
        for file in [*images, *form.files.get("mask", ())]:
            if file.content_type not in _IMAGE_TYPES or not file.content:
                raise RequestError(
                    f"Invalid file '{file.name}': unsupported mimetype ('{file.content_type}') or no content.",
                    param="image",
                    code="unsupported_file_mimetype",
                )
        prompt = form.text("prompt") or ""
        if self._prompted != bool(prompt):
            raise missing("prompt") if self._prompted else _unknown("prompt")
        return _Wanted(
            "image_edit",
            self.model(form.text("model") or DEFAULT_MODEL),
            prompt,
            form.number("n"),
            form.text("response_format"),
            form.flag("stream"),
            form.number("partial_images"),
            len(images),
            form.script,
        ).asked()


class ImageVariations(ImageEdits):
    """``POST /v1/images/variations``: a form with one image, and without a prompt."""

    _prompted = False

    def read(self, request: Request) -> Asked:
        """See `Dialect`."""
        if len(Form(request, _FORM_FIELDS).files.get("image", ())) != 1:
            raise missing("image")
        return super().read(request)


# --- streams -----------------------------------------------------------------------------------------------------


class ImageSpeech:
    """See `Speech`. A stream of images: partial ones as often as asked for, then each whole one.

    Args:
        plan: of the answer.
        kind: of its events.
        pictures: in base64.
        usage: the report.
    """

    stream_headers: ClassVar[bytes] = openai.EVENT_STREAM
    id_header: ClassVar[bytes] = b"x-request-id"
    told: ClassVar[int] = 0
    broken: ClassVar[bytes] = b'data: {"type":"image_generation.partial_image","b64_json":"\n\n'

    def __init__(self, plan: Plan, *, kind: str, pictures: list[str], usage: dict[str, object]) -> None:
        self._kind = kind
        self._pictures = pictures
        self._report = {} if plan.script.no_usage else {"usage": usage}
        self._look = {
            "background": "opaque",
            "created_at": plan.created_s,
            "output_format": "png",
            "quality": "low",
            "size": "1024x1024",
        }

    def opening(self) -> bytes:
        """Return nothing."""
        return b""

    def event(self, number: int) -> bytes:
        """Return a partial image."""
        members = {"b64_json": self._pictures[0], "partial_image_index": number, **self._look}
        return typed_event(f"{self._kind}.partial_image", **members)

    def closing(self) -> bytes:
        """Return the images; the last one comes with the usage of all."""
        last = len(self._pictures) - 1
        return b"".join(
            typed_event(
                f"{self._kind}.completed", b64_json=picture, **self._look, **(self._report if place == last else {})
            )
            for place, picture in enumerate(self._pictures)
        )

    def failing(self) -> bytes:
        """See `Speech`."""
        return failing_event()

    def whole(self) -> bytes:
        """Return nothing: this is the stream."""
        return b""
