"""Faults as ends of chat streams."""

import json

from trunkline.core.errors import ErrorType, Fault
from trunkline.protocol.openai_chat.errors import render_stream_error


def test_an_error_in_a_stream_is_one_event_without_done() -> None:
    event = render_stream_error(Fault(ErrorType.UPSTREAM_CUT, 'a "quoted"\nline'), "req-1")
    assert event.startswith(b"data: {")
    assert event.endswith(b"}\n\n")
    assert event.count(b"\n") == 2
    assert json.loads(event[6:]) == {
        "error": {
            "message": 'a "quoted"\nline',
            "type": "server_error",
            "param": None,
            "code": "upstream_invalid_response",
            "request_id": "req-1",
        }
    }
