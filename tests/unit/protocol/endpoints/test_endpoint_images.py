"""Images: what is read of requests, and what of them goes to the provider."""

import json

import pytest

from tests.support.form_bodies import TYPE, field, form
from tests.support.image_requests import EDIT, EDITS, GENERATIONS, JSON, REQUEST, provider
from trunkline.core.errors import ErrorType, FaultError
from trunkline.core.usage import Units
from trunkline.protocol import names
from trunkline.protocol.dialect import ClientRequest
from trunkline.protocol.endpoint import Endpoint
from trunkline.protocol.endpoints.images import ImageEdits, ImageGenerations, ImageVariations
from trunkline.protocol.tokens import count_text

VARIATIONS: Endpoint = ImageVariations()


def fault_of(endpoint: Endpoint, body: bytes, content_type: str = JSON) -> tuple[ErrorType, str | None]:
    with pytest.raises(FaultError) as caught:
        endpoint.read_head(body, content_type)
    return caught.value.fault.type, caught.value.fault.param


def test_a_generation_is_read() -> None:
    beside = Units(images=2, output_image=2 * 6240)
    assert GENERATIONS.read_head(REQUEST, JSON) == ClientRequest("gpt-image-2", stream=False, beside=beside)
    assert GENERATIONS.read_head(REQUEST.replace(b"false", b"true"), JSON).stream
    assert GENERATIONS.read_head(b'{"model":"m","prompt":"\\ud83d"}', JSON).model == "m"


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", (ErrorType.CLIENT_BAD_JSON, None)),
        (b"[]", (ErrorType.CLIENT_BAD_JSON, None)),
        (b'{"prompt":"x"}', (ErrorType.CLIENT_BAD_REQUEST, "model")),
        (b'{"model":1,"prompt":"x"}', (ErrorType.CLIENT_BAD_REQUEST, "model")),
        (b'{"model":"m"}', (ErrorType.CLIENT_BAD_REQUEST, "prompt")),
        (b'{"model":"m","prompt":""}', (ErrorType.CLIENT_BAD_REQUEST, "prompt")),
        (b'{"model":"m","prompt":["x"]}', (ErrorType.CLIENT_BAD_REQUEST, "prompt")),
        (b'{"model":"m","prompt":"x","stream":"yes"}', (ErrorType.CLIENT_BAD_REQUEST, "stream")),
        (form(field("model", b"m")), (ErrorType.CLIENT_BAD_JSON, None)),
    ],
)
def test_a_bad_generation_names_its_field(body: bytes, fault: tuple[ErrorType, str | None]) -> None:
    assert fault_of(GENERATIONS, body) == fault


def test_only_the_model_changes_in_a_generation() -> None:
    call = GENERATIONS.open(REQUEST, JSON, provider())
    assert call.body == REQUEST.replace(b'"gpt-image-2"', b'"up"')
    assert (call.content_type, call.call.path, call.answer_type) == (JSON, "/images/generations", "")
    assert call.whole is not None
    assert call.stream is None
    assert GENERATIONS.open(REQUEST, JSON, provider(model="gpt-image-2")).body is REQUEST


def test_a_stream_is_opened_as_one() -> None:
    call = GENERATIONS.open(REQUEST.replace(b"false", b"true"), JSON, provider())
    assert call.whole is None
    assert call.stream is not None


def test_azure_has_paths_with_and_without_a_version() -> None:
    azure = provider(names.UPSTREAM_AZURE, "my image/1", api_version="2026-10-01")
    path = "/openai/deployments/my%20image%2F1/images/edits?api-version=2026-10-01"
    assert EDITS.open(EDIT, TYPE, azure).call.path == path
    assert EDITS.open(EDIT, TYPE, provider(names.UPSTREAM_AZURE)).call.path == "/openai/v1/images/edits"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("in_form", [False, True])
def test_how_many_images_are_asked_for_and_what_they_look_like_is_read(*, in_form: bool, stream: bool) -> None:
    asked = {"n": "3", "size": "1024x1024", "quality": "low", "partial_images": "2"}
    if in_form:
        fields = [field(name, value.encode()) for name, value in asked.items()]
        more = (field("stream", b"true"),) if stream else ()
        head = EDITS.read_head(
            form(*fields, *more, field("model", b"m"), field("image[]", b"1"), field("image[]", b"2")), TYPE
        )
    else:
        body = {"model": "m", "prompt": "p", "images": [{}, {}], "stream": stream, **asked, "n": 3, "partial_images": 2}
        head = EDITS.read_head(json.dumps(body).encode(), JSON)
    tokens = 408 + (200 if stream else 0)
    assert head == ClientRequest(
        "m",
        stream=stream,
        beside=Units(images=3, output_image=3 * tokens, input_image=2 * 7_000),
        variant="1024x1024/low",
    )


