"""What the audit log keeps of views: all but what opens something."""

import msgspec
import pytest

from trunkline.policy.audit import DOCUMENT_BYTES_MAX, MASKED, kept, masked


def test_secrets_are_masked_at_any_depth_and_the_rest_stays() -> None:
    view = {"secret": "sk-tl-abc", "key": {"name": "ci", "prefix": "sk-tl-ab"}, "hooks": [{"url": "https://h/token"}]}
    assert masked(view) == {
        "secret": MASKED,
        "key": {"name": "ci", "prefix": "sk-tl-ab"},
        "hooks": [{"url": MASKED}],
    }


def test_lists_of_secrets_show_only_how_many_there_are() -> None:
    assert masked({"codes": ["TL-1", "TL-2"]}) == {"codes": [MASKED, MASKED]}
    view = {"credentials": [{"id": 1, "mark": "ab12", "secret": "x"}, "literal"]}
    assert masked(view) == {"credentials": [{"id": 1, "mark": "ab12", "secret": MASKED}, MASKED]}


@pytest.mark.parametrize("nothing", [None, "", False])
def test_what_is_not_set_stays_to_be_seen(nothing: object) -> None:
    assert masked({"password": nothing}) == {"password": nothing}


def test_only_json_of_a_bounded_size_is_kept() -> None:
    assert kept(None) is None
    assert kept(b"") is None
    assert kept(b"%PDF-1.7") is None
    assert kept(b'{"token":"x"}') == msgspec.json.encode({"token": MASKED}).decode()
    long = msgspec.json.encode({"names": "n" * DOCUMENT_BYTES_MAX})
    assert kept(long) == msgspec.json.encode({"omitted_bytes": len(long)}).decode()


def test_a_nul_that_postgres_cannot_hold_is_replaced() -> None:
    assert kept(b'{"name":"a\\u0000b"}') == '{"name":"a\\ufffdb"}'
