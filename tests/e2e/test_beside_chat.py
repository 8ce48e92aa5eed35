"""The endpoints beside conversations through the official SDKs: what clients get, and what they pay for it."""

import asyncio
import base64
import math
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import openai
import pytest
from google.genai import errors as google_errors

from tests.support.beside import Gateway, error_of, running_gateway
from tests.support.stack import until
from tests.support.upstream_forms import form, wav
from trunkline.core.usage import UsageSource
from trunkline.dev.demo.beside_images import png
from trunkline.dev.demo.beside_speech import sound
from trunkline.dev.demo.beside_vectors import vector
from trunkline.dev.demo.pieces import SENTENCE
from trunkline.runtime.clock import SystemClock

TEXTS = ["one two three", "four"]
SAID = "Good day, all."
WORDS = len(SENTENCE.split())
PICTURE = ("cat.png", png("cat"), "image/png")
SOUND = ("talk.wav", wav(2.5), "audio/wav")
STARTED_SECONDS = 3
CLOSED_WITHIN_MS = 1000 + 2000
"""Within a second, and some for a busy machine."""


# The SDK's word for endpoints that OpenAI has no model for any more; other providers do.
pytestmark = pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with running_gateway() as gateway:
        yield gateway


# --- embeddings --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["embed", "embed-floats", "embed-azure", "embed-google-2"])
@pytest.mark.parametrize("form_asked", ["by default", "float"])
def test_embeddings(gateway: Gateway, model: str, form_asked: str) -> None:
    """By default the SDK asks for base64 and decodes it, whatever form the provider knows."""
    fields: dict[str, Any] = {} if form_asked == "by default" else {"encoding_format": "float"}
    raw = gateway.openai.embeddings.with_raw_response.create(model=model, input=TEXTS, dimensions=12, **fields)
    answer = raw.parse()
    vectors: list[Any] = [vector(text, 12) for text in TEXTS]
    if model == "embed-google-2":
        # OpenAI's vectors have the length 1 at any size, Gemini's only at the full one.
        vectors = [
            pytest.approx([number / math.hypot(*numbers) for number in numbers], rel=1e-6) for numbers in vectors
        ]
    assert [item.embedding for item in answer.data] == vectors
    assert [item.index for item in answer.data] == [0, 1]
    assert (answer.model, answer.usage.prompt_tokens, answer.usage.total_tokens) == (model, 4, 4)
    assert gateway.paid(raw.request_id, input=4).usage.source is UsageSource.REPORTED


@pytest.mark.parametrize("model", ["embed-silent", "embed-google"])
def test_embeddings_are_counted_where_the_provider_says_nothing(gateway: Gateway, model: str) -> None:
    raw = gateway.openai.embeddings.with_raw_response.create(model=model, input=TEXTS)
    assert [item.embedding for item in raw.parse().data] == [vector(text) for text in TEXTS]
    attempt = gateway.settled(raw.request_id)
    assert (attempt.usage.source, attempt.charged) == (UsageSource.COUNTED, True)
    assert 3 <= attempt.usage.units.input <= 8


def test_token_ids_go_to_their_own_tokenizer_alone(gateway: Gateway) -> None:
    raw = gateway.openai.embeddings.with_raw_response.create(model="embed", input=[[1, 2], [3]])
    assert len(raw.parse().data) == 2
    gateway.paid(raw.request_id, input=3)
    with pytest.raises(openai.BadRequestError) as raised:
        gateway.openai.embeddings.create(model="embed-google", input=[[1, 2], [3]])
    assert error_of(raised.value.response.json()).param == "input"


@pytest.mark.parametrize("model", ["embed-google-2", "embed", "embed-azure"])
def test_embeddings_of_googles_client(gateway: Gateway, model: str) -> None:
    config: Any = {"output_dimensionality": 12, "task_type": "RETRIEVAL_QUERY"}
    answer = gateway.google.models.embed_content(model=model, contents=TEXTS, config=config)
    assert [embedding.values for embedding in answer.embeddings or ()] == [vector(text, 12) for text in TEXTS]
    assert answer.sdk_http_response is not None
    headers = answer.sdk_http_response.headers or {}
    assert ("task_type" in headers.get("x-trunkline-fidelity", "")) == (model != "embed-google-2")
    gateway.paid(headers["x-request-id"], input=4)


