"""Images: what is read of answers, whole and streamed."""

import base64
import json
import tracemalloc
from typing import Any

import msgspec
import pytest

from tests.support.form_bodies import TYPE, field, form
from tests.support.image_requests import EDIT, EDITS, GENERATIONS, JSON, REQUEST, provider
from trunkline.core.errors import ErrorType
from trunkline.core.usage import Units
from trunkline.protocol import names
from trunkline.protocol.dialect import WholeAnswer
from trunkline.protocol.endpoint import Endpoint, EndpointCall, Provider
from trunkline.protocol.endpoints.image_look import ImageLook
from trunkline.protocol.endpoints.images import read_images
from trunkline.protocol.rules import RequestRules
from trunkline.protocol.upstream_error import RetryClass
from trunkline.protocol.vendor import VendorOptions

# --- whole answers -------------------------------------------------------------------------------------------------

USAGE = {
    "input_tokens": 50,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
    "output_tokens": 1000,
    "total_tokens": 1050,
}


def answer(data: object, **members: object) -> bytes:
    return json.dumps({"created": 1, "data": data, **members}).encode()


def unasked() -> ImageLook:
    return ImageLook({}.get)


def read(body: bytes) -> WholeAnswer:
    whole, shown = read_images(body, unasked())
    assert shown is body
    return whole


def test_without_tokens_the_images_returned_are_what_is_paid() -> None:
    body = answer([{"url": "https://x/1"}, {"b64_json": "QUJD", "url": None}, {"b64_json": None}, {}, None])
    assert read(body) == WholeAnswer(Units(images=2), 0, None)


def test_tokens_are_reported_beside_the_images() -> None:
    body = answer([{"b64_json": "QUJD"}], usage=USAGE)
    assert read(body) == WholeAnswer(Units(images=1, input=10, input_image=40, output_image=1000), 0, None)


@pytest.mark.parametrize(
    ("usage", "units"),
    [
        ({**USAGE, "output_tokens_details": {"image_tokens": 900, "text_tokens": 100}}, Units(10, 0, 0, 0, 0, 40, 100)),
        ({"input_tokens": 7, "output_tokens": 900}, Units(input=7)),
        # Vendors that report the tokens of the output alone.
        ({"generated_images": 1, "output_tokens": 900, "total_tokens": 900}, Units()),
    ],
)
def test_output_tokens_are_images_unless_said_to_be_text(usage: object, units: Units) -> None:
    whole = read(answer([{"b64_json": "QUJD"}], usage=usage))
    assert whole.units is not None
    assert whole.units == msgspec.structs.replace(units, images=1, output_image=900)


def test_the_model_that_wrote_an_svg_is_paid_as_well() -> None:
    svg = {"model": "m", "input_tokens": 3, "output_tokens": 5, "reasoning_tokens": 2, "total_tokens": 8}
    whole = read(answer([{"b64_json": "QUJD"}], usage=USAGE, svg_usage=svg))
    assert whole.units == Units(images=1, input=13, input_image=40, output=5, output_image=1000)


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        5,
        {"input_tokens": 0, "output_tokens": 0},
        {"input_tokens": 5, "output_tokens": 0},
        {"input_tokens": "5", "output_tokens": "9"},
        {"output_tokens": -4},
        {"image_count": 1},
    ],
)
def test_an_unusable_report_leaves_the_images(usage: object) -> None:
    assert read(answer([{"b64_json": "QUJD"}], usage=usage)).units == Units(images=1)


def test_a_large_answer_is_not_built() -> None:
    image = base64.b64encode(bytes(3_000_000))
    body = b'{"data":[{"b64_json":"' + image + b'","revised_prompt":"\xe7\x8c\xab"}],"usage":null}'
    tracemalloc.start()
    whole, shown = read_images(body, unasked())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert whole.units == Units(images=1)
    assert shown is body
    # What is decoded to check it is a step at a time.
    assert peak < len(body)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", ErrorType.UPSTREAM_INVALID),
        (b"<html>", ErrorType.UPSTREAM_INVALID),
        (b'{"data":[{"url":"x"}', ErrorType.UPSTREAM_INVALID),
        (b'{"data":[{"url":"\xff"}]}', ErrorType.UPSTREAM_INVALID),
        (b'data: {"type":"image_generation.completed"}\n\n', ErrorType.UPSTREAM_INVALID),
        (b"[]", ErrorType.UPSTREAM_INVALID),
        (b'{"created":1}', ErrorType.UPSTREAM_INVALID),
        (b'{"data":[]}', ErrorType.UPSTREAM_INVALID),
        (b'{"data":["x"]}', ErrorType.UPSTREAM_INVALID),
        (b'{"data":[{"b64_json":null}]}', ErrorType.UPSTREAM_INVALID),
        (b'{"data":' + b"[" * 10_000, ErrorType.UPSTREAM_INVALID),
        (b'{"error":{"message":"slow down","code":429}}', ErrorType.UPSTREAM_RATE_LIMITED),
        (b'{"object":"error","message":"boom"}', ErrorType.UPSTREAM_ERROR),
    ],
)
def test_what_is_no_answer_is_an_error(body: bytes, kind: ErrorType) -> None:
    whole = read(body)
    assert whole.error is not None
    assert whole.error.fault.type is kind
    assert whole.units is None


