"""The cost inside an answer: in every usage report, in nothing else, and every other byte as it was."""

import msgspec
import pytest

from trunkline.protocol.stated_cost import asks_cost, cost_number, events_with_cost, with_cost

COST = b"0.0000121"


@pytest.mark.parametrize(
    ("wish", "asks"),
    [
        (b"", False),
        (b"null", False),
        (b"true", False),
        (b"{}", False),
        (b'{"include":true}', True),
        (b'{ "include" : true , "more": [1] }', True),
        (b'{"include":false}', False),
        (b'{"include":"true"}', False),
        (b"[true]", False),
    ],
)
def test_only_openrouters_form_asks(wish: bytes, *, asks: bool) -> None:
    assert asks_cost(msgspec.Raw(wish)) is asks


@pytest.mark.parametrize(
    ("nano", "number"), [(0, b"0.00"), (12_100, b"0.0000121"), (1, b"0.000000001"), (12 * 10**9, b"12.00")]
)
def test_a_cost_is_a_number_without_a_lost_digit(nano: int, number: bytes) -> None:
    assert cost_number(nano) == number
    assert msgspec.json.decode(number) == nano / 10**9


@pytest.mark.parametrize(
    ("body", "stated"),
    [
        (b'{"id":"x", "usage" : {"a":1} }', b'{"id":"x", "usage" : {"cost":0.0000121,"a":1} }'),
        (b'{"usage":{}}', b'{"usage":{"cost":0.0000121}}'),
        (b'{"usageMetadata":{"a":1}}', b'{"usageMetadata":{"cost":0.0000121,"a":1}}'),
        # What the provider says of it is its price for us.
        (b'{"usage":{"a":1,"cost":9,"cost_details":{}}}', b'{"usage":{"cost":0.0000121,"a":1}}'),
        # No report: it gets one. A report inside something else is none of the answer's.
        (b'{"data":[]}', b'{"usage":{"cost":0.0000121},"data":[]}'),
        (b'{"data":[],"usage":null}', b'{"data":[],"usage":{"cost":0.0000121}}'),
        (b'{"data":{"usage":{}}}', b'{"usage":{"cost":0.0000121},"data":{"usage":{}}}'),
        (
            b'{"response":{"response":{"usage":{}}}}',
            b'{"usage":{"cost":0.0000121},"response":{"response":{"usage":{}}}}',
        ),
        (b"a transcript", b"a transcript"),
        (b"[1]", b"[1]"),
        (b'{"cut', b'{"cut'),
        (b"\xff\xfb\x90", b"\xff\xfb\x90"),
    ],
)
def test_a_whole_answer_states_it(body: bytes, stated: bytes) -> None:
    assert with_cost(body, COST) == stated


def test_events_state_it_where_they_report() -> None:
    told: list[int] = []

    def cost() -> bytes:
        told.append(1)
        return COST

    quiet = b'data: {"choices":[],"usage":null}\n\n'
    text = b'data: {"delta":"so it has \\"usage\\": {} in it"}\n\n'
    opening = b'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":1}}}\n\n'
    assert events_with_cost(b'data: {"delta":"x"}\n\n', cost) == b'data: {"delta":"x"}\n\n'
    assert told == []
    block = quiet + text + opening + b"data: [DONE]\n\n"
    assert events_with_cost(block, cost) == block
    delta = b'event: message_delta\r\ndata: {"usage":{"output_tokens":5}}\r\n\r\n'
    assert events_with_cost(opening + delta, cost) == opening + delta.replace(b'{"output', b'{"cost":0.0000121,"output')
    response = b'data: {"type":"response.completed","response":{"usage":{"input_tokens":5},"model":"m"}}\n\n'
    assert events_with_cost(response, cost) == response.replace(b'{"input', b'{"cost":0.0000121,"input')
    pretty = b'data: {\ndata:  "usage": {"a": 1}\ndata: }\n\n'
    assert b'"cost":0.0000121' in events_with_cost(pretty, cost)


def test_what_is_no_event_passes() -> None:
    array = b'[{"usageMetadata":{"promptTokenCount":1}}'
    assert events_with_cost(array, lambda: COST) == array
    broken = b'data: {"usage":{"a":1}\n\n'
    assert events_with_cost(broken, lambda: COST) == broken