@pytest.mark.parametrize("model", ["embed-google-2", "embed"])
def test_one_content_for_gemini(gateway: Gateway, model: str) -> None:
    answer = gateway.post(f"/v1beta/models/{model}:embedContent", {"content": {"parts": [{"text": TEXTS[0]}]}})
    assert answer.json["embedding"] == {"values": vector(TEXTS[0])}
    gateway.paid(answer.request_id, input=3)


# --- completions -------------------------------------------------------------------------------------------------


def test_completions(gateway: Gateway) -> None:
    raw = gateway.openai.completions.with_raw_response.create(model="complete", prompt=TEXTS, n=2, max_tokens=2)
    answer = raw.parse()
    assert [(choice.index, choice.text) for choice in answer.choices] == [(at, "Hello! This") for at in range(4)]
    assert answer.model == "complete"
    gateway.paid(raw.request_id, input=4, output=8)


@pytest.mark.parametrize("asked", [True, False], ids=["usage_asked", "usage_not_asked"])
def test_completions_streamed(gateway: Gateway, asked: bool) -> None:
    options: Any = {"include_usage": True} if asked else openai.omit
    stream = gateway.openai.completions.create(
        model="complete", prompt=TEXTS[0], stream=True, max_tokens=5, stream_options=options
    )
    chunks = list(stream)
    texts = [choice.text for chunk in chunks for choice in chunk.choices]
    assert "".join(texts) == "Hello! This is the demo "
    assert {chunk.model for chunk in chunks} == {"complete"}
    assert (chunks[-1].usage is not None) == asked
    gateway.paid(stream.response.headers["x-request-id"], input=3, output=5)


# --- moderation and reranking ------------------------------------------------------------------------------------


def test_moderations(gateway: Gateway) -> None:
    raw = gateway.openai.moderations.with_raw_response.create(input=["be kind", "kill them"])
    assert [result.flagged for result in raw.parse().results] == [False, True]
    gateway.paid(raw.request_id, requests=1)


@pytest.mark.parametrize(("model", "units"), [("rank", {"input": 13}), ("rank-searches", {"searches": 1})])
@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank"])
def test_rerank(gateway: Gateway, path: str, model: str, units: dict[str, int]) -> None:
    """Each client gets its own form, and the provider is paid by its own unit."""
    documents = ["a dog", "the capital of France is Paris", "the capital"]
    body = {"model": model, "query": "capital of France", "documents": documents, "top_n": 2}
    answer = gateway.post(path, body)
    assert answer.status == 200, answer.body
    assert [result["index"] for result in answer.json["results"]] == [1, 2]
    if path == "/v1/rerank":
        assert (answer.json["model"], answer.json["usage"]["total_tokens"] > 0) == (model, True)
    else:
        assert answer.json["meta"]["billed_units"]["search_units"] == 1
    gateway.paid(answer.request_id, **units)


# --- images ------------------------------------------------------------------------------------------------------


def test_images(gateway: Gateway) -> None:
    raw = gateway.openai.images.with_raw_response.generate(model="paint", prompt="a cat", n=3)
    pictures = [base64.b64decode(image.b64_json or "") for image in raw.parse().data or ()]
    assert pictures == [png(f"a cat {number}") for number in range(3)]
    gateway.paid(raw.request_id, images=3)


@pytest.mark.parametrize("model", ["paint-tokens", "paint-azure"])
def test_images_of_a_model_that_is_paid_by_tokens(gateway: Gateway, model: str) -> None:
    raw = gateway.openai.images.with_raw_response.generate(model=model, prompt="a cat", n=2)
    usage = raw.parse().usage
    assert usage is not None
    assert usage.output_tokens == 544
    gateway.paid(raw.request_id, images=2, input=2, output_image=544)


def test_images_streamed(gateway: Gateway) -> None:
    stream = gateway.openai.images.generate(model="paint-tokens", prompt="a cat", stream=True, partial_images=2)
    events = list(stream)
    assert [event.type.rpartition(".")[2] for event in events] == ["partial_image", "partial_image", "completed"]
    assert base64.b64decode(events[-1].b64_json) == png("a cat 0")
    gateway.paid(stream.response.headers["x-request-id"], images=1, input=2, output_image=272)


def test_image_edits(gateway: Gateway) -> None:
    raw = gateway.openai.images.with_raw_response.edit(
        model="paint-tokens", prompt="a cat", image=[PICTURE, PICTURE], mask=PICTURE
    )
    assert len(raw.parse().data or ()) == 1
    gateway.paid(raw.request_id, images=1, input=2, input_image=170, output_image=272)