# --- size and quality ----------------------------------------------------------------------------------------------


def variant_of(asked: dict[str, object], stated: dict[str, object], *, stream: bool = False, **rules: Any) -> str:
    """Return the variant of an answer to a request in JSON, whole or as a stream."""
    body = json.dumps({"model": "m", "prompt": "p", "stream": stream, **asked}).encode()
    who = Provider(names.UPSTREAM_OPENAI, "up", "public", VendorOptions(), RequestRules(**rules))
    call = GENERATIONS.open(body, JSON, who)
    if call.stream is not None:
        call.stream.receive(completed(**stated))
    elif call.whole is not None:
        call.whole(answer([{"url": "x"}], **stated))
    assert call.variant is not None
    return call.variant()


LARGE = {"size": "1536x1024", "quality": "high"}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("asked", "stated", "variant"),
    [
        ({"size": "auto", "quality": "auto"}, LARGE, "1536x1024/high"),
        ({"size": "1024x1024", "quality": "low"}, LARGE, "1536x1024/high"),
        ({}, {**LARGE, "quality": "HD"}, "1536x1024/hd"),
        ({"size": "1024x1536", "quality": "low"}, {"size": "auto", "quality": None}, "1024x1536/low"),
        ({"size": 5, "quality": ["low"]}, {"size": {"x": 1}, "quality": "a b"}, ""),
        ({"size": "x" * 40, "quality": "low/high"}, {"quality": "\u0000"}, ""),
    ],
)  # fmt: skip
def test_the_look_is_the_answers_or_else_the_requests(
    asked: dict[str, object], stated: dict[str, object], variant: str, stream: bool
) -> None:
    assert variant_of(asked, stated, stream=stream) == variant


def test_the_last_event_that_states_a_look_holds() -> None:
    call = GENERATIONS.open(REQUEST.replace(b"false", b"true"), JSON, provider())
    assert call.stream is not None
    assert call.variant is not None
    call.stream.receive(partial())
    assert call.variant() == "1024x1024/low"
    call.stream.receive(completed(**LARGE) + completed(usage=USAGE))
    assert call.variant() == "1536x1024/high"


def test_a_channels_rules_decide_what_is_asked_for() -> None:
    assert variant_of(LARGE, {}, drop=("quality",)) == "1536x1024"
    assert variant_of(LARGE, {}, set={"size": b'"256x256"'}, drop=("size", "quality")) == "256x256"
    assert variant_of({}, {}, set={"size": b"null"}) == ""


def test_a_forms_fields_are_read_unless_they_are_odd() -> None:
    for fields, variant in (
        ((field("size", b"512x512"), field("quality", b"standard")), "512x512/standard"),
        ((field("size", b"512x512"), field("size", b"256x256")), ""),
        ((field("size", b"\xff"),), ""),
    ):
        call = EDITS.open(form(*fields, EDIT.removesuffix(b"--XyZ--\r\n")), TYPE, provider())
        assert call.variant is not None
        assert call.variant() == variant


# --- streams -------------------------------------------------------------------------------------------------------


def event(kind: str, **members: object) -> bytes:
    data = json.dumps({"type": kind, **members}).encode()
    return f"event: {kind}\n".encode() + b"data: " + data + b"\n\n"


def partial(name: str = "image_generation") -> bytes:
    return event(f"{name}.partial_image", b64_json="QUJD", partial_image_index=0, quality="low", size="1024x1024")


def completed(name: str = "image_generation", **members: object) -> bytes:
    return event(f"{name}.completed", b64_json="QUJD", **members)


def opened(endpoint: Endpoint = GENERATIONS) -> Any:
    body, content_type = (REQUEST.replace(b"false", b"true"), JSON)
    if endpoint is EDITS:
        body, content_type = form(field("stream", b"true"), EDIT.removesuffix(b"--XyZ--\r\n")), TYPE
    call: EndpointCall = endpoint.open(body, content_type, provider())
    assert call.stream is not None
    return call.stream


