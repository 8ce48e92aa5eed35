"""Streams of images, speech and transcripts, and raw sound: chunking never matters, and no bytes raise."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from trunkline.protocol import names
from trunkline.protocol.endpoint import Endpoint, Provider
from trunkline.protocol.endpoints.image_look import ImageLook
from trunkline.protocol.endpoints.images import ImageGenerations, read_images
from trunkline.protocol.endpoints.speech import Speech
from trunkline.protocol.endpoints.transcriptions import Transcriptions
from trunkline.protocol.rules import RequestRules
from trunkline.protocol.vendor import DEFAULTS

PROVIDER = Provider(names.UPSTREAM_OPENAI, "up", "public", DEFAULTS, RequestRules())
FORM = b"".join(
    b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % pair
    for pair in ((b"model", b"m"), (b"file", b"RIFF"), (b"stream", b"1"), (b"response_format", b"srt"))
)
REQUESTS: tuple[tuple[Endpoint, bytes, str], ...] = (
    (ImageGenerations(), b'{"model":"m","prompt":"p","stream":true}', "application/json"),
    (Speech(), b'{"model":"m","input":"i","stream_format":"sse"}', "application/json"),
    (Speech(), b'{"model":"m","input":"i"}', "application/json"),
    (Transcriptions(), FORM + b"--b--\r\n", "multipart/form-data; boundary=b"),
)
REQUEST = st.sampled_from(REQUESTS)
EVENTS = st.sampled_from(
    [
        b'data: {"type":"image_generation.partial_image","b64_json":"QUJD"}',
        b'event: x\ndata: {"type":"image_edit.completed","url":"QUJD","usage":{"input_tokens":5,"output_tokens":9}}',
        b'data: {"type":"speech.audio.delta","audio":"QUJD"}',
        b'data: {"type":"speech.audio.done","usage":{"input_tokens":5,"output_tokens":9}}',
        'data: {"type":"transcript.text.delta","delta":"é中😀"}'.encode(),
        b'data: {"type":"transcript.text.done","text":"x","usage":{"type":"duration","seconds":2.5}}',
        b'data: {"type":\ndata: "speech.audio.done"}',
        b": ping",
        b"data: [DONE]",
        b"data:",
        b"data: null",
        b"data: [1",
        b'data: {"type":"error","error":{"message":"boom"}}',
        b'{"data":[{"url":"x"}],"text":"y"}',
        b'{"error":{"message":"boom"}}',
        b"",
        b"RIFF\x00",
        b"<html>",
        b"\xff",
    ]
)
ENDS = st.sampled_from([b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\r\n", b""])
STREAMS = st.lists(st.tuples(EVENTS, ENDS), max_size=8).map(lambda parts: b"".join([a + b for a, b in parts]))
BORDERS = st.lists(st.integers(0, 2**16), max_size=20)
MUTATIONS = st.lists(st.tuples(st.integers(0, 2**16), st.binary(max_size=4), st.integers(0, 5)), max_size=4)


def run(request: tuple[Endpoint, bytes, str], stream: bytes, borders: list[int]) -> tuple[bytes, tuple[object, ...]]:
    endpoint, body, content_type = request
    relay: Any = endpoint.open(body, content_type, PROVIDER).stream
    marks = sorted(border % (len(stream) + 1) for border in borders)
    out = [relay.receive(stream[a:b]) for a, b in zip([0, *marks], [*marks, len(stream)], strict=True)]
    out.append(relay.finish())
    facts = (relay.first_output, relay.complete, relay.units, relay.error, relay.output_tokens_counted())
    return b"".join(out), facts


@given(REQUEST, STREAMS, MUTATIONS, BORDERS)
def test_any_chunking_gives_the_same_bytes_and_facts(
    request: tuple[Endpoint, bytes, str],
    stream: bytes,
    mutations: list[tuple[int, bytes, int]],
    borders: list[int],
) -> None:
    for number, new, removed in mutations:
        position = number % (len(stream) + 1)
        stream = stream[:position] + new + stream[position + removed :]
    passed, facts = run(request, stream, borders)
    assert (passed, facts) == run(request, stream, [])
    assert stream.startswith(passed.rstrip(b"\r\n"))
    first_output, complete, units, error, _ = facts
    assert not (complete and error)
    if complete:
        assert first_output
        # All of a good answer is passed on, but for what is left of an event and the form of the last line end.
        assert units is not None or b"completed" in stream


@given(st.binary(max_size=60))
def test_no_whole_answer_raises(body: bytes) -> None:
    read_images(body, ImageLook({}.get))
    for answer_format in (b"", b"json", b"text", b"srt"):
        request = FORM.replace(b"srt", answer_format).replace(b"\r\n1\r\n", b"\r\n0\r\n") + b"--b--\r\n"
        call = Transcriptions().open(request, "multipart/form-data; boundary=b", PROVIDER)
        assert call.whole is not None
        for answer in (body, b"{" + body, b'{"text":"x","usage":' + body + b"}", b"--> 00:" + body):
            whole, shown = call.whole(answer)
            assert shown is answer
            assert (whole.units is None) == (whole.error is not None)
            assert whole.units is None or whole.units.any()