@pytest.mark.parametrize("name", ["image", "image[]"])
def test_image_edits_in_both_spellings(gateway: Gateway, name: str) -> None:
    body = form((name, PICTURE[1]), ("model", "paint-azure"), ("prompt", "a cat"))
    answer = gateway.post("/v1/images/edits", body, "multipart/form-data; boundary=border")
    assert answer.status == 200, answer.body
    gateway.paid(answer.request_id, images=1, input=2, input_image=85, output_image=272)


def test_image_variations(gateway: Gateway) -> None:
    raw = gateway.openai.images.with_raw_response.create_variation(model="paint", image=PICTURE, n=2)
    assert len(raw.parse().data or ()) == 2
    gateway.paid(raw.request_id, images=2)


# --- speech ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["speak", "speak-azure"])
def test_speech(gateway: Gateway, model: str) -> None:
    speech = gateway.openai.audio.speech.with_streaming_response
    with speech.create(model=model, voice="alloy", input=SAID, response_format="wav") as answer:
        assert answer.headers["content-type"] == "audio/wav"
        pieces = list(answer.iter_bytes())
    assert b"".join(pieces) == b"".join(sound(SAID, "wav"))
    assert len(pieces) > 1, "not streamed"
    gateway.paid(answer.headers["x-request-id"], characters=len(SAID))


def test_speech_in_events(gateway: Gateway) -> None:
    speech = gateway.openai.audio.speech.with_streaming_response
    with speech.create(model="speak-tokens", voice="alloy", input=SAID, stream_format="sse") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in answer.iter_lines() if line]
    assert "speech.audio.done" in lines[-1]
    gateway.paid(answer.headers["x-request-id"], input=3, output_audio=30)


@pytest.mark.parametrize("fields", [{}, {"stream_format": "sse"}], ids=["sound", "events"])
def test_speech_that_is_cut_never_looks_whole(gateway: Gateway, fields: dict[str, Any]) -> None:
    speech = gateway.openai.audio.speech.with_streaming_response
    heard = b""
    with speech.create(model="cut", voice="alloy", input=SAID, **fields) as answer:
        if fields:
            # Events have a place for an error, and the SDK leaves these to its caller.
            heard = answer.read()
            assert b'"error"' in heard.splitlines()[-2]
            assert b"speech.audio.done" not in heard
        else:
            pieces = answer.iter_bytes()
            heard = next(pieces)
            with pytest.raises(httpx2.RemoteProtocolError):
                list(pieces)
    assert heard, "nothing came before the cut"
    attempt = gateway.paid(answer.headers["x-request-id"], characters=len(SAID))
    assert attempt.outcome == "upstream_cut"


def test_a_client_that_leaves_in_the_middle_of_speech_is_followed(gateway: Gateway) -> None:
    speech = gateway.openai.audio.speech.with_streaming_response
    with speech.create(model="speak-slowly", voice="alloy", input=SAID) as answer:
        next(answer.iter_bytes(1000))
    left_at = SystemClock().wall_ms()

    def aborted() -> list[int]:
        return [abort.at_ms for abort in gateway.surface.counts().aborts if abort.tag == "left"]

    (closed_at,) = until(aborted, 10, "the upstream call is closed")
    assert closed_at - left_at < CLOSED_WITHIN_MS
    attempt = gateway.paid(answer.headers["x-request-id"], characters=len(SAID))
    assert attempt.outcome == "client_gone"


# --- transcripts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["hear", "hear-azure"])
def test_transcriptions(gateway: Gateway, model: str) -> None:
    raw = gateway.openai.audio.transcriptions.with_raw_response.create(model=model, file=SOUND)
    assert raw.parse().text == SENTENCE
    assert gateway.paid(raw.request_id, seconds=STARTED_SECONDS).usage.source is UsageSource.REPORTED


@pytest.mark.parametrize(
    ("response_format", "text"),
    [("text", f"{SENTENCE}\n"), ("srt", f"1\n00:00:00,000 --> 00:00:02,500\n{SENTENCE}\n\n\n")],
)
def test_transcriptions_that_are_plain_text(gateway: Gateway, response_format: Any, text: str) -> None:
    raw = gateway.openai.audio.transcriptions.with_raw_response.create(
        model="hear", file=SOUND, response_format=response_format
    )
    assert raw.headers["content-type"].startswith("text/plain")
    answer: object = raw.parse()
    assert answer == text
    gateway.paid(raw.request_id, seconds=STARTED_SECONDS)


