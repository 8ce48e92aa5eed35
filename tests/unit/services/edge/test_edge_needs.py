"""What a job may come to: counted high, and bounded by what the client states."""

import base64
import json

import pytest

from services.edge.needs import DATA_TOKENS_MAX, job_need
from tests.support.edge_jobs import edge_job, models
from trunkline.bus.snapshots import KeyPolicy, ModelSnapshot
from trunkline.core import limits
from trunkline.core.usage import Units
from trunkline.policy.lease import JobNeed
from trunkline.protocol.dialect import ClientRequest

ONE = 10**6
"""Makes one unit cost one nano-USD."""

ASSUMED = limits.OUTPUT_TOKENS_ASSUMED
KNOWN = models(
    ModelSnapshot(
        "m", ("default", "vip"), prices={"input": 2 * ONE, "output": 8 * ONE}, multipliers_ppm={"vip": 3 * ONE}
    ),
    ModelSnapshot("sound", ("default",), prices={"input": ONE, "input_audio": 40 * ONE, "output": 8 * ONE}),
    ModelSnapshot("images", ("default",), prices={"images": 7 * ONE}),
    ModelSnapshot("free", ("default",), free=True),
)


def need(asked: ClientRequest, body: bytes | None = None, discount_ppm: int = 0, **fields: str) -> JobNeed:
    client = edge_job(KNOWN, asked, body, **fields)  # type: ignore[arg-type]  # texts, all of them
    return job_need(client, KNOWN.rates(asked.model), discount_ppm)


def test_the_hold_of_a_client_that_states_a_bound_is_the_worst_case() -> None:
    found = need(ClientRequest("m", False, max_output=50), b"x" * 301)
    assert found == JobNeed((100 * 2 + 50 * 8, 1, 150, 0), (100 * 2 + 50 * 8, 1, 150, 0), 1, 0, "m", "default")


def test_one_that_states_none_can_begin_with_one_token() -> None:
    found = need(ClientRequest("m", False), b"x" * 300)
    assert found.amounts == (100 * 2 + ASSUMED * 8, 1, 100 + ASSUMED, 0)
    assert found.least == (100 * 2 + 8, 1, 101, 0)


@pytest.mark.parametrize(("max_output", "least"), [(50, 50), (0, 1)])
def test_several_answers_cost_several_times_as_much(max_output: int, least: int) -> None:
    found = need(ClientRequest("m", False, max_output=max_output, choices=3), b"x" * 300)
    output = 3 * (max_output or ASSUMED)
    assert found.amounts == (100 * 2 + output * 8, 1, 100 + output, 0)
    assert found.least == (100 * 2 + 3 * least * 8, 1, 100 + 3 * least, 0)


def test_long_text_is_counted_by_its_bytes() -> None:
    body = json.dumps({"messages": ["word " * 3_000]}).encode()
    assert need(ClientRequest("m", False, max_output=1), body).amounts[2] == len(body) // 3 + 1


@pytest.mark.parametrize(("size_bytes", "tokens"), [(1_200, 1_602 // 16), (90_000, DATA_TOKENS_MAX)])
@pytest.mark.parametrize(
    "form",
    [
        '{"type":"image_url","image_url":{"url":"data:image/png;base64,%s"}}',
        '{"type":"base64","media_type":"image/png","data": "%s"}',
        '{"inlineData":{"mimeType":"image/png","data":"%s"}}',
        '{"type":"input_audio","input_audio":{"data":"%s","format":"wav"}}',
        '{"type":"thinking","thinking":"","signature":"%s"}',
        '{"thoughtSignature":"%s"}',
        '{"type":"reasoning","encrypted_content":"%s"}',
    ],
)
def test_data_between_the_texts_counts_as_a_picture_at_most(form: str, size_bytes: int, tokens: int) -> None:
    data = base64.b64encode(bytes(size_bytes)).decode()
    bodies = [f'{{"messages":["{"a word " * 300}",{form % part},{form % part}]}}'.encode() for part in ("", data)]
    found = need(ClientRequest("m", False, max_output=1), bodies[1]).amounts[2]
    assert found == pytest.approx(len(bodies[0]) // 3 + 2 * tokens + 1, abs=20)


def test_text_that_looks_like_data_is_read_as_text() -> None:
    """Or anybody could have a model read a megabyte for next to nothing."""
    body = json.dumps({"messages": [{"role": "user", "content": "w" * 50_000}]}).encode()
    assert need(ClientRequest("m", False, max_output=1), body).amounts[2] >= 50_000


def test_data_may_be_sound_and_is_held_at_its_price() -> None:
    body = json.dumps({"messages": [{"data": base64.b64encode(bytes(90_000)).decode()}]}).encode()
    found = need(ClientRequest("sound", False, max_output=1), body)
    assert found.amounts[0] == (found.amounts[2] - 1) * 40 + 8
    assert need(ClientRequest("sound", False, max_output=1), b"x" * 300).amounts[0] == 100 + 8


def test_the_dearest_of_several_groups_counts_and_the_first_one_limits() -> None:
    policy = KeyPolicy(
        key=4, key_name="k", account=7, account_name="a", groups=("default", "vip"), models=("*",), user=9
    )
    client = edge_job(KNOWN, ClientRequest("m", False, max_output=50), b"x" * 300, policy=policy)
    found = job_need(client, KNOWN.rates("m"), 0)
    assert (found.amounts[0], found.key, found.user, found.group) == ((100 * 2 + 50 * 8) * 3, 4, 9, "default")


def test_the_discount_comes_off() -> None:
    assert need(ClientRequest("m", False, max_output=50), b"x" * 300, 250_000).amounts[0] == (100 * 2 + 50 * 8) * 3 // 4


def test_what_is_no_conversation_has_no_output_beyond_what_it_asks_for() -> None:
    asked = ClientRequest("images", False, beside=Units(images=3), variant="")
    assert need(asked, b"x" * 300, path="/v1/images/generations").amounts == (3 * 7, 1, 100, 3)


def test_a_form_is_paid_by_what_stands_beside_its_bytes() -> None:
    asked = ClientRequest("images", False, beside=Units(images=2), variant="")
    found = need(asked, b"x" * 9_000, path="/v1/images/edits", content_type="multipart/form-data; boundary=b")
    assert found.amounts == (2 * 7, 1, 0, 2)


def test_completions_talk_as_well() -> None:
    found = need(ClientRequest("m", False), b"x" * 300, path="/v1/completions")
    assert found.amounts[2] == 100 + ASSUMED


def test_what_is_free_is_held_as_nothing_and_counted_all_the_same() -> None:
    assert need(ClientRequest("free", False, max_output=50), b"x" * 300).amounts == (0, 1, 150, 0)
