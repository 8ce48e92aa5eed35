"""Images made from a text, edited, or varied: ``/images/generations``, ``/images/edits``, ``/images/variations``.

All of a request passes but for the model. An answer may take tens of MiB of base64: it passes as it came, and only the
number of its images, their size and quality, and its usage report are read, without building anything of the rest
(DIALECTS section 7).
"""

import functools
import re

import msgspec

from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.core.usage import Units, image_variant
from trunkline.protocol.body import BodyReader, count_of, filled_list
from trunkline.protocol.dialect import ClientRequest, WholeAnswer
from trunkline.protocol.endpoint import EndpointCall, Provider
from trunkline.protocol.endpoints.answer_form import AnswerForm
from trunkline.protocol.endpoints.asked_units import asked_images
from trunkline.protocol.endpoints.form_changes import FormChanges, base_name
from trunkline.protocol.endpoints.image_look import ImageLook, text_of
from trunkline.protocol.endpoints.input_count import count_members
from trunkline.protocol.endpoints.json_value import start_of
from trunkline.protocol.endpoints.media_form import MediaForm
from trunkline.protocol.endpoints.media_stream import MediaEvent, MediaStreamRelay, has_content
from trunkline.protocol.endpoints.multipart import is_form
from trunkline.protocol.endpoints.provider_call import JSON, openai_call
from trunkline.protocol.json_span import decode_cleaned
from trunkline.protocol.routing_wish import WishFields, read_wish
from trunkline.protocol.splice import prepare_body
from trunkline.protocol.upstream_error import UpstreamError, invalid_answer, read_upstream_error
from trunkline.protocol.usage_report import count_of as reported_count
from trunkline.protocol.usage_report import inner_report, report_of
from trunkline.protocol.utf8 import is_utf8