def test_transcriptions_with_segments(gateway: Gateway) -> None:
    raw = gateway.openai.audio.transcriptions.with_raw_response.create(
        model="hear", file=SOUND, response_format="verbose_json", timestamp_granularities=["segment"]
    )
    assert (raw.parse().duration, len(raw.parse().segments or ())) == (2.5, 1)
    gateway.paid(raw.request_id, seconds=STARTED_SECONDS)


def test_transcriptions_streamed(gateway: Gateway) -> None:
    stream = gateway.openai.audio.transcriptions.create(model="hear-tokens", file=SOUND, stream=True)
    *deltas, done = list(stream)
    assert len(deltas) == WORDS
    assert done.type == "transcript.text.done"
    assert done.text == SENTENCE
    gateway.paid(stream.response.headers["x-request-id"], input_audio=25, output=WORDS)


def test_translations(gateway: Gateway) -> None:
    """No usage is reported: the file itself says how long it is."""
    raw = gateway.openai.audio.translations.with_raw_response.create(model="hear", file=SOUND)
    assert raw.parse().text == SENTENCE
    gateway.paid(raw.request_id, seconds=STARTED_SECONDS)


# --- errors ------------------------------------------------------------------------------------------------------

Call = Callable[[openai.OpenAI, str], object]
CALLS: dict[str, Call] = {
    "embeddings": lambda sdk, model: sdk.embeddings.create(model=model, input="x"),
    "completions": lambda sdk, model: sdk.completions.create(model=model, prompt="x"),
    "completions-streamed": lambda sdk, model: sdk.completions.create(model=model, prompt="x", stream=True),
    "moderations": lambda sdk, model: sdk.moderations.create(model=model, input="x"),
    "images": lambda sdk, model: sdk.images.generate(model=model, prompt="x"),
    "images-streamed": lambda sdk, model: sdk.images.generate(model=model, prompt="x", stream=True),
    "edits": lambda sdk, model: sdk.images.edit(model=model, prompt="x", image=PICTURE),
    "variations": lambda sdk, model: sdk.images.create_variation(model=model, image=PICTURE),
    "speech": lambda sdk, model: sdk.audio.speech.create(model=model, voice="alloy", input="x"),
    "transcriptions": lambda sdk, model: sdk.audio.transcriptions.create(model=model, file=SOUND),
    "translations": lambda sdk, model: sdk.audio.translations.create(model=model, file=SOUND),
}


FAILURES = [
    ("nobody-has-it", 404, "model_not_found"),
    ("picky", 400, None),
    ("unpaid", 502, "upstream_unavailable"),
    ("limited", 429, "rate_limit_exceeded"),
    ("claude", 400, None),
]
"""By model. The last one's provider offers none of these; only completions are carried to it as conversations."""


@pytest.mark.parametrize(
    ("name", "model", "status", "code"),
    [
        (name, *failure)
        for name in CALLS
        for failure in FAILURES
        if not (name.startswith("completions") and failure[0] == "claude")
    ],
)
def test_errors_have_openais_shape(gateway: Gateway, name: str, model: str, status: int, code: str | None) -> None:
    with pytest.raises(openai.APIStatusError) as raised:
        CALLS[name](gateway.openai, model)
    assert raised.value.status_code == status, raised.value.body
    error = error_of(raised.value.response.json())
    assert code is None or error.code == code
    assert (int(raised.value.response.headers.get("retry-after", 0)) > 0) == (status == 429)


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/embeddings", {"model": "embed"}, "input"),
        ("/v1/embeddings", {"input": "x"}, "model"),
        ("/v1/completions", {"model": "complete", "prompt": []}, "prompt"),
        ("/v1/moderations", {}, "input"),
        ("/v1/rerank", {"model": "rank", "query": "x", "documents": []}, "documents"),
        ("/v2/rerank", {"model": "rank", "documents": ["x"]}, "query"),
        ("/v1/images/generations", {"model": "paint"}, "prompt"),
        ("/v1/images/edits", form(("model", "paint"), ("prompt", "x")), "image"),
        ("/v1/images/variations", form(("model", "paint")), "image"),
        ("/v1/audio/speech", {"model": "speak", "voice": "alloy"}, "input"),
        ("/v1/audio/transcriptions", form(("model", "hear")), "file"),
        ("/v1/audio/translations", form(("file", b"x")), "model"),
        ("/v1/audio/transcriptions", {"model": "hear"}, None),
    ],
)
def test_bad_requests_are_told_what_is_wrong(gateway: Gateway, path: str, body: object, param: str | None) -> None:
    content_type = "multipart/form-data; boundary=border" if isinstance(body, bytes) else "application/json"
    answer = gateway.post(path, body, content_type)
    assert answer.status == 400
    error = error_of(answer.json)
    assert (error.type, error.param) == ("invalid_request_error", param)