@pytest.mark.parametrize(("endpoint", "name"), [(GENERATIONS, "image_generation"), (EDITS, "image_edit")])
def test_a_stream_passes_and_is_whole_with_its_completed_event(endpoint: Endpoint, name: str) -> None:
    relay = opened(endpoint)
    first, last = partial(name), completed(name, usage=USAGE)
    assert relay.receive(first) is first
    assert (relay.first_output, relay.complete, relay.units) == (True, False, None)
    assert relay.receive(last) is last
    assert relay.finish() == b""
    assert (relay.complete, relay.error) == (True, None)
    assert relay.units == Units(images=1, input=10, input_image=40, output_image=1000)
    assert relay.output_tokens_counted() == 0


def test_a_stream_without_usage_is_paid_by_its_images() -> None:
    relay = opened()
    relay.receive(partial() + completed() + partial() + completed())
    assert relay.units == Units(images=2)


def test_the_last_report_holds() -> None:
    relay = opened()
    relay.receive(completed(usage=USAGE) + completed(usage={**USAGE, "output_tokens": 2000}))
    assert relay.units == Units(images=2, input=10, input_image=40, output_image=2000)


def test_a_stream_that_is_cut_is_not_complete() -> None:
    relay = opened()
    last = completed(usage=USAGE)
    assert relay.receive(partial() + last[:60]) == partial()
    assert relay.finish() == b""
    assert not relay.complete
    assert relay.units is None


def test_a_last_event_without_its_blank_line_counts() -> None:
    relay = opened()
    assert relay.receive(completed()[:-2]) == b""
    assert relay.finish() == completed()
    assert relay.complete


def test_comments_done_and_unknown_events_pass() -> None:
    stream = b": wait\n\n" + event("image_generation.queued") + b"data: null\n\n" + completed() + b"data: [DONE]\n\n"
    relay = opened()
    assert relay.receive(stream) == stream
    assert relay.complete


@pytest.mark.parametrize(
    ("end", "kind", "cls"),
    [
        (
            event("error", error={"type": "image_generation_user_error", "code": "moderation_blocked",
                                  "message": "Your request was rejected by the safety system."}),
            ErrorType.UPSTREAM_BAD_REQUEST,
            RetryClass.NEVER,
        ),
        (b'data: {"error":{"message":"slow down","code":429}}\n\n', ErrorType.UPSTREAM_RATE_LIMITED, None),
        (b'event: error\ndata: {"message":"boom"}\n\n', ErrorType.UPSTREAM_ERROR, None),
        (b"data: {\n\n", ErrorType.UPSTREAM_INVALID, None),
        (b'data: {"b64_json":"\xff"}\n\n', ErrorType.UPSTREAM_INVALID, None),
        (b"data: " + b"[" * 10_000 + b"\n\n", ErrorType.UPSTREAM_INVALID, None),
    ],
)  # fmt: skip
def test_an_error_ends_the_stream_after_what_came_before(end: bytes, kind: ErrorType, cls: RetryClass | None) -> None:
    relay = opened()
    assert relay.receive(partial() + end + completed()) == partial()
    assert relay.receive(completed()) == relay.finish() == b""
    assert relay.error is not None
    assert relay.error.fault.type is kind
    assert cls is None or relay.error.cls is cls
    assert not relay.complete


def test_a_provider_that_cannot_stream_answers_whole() -> None:
    body = answer([{"url": "https://x/1"}], usage=None)
    relay = opened()
    assert [relay.receive(body[:1]), relay.receive(body[1:])] == [b"", b""]
    assert not relay.first_output
    assert relay.finish() == body
    assert (relay.complete, relay.first_output, relay.units) == (True, True, Units(images=1))


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"error":{"message":"overloaded","type":"overloaded_error"}}', ErrorType.UPSTREAM_OVERLOADED),
        (b"<html>", ErrorType.UPSTREAM_INVALID),
        (b"dat", ErrorType.UPSTREAM_INVALID),
        (b"\n" * 2000 + completed(), ErrorType.UPSTREAM_INVALID),
    ],
)
def test_a_body_that_is_neither_stream_nor_answer_is_never_passed_on(body: bytes, kind: ErrorType) -> None:
    relay = opened()
    assert relay.receive(body) + relay.finish() == b""
    assert relay.error is not None
    assert relay.error.fault.type is kind


def test_an_empty_body_is_not_complete() -> None:
    relay = opened()
    assert relay.receive(b"") + relay.finish() == b""
    assert not relay.complete


def test_borders_between_chunks_do_not_matter() -> None:
    stream = b"\xef\xbb\xbf\n" + partial() + partial().replace(b"\n", b"\r\n") + b": x\n\n" + completed(usage=USAGE)
    for size in (1, 2, 3, 7, 50):
        relay = opened()
        pieces = [relay.receive(stream[start : start + size]) for start in range(0, len(stream), size)]
        assert b"".join(pieces) + relay.finish() == stream
        assert relay.complete
        assert relay.units == Units(images=1, input=10, input_image=40, output_image=1000)
