"""A provider's list of models: how it is asked for, read, and shown beside what the channel serves."""

import json
from typing import Any

import pytest

from trunkline.bus.snapshots import ChannelSnapshot
from trunkline.policy.admin_probes import UpstreamModel
from trunkline.policy.upstream_models import MODELS_MAX, ModelsPage, discovered, list_call, read_page


def make_channel(dialect: str = "openai", models: dict[str, str] | None = None) -> ChannelSnapshot:
    return ChannelSnapshot(1, "main", dialect, "https://provider.example/v1", (), models or {})


@pytest.mark.parametrize(
    ("dialect", "cursor", "end"),
    [
        ("openai", "", "/models"),
        ("openai", "ignored", "/models"),
        ("anthropic", "", "/models?limit=1000"),
        ("anthropic", "m&1", "/models?limit=1000&after_id=m%261"),
        ("gemini", "", "/models?pageSize=1000"),
        ("gemini", "tok/en", "/models?pageSize=1000&pageToken=tok%2Fen"),
    ],
)
def test_each_dialect_pages_in_its_own_way(dialect: str, cursor: str, end: str) -> None:
    call = list_call(make_channel(dialect), "s3cret", cursor)
    assert (call.method, call.url) == ("GET", f"https://provider.example/v1{end}")
    assert sum("s3cret" in value for value in call.headers.values()) == 1


@pytest.mark.parametrize(
    ("dialect", "body", "page"),
    [
        ("openai", {"object": "list", "data": [{"id": "a", "owned_by": "x"}, {"id": "b"}]}, ModelsPage(("a", "b"))),
        ("openai", [{"id": "a"}, {"name": "b"}], ModelsPage(("a", "b"))),
        ("openai", {"data": [{"id": ""}, {"id": "x" * 257}]}, ModelsPage(())),
        ("openai", {"data": [{"id": "a"}], "has_more": True, "last_id": "a"}, ModelsPage(("a",))),
        ("anthropic", {"data": [{"id": "c", "type": "model"}], "has_more": False, "last_id": "c"}, ModelsPage(("c",))),
        ("anthropic", {"data": [{"id": "c"}], "has_more": True, "last_id": "c"}, ModelsPage(("c",), "c")),
        ("gemini", {"models": [{"name": "models/g"}], "nextPageToken": "t"}, ModelsPage(("g",), "t")),
        ("gemini", {"models": [{"name": "models/g"}]}, ModelsPage(("g",))),
    ],
)
def test_a_page_is_read(dialect: str, body: Any, page: ModelsPage) -> None:
    assert read_page(dialect, json.dumps(body).encode()) == page


@pytest.mark.parametrize("body", [b"<html>", b"", b'"models"', b'{"data": "none"}', b'{"data": [1]}', b"[" * 5000])
def test_what_is_no_list_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="not a list of models"):
        read_page("openai", body)


def test_a_list_stands_beside_what_is_served() -> None:
    channel = make_channel("gemini", {"fast": "flash", "old": "bard", "quick": "models/flash"})
    found = discovered(channel, ["pro", "flash", "pro"], complete=True)

    assert found.models == (UpstreamModel("flash", ("fast", "quick")), UpstreamModel("pro", ()))
    assert (found.unlisted, found.complete) == (("old",), True)


def test_what_is_not_on_a_part_of_a_list_may_be_on_the_rest() -> None:
    assert discovered(make_channel(models={"old": "bard"}), ["pro"], complete=False).unlisted == ()


def test_a_long_list_is_cut_and_says_so() -> None:
    found = discovered(make_channel(), [f"m{number:05}" for number in range(MODELS_MAX + 1)], complete=True)

    assert (len(found.models), found.complete) == (MODELS_MAX, False)