@pytest.mark.parametrize(("model", "status"), [("nobody-has-it", 404), ("unpaid", 502), ("limited", 429)])
def test_errors_of_googles_client(gateway: Gateway, model: str, status: int) -> None:
    with pytest.raises(google_errors.APIError) as raised:
        gateway.google.models.embed_content(model=model, contents="x")
    assert raised.value.code == status


@pytest.mark.parametrize("model", ["cut", "failing"])
def test_streams_that_break_raise(gateway: Gateway, model: str) -> None:
    completions = gateway.openai.completions.create(model=model, prompt="x", stream=True, max_tokens=50)
    with pytest.raises(openai.APIError):
        list(completions)
    if model == "failing":
        images = gateway.openai.images.generate(model=model, prompt="x", stream=True, partial_images=2)
        with pytest.raises(openai.APIError):
            list(images)


@pytest.mark.parametrize("name", ["embeddings", "completions", "moderations", "edits", "transcriptions"])
def test_whole_answers_that_are_cut_raise(gateway: Gateway, name: str) -> None:
    with pytest.raises(openai.APIStatusError) as raised:
        CALLS[name](gateway.openai, "cut")
    assert raised.value.status_code in {502, 503}
    assert error_of(raised.value.response.json()).type == "server_error"


@pytest.mark.parametrize("model", ["embed", "embed-google-2", "embed-azure"])
def test_a_deployment_in_the_path_names_the_model(gateway: Gateway, model: str) -> None:
    answer = gateway.post(f"/openai/deployments/{model}/embeddings?api-version=2024-10-21", {"input": TEXTS})
    assert answer.status == 200, answer.body
    assert [item["embedding"] for item in answer.json["data"]] == [vector(text) for text in TEXTS]
    gateway.paid(answer.request_id, input=4)


def test_azures_client(gateway: Gateway) -> None:
    ready = gateway.surface.ready
    with openai.AzureOpenAI(
        azure_endpoint=ready.base_url, api_key=gateway.openai.api_key, api_version="2024-10-21", max_retries=0
    ) as sdk:
        chat = sdk.chat.completions.with_raw_response.create(
            model="complete", messages=[{"role": "user", "content": TEXTS[0]}]
        )
        assert chat.parse().choices[0].message.content == SENTENCE
        gateway.paid(chat.request_id, input=3, output=WORDS)
        raw = sdk.audio.transcriptions.with_raw_response.create(model="hear", file=SOUND)
        assert raw.parse().text == SENTENCE
        gateway.paid(raw.request_id, seconds=STARTED_SECONDS)
        with sdk.audio.speech.with_streaming_response.create(model="speak", voice="alloy", input=SAID) as answer:
            assert answer.read() == b"".join(sound(SAID, "mp3"))


def test_a_deployment_in_the_path_is_enough_for_chat_and_forms(gateway: Gateway) -> None:
    chat = gateway.post(
        "/openai/deployments/complete/chat/completions", {"messages": [{"role": "user", "content": "x"}]}
    )
    assert chat.json["choices"][0]["message"]["content"] == SENTENCE
    content_type = "multipart/form-data; boundary=border"
    heard = gateway.post("/openai/deployments/hear/audio/transcriptions", form(("file", SOUND[1])), content_type)
    assert heard.json["text"] == SENTENCE
    gateway.paid(heard.request_id, seconds=STARTED_SECONDS)


def test_many_at_once(gateway: Gateway) -> None:
    async def ask() -> list[int]:
        ready = gateway.surface.ready
        async with openai.AsyncOpenAI(
            base_url=f"{ready.base_url}/v1", api_key=gateway.openai.api_key, max_retries=0
        ) as sdk:
            answers = await asyncio.gather(
                *(sdk.audio.speech.create(model="speak", voice="alloy", input=f"{SAID} {n}") for n in range(20))
            )
            return [n for n, answer in enumerate(answers) if answer.content != b"".join(sound(f"{SAID} {n}", "mp3"))]

    assert asyncio.run(ask()) == []