def test_a_form_that_says_twice_how_many_images_is_refused() -> None:
    with pytest.raises(FaultError) as caught:
        EDITS.read_head(form(field("model", b"m"), field("image", b"1"), field("n", b"1"), field("n", b"9")), TYPE)
    assert caught.value.fault.param == "n"


@pytest.mark.parametrize("n", ["0", "-1", '"many"', "null", "[4]"])
def test_what_is_no_number_of_images_counts_as_one(n: str) -> None:
    head = GENERATIONS.read_head(b'{"model":"m","prompt":"p","n":%s}' % n.encode(), JSON)
    assert head.beside == Units(images=1, output_image=6240)


@pytest.mark.parametrize("dialect", [names.UPSTREAM_ANTHROPIC, names.UPSTREAM_GEMINI, names.UPSTREAM_RESPONSES])
def test_other_providers_offer_no_images(dialect: str) -> None:
    for endpoint, body, content_type in ((GENERATIONS, REQUEST, JSON), (EDITS, EDIT, TYPE), (VARIATIONS, EDIT, TYPE)):
        with pytest.raises(FaultError) as caught:
            endpoint.open(body, content_type, provider(dialect))
        assert caught.value.fault.type is ErrorType.CLIENT_BAD_REQUEST


@pytest.mark.parametrize("name", ["image", "image[]", "image[0]"])
def test_an_edit_may_spell_its_files_either_way(name: str) -> None:
    body = form(field("model", b"m"), field("stream", b"true"), field(name, b"1", '; filename="a.png"'))
    for endpoint in (EDITS, VARIATIONS):
        beside = Units(images=1, output_image=6240 + 100, input_image=7_000)
        assert endpoint.read_head(body, TYPE) == ClientRequest("m", stream=True, beside=beside)
        opened = endpoint.open(body, TYPE, provider())
        assert opened.body == body.replace(b"\r\n\r\nm\r\n", b"\r\n\r\nup\r\n")
        assert opened.stream is not None


def test_all_files_of_an_edit_reach_the_provider_as_they_were() -> None:
    call = EDITS.open(EDIT, TYPE, provider())
    assert call.body == EDIT.replace(b"gpt-image-2", b"up")
    assert (call.content_type, call.call.path) == (TYPE, "/images/edits")
    assert EDITS.open(EDIT, TYPE, provider(model="gpt-image-2")).body is EDIT
    assert VARIATIONS.open(EDIT, TYPE, provider()).call.path == "/images/variations"


def test_an_edit_may_be_json() -> None:
    body = b'{"model":"m","prompt":"p","images":[{"image_url":"https://x/1.png"}],"mask":{"file_id":"f"}}'
    beside = Units(images=1, output_image=6240, input_image=7_000)
    assert EDITS.read_head(body, JSON) == ClientRequest("m", stream=False, beside=beside)
    call = EDITS.open(body, "", provider())
    assert call.body == body.replace(b'"m"', b'"up"')
    assert call.content_type == JSON
    assert ImageEdits().count_input(body) == count_text("p")
    assert ImageEdits().count_input(EDIT) == 0


@pytest.mark.parametrize(
    ("body", "content_type", "param"),
    [
        (form(field("model", b"m"), field("mask", b"1", '; filename="a"')), TYPE, "image"),
        (form(field("image", b"1", '; filename="a"')), TYPE, "model"),
        (b'{"model":"m","images":[]}', JSON, "images"),
        (b'{"model":"m","image":null}', JSON, "images"),
        (b'{"images":[{}]}', JSON, "model"),
        (EDIT, JSON, None),
        (EDIT, "multipart/form-data", None),
    ],
)
def test_a_bad_edit_names_its_field(body: bytes, content_type: str, param: str | None) -> None:
    assert fault_of(EDITS, body, content_type) == (ErrorType.CLIENT_BAD_REQUEST, param)


def test_a_variation_is_a_form() -> None:
    assert fault_of(VARIATIONS, REQUEST) == (ErrorType.CLIENT_BAD_REQUEST, None)
    assert ImageVariations().count_input(EDIT) == 0


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"prompt":5}', b'{"prompt":' + b"[" * 10_000])
def test_counting_never_raises(body: bytes) -> None:
    for endpoint in (ImageGenerations(), ImageEdits(), ImageVariations()):
        assert endpoint.count_input(body) >= 0
