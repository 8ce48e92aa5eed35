"""The dialect as a whole: its sides, its calls and its lists."""

import json

from trunkline.protocol.dialect import (
    AnswerFrame,
    Call,
    ClientDialect,
    RelayDialect,
    TokenCounter,
    UpstreamDialect,
    Written,
)
from trunkline.protocol.events import Finish, FinishReason, MessageEnd, MessageStart, TextDelta
from trunkline.protocol.models import ModelCard
from trunkline.protocol.openai_responses.dialect import OpenAIResponses
from trunkline.protocol.vendor import DEFAULTS, VendorOptions

DIALECT = OpenAIResponses()
CLIENT: ClientDialect = DIALECT
UPSTREAM: UpstreamDialect = DIALECT
RELAY: RelayDialect = DIALECT
COUNTER: TokenCounter = DIALECT


def test_where_an_upstream_is_called() -> None:
    assert UPSTREAM.call("m", stream=True, options=DEFAULTS) == Call("/responses")
    azure = VendorOptions(api_version="2026-10-01 preview")
    assert UPSTREAM.call("m", stream=False, options=azure) == Call("/responses?api-version=2026-10-01%20preview")
    assert UPSTREAM.credential_header("s", DEFAULTS) == b"authorization: Bearer s\r\n"
    assert UPSTREAM.carried({"x": "y"}, DEFAULTS) == b""


def test_models_are_listed_in_openais_shape() -> None:
    card = ModelCard("m", 1, "o")
    shown = {"id": "m", "object": "model", "created": 1, "owned_by": "o"}
    assert json.loads(CLIENT.render_models([card])) == {"object": "list", "data": [shown]}
    assert json.loads(CLIENT.render_model(card))["id"] == "m"


def test_all_sides_work_on_one_another() -> None:
    body = b'{"model":"m","input":"hi","store":false,"include":["reasoning.encrypted_content"]}'
    assert CLIENT.read_head(body) == COUNTER.read_count_head(body)
    assert CLIENT.count_input(body) > 0
    assert COUNTER.render_count(1).startswith(b'{"object":"response.input_tokens"')
    assert CLIENT.read_request(body, stream=True).stream
    assert RELAY.prepare(body, upstream_model=None, ask_usage=True, rules=None) is body
    frame = AnswerFrame("1", "m", 1)
    answer = [MessageStart("resp_1"), TextDelta("a"), Finish(FinishReason.STOP), MessageEnd()]
    whole = CLIENT.write_answer(answer, frame)
    assert RELAY.read_whole(whole).valid
    assert json.loads(RELAY.rename(whole, "p"))["model"] == "p"
    assert UPSTREAM.read_answer(whole, Written(b""), DEFAULTS) == answer
    writer = CLIENT.event_writer(frame)
    stream = b"".join([writer.write(event) for event in answer])
    reader = UPSTREAM.event_reader(Written(b""), DEFAULTS)
    assert [*reader.receive(stream), *reader.finish()] == answer
    relay = RELAY.relay(public_model=None, hide_usage=True, array=False, options=DEFAULTS)
    assert relay.receive(stream) == stream
    assert relay.complete
    assert CLIENT.stream_type(array=False) == "text/event-stream; charset=utf-8"