_NONE = msgspec.Raw()
_INVALID = "The provider's answer has no images."
_JSON_START = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*+\{")


class _Fields(WishFields):
    """What is read of a request in JSON."""

    model: str | msgspec.UnsetType = msgspec.UNSET
    stream: bool | None = None
    size: msgspec.Raw = msgspec.Raw()
    quality: msgspec.Raw = msgspec.Raw()
    n: msgspec.Raw = msgspec.Raw()
    partial_images: msgspec.Raw = msgspec.Raw()
    prompt: msgspec.Raw = msgspec.Raw()
    image: msgspec.Raw = msgspec.Raw()
    images: msgspec.Raw = msgspec.Raw()
    mask: msgspec.Raw = msgspec.Raw()


_READER = BodyReader(
    _Fields,
    {
        "model": "`model` must be a string naming a model, such as one that GET /v1/models lists.",
        "prompt": "`prompt` must be a string that says what the image shows.",
        "images": "`images` must be a list with at least one image.",
        "stream": "`stream` must be true or false.",
    },
    example="a JSON object with `model` and `prompt`",
    large=("prompt", "images", "image", "mask"),
)


class ImageGenerations:
    """See `endpoint.Endpoint`."""

    name = "images_generations"

    def read_head(self, body: bytes, content_type: str) -> ClientRequest:
        """See `Endpoint`."""
        fields = _READER.read(body)
        if start_of(fields.prompt) != b'"' or not has_content(fields.prompt):
            raise _READER.bad_field("prompt")
        return _json_head(fields)

    def open(self, body: bytes, content_type: str, provider: Provider) -> EndpointCall:
        """See `Endpoint`."""
        return _open_json(body, provider, "/images/generations")

    def count_input(self, body: bytes) -> int:
        """Return the tokens of the prompt."""
        return count_members(body, ("prompt",))


class ImageEdits:
    """See `endpoint.Endpoint`. A form with ``image`` or ``image[]`` as files, or JSON with ``images``, URLs or ids."""

    name = "images_edits"

    def read_head(self, body: bytes, content_type: str) -> ClientRequest:
        """See `Endpoint`."""
        if is_form(content_type):
            return _form_head(body, content_type)
        if not _JSON_START.match(body):
            message = "Send the edit as multipart/form-data with `image`, or as a JSON object with `images`."
            raise FaultError(Fault(ErrorType.CLIENT_BAD_REQUEST, message))
        fields = _READER.read(body)
        if not filled_list(fields.images) and not has_content(fields.image):
            raise _READER.bad_field("images")
        return _json_head(fields)

    def open(self, body: bytes, content_type: str, provider: Provider) -> EndpointCall:
        """See `Endpoint`."""
        path = "/images/edits"
        if is_form(content_type):
            return _open_form(body, content_type, provider, path)
        return _open_json(body, provider, path)

    def count_input(self, body: bytes) -> int:
        """Return the tokens of the prompt in a JSON request; 0 for a form."""
        return count_members(body, ("prompt",)) if _JSON_START.match(body) else 0


class ImageVariations:
    """See `endpoint.Endpoint`. OpenAI has retired its model; a channel that has one still serves it."""

    name = "images_variations"

    def read_head(self, body: bytes, content_type: str) -> ClientRequest:
        """See `Endpoint`."""
        return _form_head(body, content_type)

    def open(self, body: bytes, content_type: str, provider: Provider) -> EndpointCall:
        """See `Endpoint`."""
        return _open_form(body, content_type, provider, "/images/variations")

    def count_input(self, body: bytes) -> int:
        """Return 0: a form has no text that is billed."""
        return 0


def _form_head(body: bytes, content_type: str) -> ClientRequest:
    form = MediaForm(body, content_type)
    form.require_some("image")
    look_up = FormChanges(body, form.parts).text
    size, quality = look_up("size"), look_up("quality")
    # A field that is there twice is refused here: a provider could take the other one.
    beside = asked_images(
        _count_of_text(form.text("n")),
        size,
        quality,
        partial=_count_of_text(form.text("partial_images")) if form.stream else 0,
        inputs=sum(base_name(part.name) == "image" for part in form.parts),
        prompt_bytes=form.size_bytes("prompt"),
    )
    return msgspec.structs.replace(form.head(), beside=beside, variant=image_variant(size, quality))


def _count_of_text(text: str | None) -> int:
    return count_of(msgspec.Raw((text or "").encode()))


def _json_head(fields: _Fields) -> ClientRequest:
    size, quality = text_of(fields.size), text_of(fields.quality)
    return ClientRequest(
        _READER.model(fields.model),
        stream=bool(fields.stream),
        beside=asked_images(
            count_of(fields.n),
            size,
            quality,
            partial=count_of(fields.partial_images) if fields.stream else 0,
            inputs=_count_inputs(fields),
        ),
        variant=image_variant(size, quality),
        wish=read_wish(fields),
    )


def _count_inputs(fields: _Fields) -> int:
    listed = len(_decode_list(fields.images)) if start_of(fields.images) == b"[" else 0
    return listed + has_content(fields.image)


def _open_form(body: bytes, content_type: str, provider: Provider, path: str) -> EndpointCall:
    form = MediaForm(body, content_type)
    changes = form.changes(provider.model, provider.rules)
    look = ImageLook(changes.text)
    return _call(changes.result(), content_type, provider, path, stream=form.stream, look=look)


def _open_json(body: bytes, provider: Provider, path: str) -> EndpointCall:
    fields = _READER.read(body)
    changes = prepare_body(body, upstream_model=provider.model)
    prepared = changes.ruled(provider.rules)
    look = ImageLook(lambda name: text_of(changes.sent(name)))
    return _call(prepared, JSON, provider, path, stream=bool(fields.stream), look=look)


def _call(
    body: bytes, content_type: str, provider: Provider, path: str, *, stream: bool, look: ImageLook
) -> EndpointCall:
    read = functools.partial(read_images, look=look)
    return EndpointCall(
        body=body,
        content_type=content_type,
        call=openai_call(provider, path, "images"),
        whole=None if stream else read,
        stream=MediaStreamRelay(ImageFacts(look), read) if stream else None,
        variant=look.variant,
    )


# --- answers -------------------------------------------------------------------------------------------------------


class _Image(msgspec.Struct, gc=False):
    b64_json: msgspec.Raw = msgspec.Raw()
    url: msgspec.Raw = msgspec.Raw()


class _Answer(AnswerForm, gc=False):
    data: msgspec.Raw = msgspec.Raw()
    size: msgspec.Raw = msgspec.Raw()
    quality: msgspec.Raw = msgspec.Raw()
    usage: msgspec.Raw = msgspec.Raw()
    svg_usage: msgspec.Raw = msgspec.Raw()


def read_images(body: bytes, look: ImageLook) -> tuple[WholeAnswer, bytes]:
    """Return what a whole answer says, and the very same body. See `endpoint.ReadWhole`. Never raises."""
    answer = _read_answer(body)
    if isinstance(answer, UpstreamError):
        return WholeAnswer(None, 0, answer), body
    images = _count_images(answer.data)
    if not images:
        return WholeAnswer(None, 0, invalid_answer(_INVALID)), body
    look.state(answer.size, answer.quality)
    return WholeAnswer(image_units(images, answer.usage, answer.svg_usage), 0, None), body


def image_units(images: int, usage: msgspec.Raw, svg_usage: msgspec.Raw = _NONE) -> Units:
    """Return what images cost: their number, and the tokens if the provider reports them.

    Which of the two is paid for is told by the prices (`policy.pricing.Rates`), never both.

    Args:
        images: that were returned.
        usage: the provider's report, if any: ``input_tokens``, ``output_tokens`` and their details.
        svg_usage: of the language model that wrote an SVG, which OpenAI reports beside ``usage`` and bills as well.
    """
    report, svg = report_of(usage), report_of(svg_usage)
    output = reported_count(report, "output_tokens") or 0
    if not output:
        # No output tokens for an image that is there: the report is of another kind, or missing (DIALECTS section 5).
        return Units(images=images)
    input_details = inner_report(report, "input_tokens_details")
    input_image = reported_count(input_details, "image_tokens") or 0
    input_total = max(reported_count(report, "input_tokens") or 0, input_image)
    # Without details all of it is the image; with them, some of it may be text that the model wrote.
    output_text = min(reported_count(inner_report(report, "output_tokens_details"), "text_tokens") or 0, output)
    return Units(
        images=images,
        input=input_total - input_image + (reported_count(svg, "input_tokens") or 0),
        input_image=input_image,
        output=output_text + (reported_count(svg, "output_tokens") or 0),
        output_image=output - output_text,
    )


def _read_answer(body: bytes) -> _Answer | UpstreamError:
    if not is_utf8(body):
        return invalid_answer(_INVALID)
    try:
        answer = decode_cleaned(_decode_answer, body)
    except (msgspec.DecodeError, RecursionError):
        return invalid_answer(_INVALID)
    return read_upstream_error(200, {}, body, 0) if answer.failed else answer


def _count_images(data: msgspec.Raw) -> int:
    """Return how many images there are; what was filtered out stands there without one."""
    try:
        images = _decode_images(data)
    except (msgspec.DecodeError, RecursionError):
        return 0
    return sum(image is not None and (has_content(image.b64_json) or has_content(image.url)) for image in images)


_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_images = msgspec.json.Decoder(list[_Image | None]).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


class ImageFacts:
    """See `media_stream.EventFacts`, for ``image_generation.*`` and ``image_edit.*``.

    An event with an image that is not a partial one is an image returned. Where several report usage the last one
    holds, as everywhere (DIALECTS section 5).

    Args:
        look: of the call.
    """

    __slots__ = ("_images", "_look", "_usage", "done", "first_output")

    def __init__(self, look: ImageLook) -> None:
        self._look = look
        self._images = 0
        self._usage = _NONE
        self.first_output = False
        self.done = False

    def take(self, kind: str, event: MediaEvent) -> None:
        """See `EventFacts`."""
        if has_content(event.b64_json) or has_content(event.url):
            self.first_output = True
            self._images += not kind.endswith(".partial_image")
            self._look.state(event.size, event.quality)
        if kind.endswith(".completed"):
            self.first_output = self.done = True
        if has_content(event.usage):
            # A copy: the event itself, with an image in it, must not be kept.
            self._usage = msgspec.Raw(bytes(event.usage))

    @property
    def units(self) -> Units | None:
        """See `EventFacts`."""
        units = image_units(self._images, self._usage)
        return units if units.any() else None
