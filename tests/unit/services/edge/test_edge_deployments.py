"""The model in the path of a request in Azure's form gets into its body."""

import pytest

from services.edge.deployments import with_model
from tests.support.upstream_forms import form
from trunkline.core.errors import FaultError
from trunkline.runtime.http_exchange import Request


def named(body: bytes, content_type: str = "application/json", model: str = "d") -> bytes:
    headers = {"content-type": content_type} if content_type else {}
    return with_model(Request("POST", "/", "", headers, body, "127.0.0.1"), model).body


def test_a_missing_model_is_put_in() -> None:
    assert named(b'{"input": "x"}') == b'{"model":"d","input": "x"}'
    assert named(b"{}", "") == b'{"model":"d"}'


def test_the_path_decides() -> None:
    assert named(b'{"model": "other", "input": 12345678901234567890}') == (
        b'{"model": "d", "input": 12345678901234567890}'
    )


def test_the_same_model_leaves_the_body_alone() -> None:
    body = b'{"model": "d", "input": "x"}'
    assert named(body) is body


def test_a_form_gets_its_model() -> None:
    content_type = "multipart/form-data; boundary=border"
    file = ("file", b"\x00\r\n--borde\r\n")
    assert named(form(("model", "other"), file), content_type) == form(("model", "d"), file)
    assert b'name="model"\r\n\r\nd\r\n' in named(form(file), content_type)


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=border"])
def test_what_cannot_be_read_is_refused(content_type: str) -> None:
    with pytest.raises(FaultError):
        named(b"[]", content_type)


def test_a_body_of_nothing_but_members_is_refused_before_they_are_looked_for() -> None:
    body = b"{" + b",".join([b'"a":1'] * 400_000) + b"}"
    with pytest.raises(FaultError, match="take more than"):
        named(body)
