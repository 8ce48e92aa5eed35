"""Faults as ends of streams, as the official SDK takes them."""

import json
from collections.abc import Callable

import httpx2
import openai
import pytest
from openai.types.responses import Response

from trunkline.core.errors import ErrorType, Fault
from trunkline.protocol.dialect import AnswerFrame
from trunkline.protocol.events import MessageStart, TextDelta
from trunkline.protocol.openai_responses.errors import render_stream_error
from trunkline.protocol.openai_responses.event_writer import ResponsesEventWriter

T = ErrorType
JOB = "01234567-89ab-cdef-0123-456789abcdef"


def ended(fault: Fault) -> list[dict[str, object]]:
    blocks = render_stream_error(fault, JOB).decode().removesuffix("\n\n").split("\n\n")
    events = []
    for block in blocks:
        name, data = block.split("\n")
        events.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {events[-1]['type']}"
    return events


def test_the_error_is_written_flat_and_nested_and_then_the_response_fails() -> None:
    error, failed = ended(Fault(T.UPSTREAM_CUT, "Cut off.", param="input"))
    flat = {"code": "upstream_invalid_response", "message": "Cut off.", "param": "input"}
    assert {key: error[key] for key in flat} == flat
    assert error["error"] == {**flat, "type": "server_error", "request_id": JOB}
    response = Response.model_validate(failed["response"], strict=True)
    assert response.status == "failed"
    assert response.error is not None
    assert (response.error.code, response.error.message) == ("server_error", "Cut off.")


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault(T.UPSTREAM_RATE_LIMITED, "m"), "rate_limit_exceeded"),
        (Fault(T.UPSTREAM_BAD_REQUEST, "m"), "invalid_prompt"),
        (Fault(T.UPSTREAM_BAD_REQUEST, "m", code="context_length_exceeded"), "context_length_exceeded"),
    ],
)
def test_a_failed_response_has_a_code_that_clients_know(fault: Fault, code: str) -> None:
    response = ended(fault)[1]["response"]
    assert isinstance(response, dict)
    assert response["error"]["code"] == code


def test_the_response_that_fails_is_the_one_that_was_created() -> None:
    writer = ResponsesEventWriter(AnswerFrame(id=JOB.replace("-", ""), model="m", created=1))
    created = json.loads(writer.write(MessageStart()).split(b"data: ")[1].split(b"\n")[0])
    failed = ended(Fault(T.UPSTREAM_CUT, "m"))[1]["response"]
    assert isinstance(failed, dict)
    assert created["response"]["id"] == failed["id"]


def read_with_helper(client: openai.OpenAI) -> None:
    with client.responses.stream(model="m", input="hi") as stream:
        stream.get_final_response()


def read_plainly(client: openai.OpenAI) -> None:
    for _ in client.responses.create(model="m", input="hi", stream=True):
        pass


@pytest.mark.parametrize("read", [read_with_helper, read_plainly])
def test_the_sdk_raises_with_the_error(read: Callable[[openai.OpenAI], None]) -> None:
    writer = ResponsesEventWriter(AnswerFrame(id="1", model="m", created=1))
    body = writer.write(MessageStart()) + writer.write(TextDelta("Hel"))
    body += render_stream_error(Fault(T.UPSTREAM_CUT, "Cut off."), JOB)

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    with httpx2.Client(transport=httpx2.MockTransport(answer)) as http:
        client = openai.OpenAI(api_key="k", base_url="http://test/v1", http_client=http)
        with pytest.raises(openai.APIError) as caught:
            read(client)
    assert caught.value.message == "Cut off."
    assert caught.value.code == "upstream_invalid_response"
