"""No endpoint's job is charged more than was held for it: from the request through a typical answer to the charge."""

import json
from typing import NamedTuple

import pytest

from services.edge.needs import job_need
from services.edge.routes import find_route
from tests.support.edge_jobs import edge_job, models
from tests.support.upstream_forms import BOUNDARY, form
from trunkline.bus.snapshots import ModelSnapshot
from trunkline.core.usage import Units
from trunkline.protocol import names, registry
from trunkline.protocol.endpoint import Provider
from trunkline.protocol.rules import RequestRules
from trunkline.protocol.vendor import VendorOptions

ONE = 10**6
"""Makes one unit cost one nano-USD."""

JSON = "application/json"
FORM = f"multipart/form-data; boundary={BOUNDARY}"

TEXT = {"input": 2 * ONE, "output": 6 * ONE}
PAINTER = {"input": 5 * ONE, "input_image": 10 * ONE, "output_image": 40 * ONE}
PIECES = {"images": 40_000 * ONE, "images@1024x1024/low": 11_000 * ONE, "images@1024x1024/high": 167_000 * ONE}
SECONDS = {"seconds": 100_000 * ONE}
LISTENER = {"input": 2 * ONE, "input_audio": 6 * ONE, "output": 10 * ONE}
SPEAKER = {"input": ONE, "output_audio": 12 * ONE, "characters": 15 * ONE}
SEARCHES = {"searches": 2_000_000 * ONE}


class Case(NamedTuple):
    """A request with what answers it.

    Attributes:
        path: of the endpoint.
        prices: of the model.
        body: of the request.
        answer: the provider's; of a stream all of it.
        content_type: of the body.
    """

    path: str
    prices: dict[str, int]
    body: bytes
    answer: bytes
    content_type: str = JSON


def request(**members: object) -> bytes:
    return json.dumps({"model": "m", **members}).encode()


def sent(*fields: tuple[str, str | bytes]) -> bytes:
    return form(("model", "m"), *fields)


def painted(count: int, usage: dict[str, object] | None = None, **members: str) -> bytes:
    answer = {"data": [{"b64_json": "aGk="}] * count, **members, **({"usage": usage} if usage else {})}
    return json.dumps(answer).encode()


def painting(output: int, images: int = 0) -> dict[str, object]:
    return {
        "input_tokens": 50 + images,
        "output_tokens": output,
        "input_tokens_details": {"text_tokens": 50, "image_tokens": images},
    }


PROMPT = "A lighthouse on a rock in the evening, with ships passing far behind it, as a copper engraving. " * 3
SOUND = b"\xff\xfb\x90\x00" + bytes(480_000)
"""Half a minute at 128 kbit/s, two and a half at 25."""

HEARD = {"type": "tokens", "input_tokens": 700, "input_token_details": {"audio_tokens": 650}, "output_tokens": 260}
DOCUMENTS = ["The quick brown fox jumps over the lazy dog. " * 12] * 120
LONG_DOCUMENTS = ["The quick brown fox jumps over the lazy dog. " * 300] * 80
VOICE = b'data: {"type":"speech.audio.delta","audio":"AAAA"}\n\n'
VOICE_END = b'data: {"type":"speech.audio.done","usage":{"input_tokens":60,"output_tokens":420,"total_tokens":480}}\n\n'
RANKED = [{"index": 0, "relevance_score": 0.5}]

CASES = {
    "one image by the piece": Case("/v1/images/generations", PIECES, request(prompt=PROMPT), painted(1)),
    "images of a look": Case(
        "/v1/images/generations",
        PIECES,
        request(prompt=PROMPT, n=4, size="1024x1024", quality="high"),
        painted(4),
    ),
    "a look that the provider chose": Case(
        "/v1/images/generations",
        PIECES,
        request(prompt=PROMPT, n=2, size="auto"),
        painted(2, size="1024x1024", quality="high"),
    ),
    "images by the token": Case(
        "/v1/images/generations", PAINTER, request(prompt=PROMPT, n=3), painted(3, painting(3 * 6240))
    ),
    "images by the token or the piece": Case(
        "/v1/images/generations",
        {**PAINTER, **PIECES},
        request(prompt=PROMPT, n=2, quality="medium", size="1024x1536"),
        painted(2, painting(2 * 1584)),
    ),
    "partial images": Case(
        "/v1/images/generations",
        PAINTER,
        request(prompt=PROMPT, quality="low", stream=True, partial_images=2),
        b'data: {"type":"image_generation.partial_image","b64_json":"aGk="}\n\n'
        b'data: {"type":"image_generation.completed","b64_json":"aGk=","usage":'
        + json.dumps(painting(272 + 200)).encode()
        + b"}\n\n",
    ),
    "an edit as a form": Case(
        "/v1/images/edits",
        PAINTER,
        sent(("image[]", b"\x89PNG"), ("image[]", b"\x89PNG"), ("prompt", PROMPT), ("n", "2"), ("quality", "high")),
        painted(2, painting(2 * 6240, 2 * 6_900)),
        FORM,
    ),
    "an edit in JSON": Case(
        "/v1/images/edits",
        PAINTER,
        request(prompt=PROMPT, images=[{"image_url": "https://example.com/cat.png"}]),
        painted(1, painting(6240, 6_900)),
    ),
    "variations": Case("/v1/images/variations", PIECES, sent(("image", b"\x89PNG"), ("n", "5")), painted(5), FORM),
    "speech": Case("/v1/audio/speech", SPEAKER, request(input=PROMPT, voice="x"), b"\x00\x01" * 900),
    "speech with events": Case(
        "/v1/audio/speech",
        SPEAKER,
        request(input=PROMPT, voice="x", stream_format="sse"),
        VOICE + VOICE_END,
    ),
    "a transcript by the second": Case(
        "/v1/audio/transcriptions",
        SECONDS,
        sent(("file", SOUND), ("response_format", "verbose_json")),
        b'{"text":"hello","duration":153.4}',
        FORM,
    ),
    "a transcript of unknown length": Case(
        "/v1/audio/transcriptions", SECONDS, sent(("file", SOUND), ("response_format", "text")), b"hello", FORM
    ),
    "a transcript by the token": Case(
        "/v1/audio/transcriptions",
        LISTENER,
        sent(("file", SOUND), ("prompt", PROMPT)),
        json.dumps({"text": "hello", "usage": HEARD}).encode(),
        FORM,
    ),
    "a translation": Case(
        "/v1/audio/translations",
        SECONDS,
        sent(("file", SOUND)),
        b'{"text":"hello","usage":{"type":"duration","seconds":31}}',
        FORM,
    ),
    "ranking by the search": Case(
        "/v1/rerank",
        SEARCHES,
        request(query="a fox", documents=DOCUMENTS),
        json.dumps({"results": RANKED, "meta": {"billed_units": {"search_units": 2}}}).encode(),
    ),
    "ranking of long documents": Case(
        "/v2/rerank",
        SEARCHES,
        request(query="a fox", documents=LONG_DOCUMENTS),
        # Seven parts of 500 tokens each.
        json.dumps({"results": RANKED, "meta": {"billed_units": {"search_units": 6}}}).encode(),
    ),
    "ranking by the token": Case(
        "/v1/rerank",
        TEXT,
        request(query="which animal is quick, and which is lazy?", documents=DOCUMENTS),
        json.dumps({"results": RANKED, "usage": {"total_tokens": 120 * (120 + 10)}}).encode(),
    ),
    "embeddings": Case(
        "/v1/embeddings",
        TEXT,
        request(input=[PROMPT] * 8),
        b'{"data":[{"embedding":[0.5]}],"usage":{"prompt_tokens":560,"total_tokens":560}}',
    ),
    "moderation": Case(
        "/v1/moderations", {**TEXT, "requests": 7 * ONE}, request(input=PROMPT), b'{"results":[{"flagged":false}]}'
    ),
    "completions": Case(
        "/v1/completions",
        TEXT,
        request(prompt=[PROMPT] * 3, max_tokens=40, n=2),
        b'{"choices":[{"text":"a"}],"usage":{"prompt_tokens":210,"completion_tokens":240,"total_tokens":450}}',
    ),
    "completions without a bound": Case(
        "/v1/completions",
        TEXT,
        request(prompt=[PROMPT] * 20, best_of=8),
        b'{"choices":[{"text":"a"}],"usage":{"prompt_tokens":1400,"completion_tokens":81920,"total_tokens":83320}}',
    ),
}


def used(case: Case) -> tuple[Units, str]:
    """Return what the answer says was used, and the variant of its images."""
    match = find_route(case.path)
    assert match is not None
    provider = Provider(names.UPSTREAM_OPENAI, "up", "m", VendorOptions(), RequestRules())
    call = registry.ENDPOINTS[match.endpoint].open(case.body, case.content_type, provider)
    if call.whole is not None:
        units = call.whole(case.answer)[0].units
    else:
        assert call.stream is not None
        call.stream.receive(case.answer)
        call.stream.finish()
        units = call.stream.units
    assert units is not None
    return units, call.variant() if call.variant is not None and units.images else ""


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_hold_covers_the_charge(case: Case) -> None:
    known = models(ModelSnapshot("m", ("default",), prices=case.prices))
    match = find_route(case.path)
    assert match is not None
    asked = registry.ENDPOINTS[match.endpoint].read_head(case.body, case.content_type)
    client = edge_job(known, asked, case.body, path=case.path, content_type=case.content_type)
    rates = known.rates("m")
    need = job_need(client, rates, 0)
    units, variant = used(case)
    charge = rates.charge(units, variant, "default")
    assert 0 < charge <= need.amounts[0]
    assert units.images == need.amounts[3]
    assert need.least == need.amounts or asked.choices > 1
