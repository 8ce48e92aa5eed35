"""A Responses request as the neutral one: tools, the answer's settings, refusals."""

import pytest

from tests.unit.protocol.openai_responses.responses_requests import HI, read, refused, user
from trunkline.core.errors import ErrorType, FaultError
from trunkline.protocol.fidelity import Feature
from trunkline.protocol.model import (
    Effort,
    Format,
    OutputFormat,
    Request,
    Sampling,
    Thinking,
    Tool,
    ToolChoice,
    ToolMode,
)
from trunkline.protocol.openai_responses.request_reader import read_request

# --- tools -----------------------------------------------------------------------------------------------------


def test_tools_are_flat_and_schemas_stay_source() -> None:
    body = (
        b'{"input":"hi","tools":[{"type":"function","name":"f","description":"d","parameters":{ "n":1.50 },'
        b'"strict":true},{"type":"function","name":"g","parameters":null},{"type":"custom","name":"c"}]}'
    )
    assert read_request(body, stream=False).tools == (
        Tool("f", "d", b'{ "n":1.50 }', strict=True),
        Tool("g"),
        Tool("c", custom=True),
    )


def test_a_grammar_is_reported() -> None:
    tool = {"type": "custom", "name": "c", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}}
    assert read(tools=[tool]).features == (Feature.TOOL_GRAMMAR,)
    assert read(tools=[{**tool, "format": {"type": "text"}}]).features == ()


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, None),
        ("auto", ToolChoice(ToolMode.AUTO)),
        ("required", ToolChoice(ToolMode.REQUIRED)),
        ("none", ToolChoice(ToolMode.NONE)),
        ({"type": "function", "name": "f"}, ToolChoice(ToolMode.REQUIRED, ("f",))),
        ({"type": "custom", "name": "c"}, ToolChoice(ToolMode.REQUIRED, ("c",))),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
            ToolChoice(ToolMode.AUTO, ("f",)),
        ),
    ],
)
def test_tool_choices(choice: object, expected: ToolChoice | None) -> None:
    request = read(tool_choice=choice)
    assert (request.tool_choice, request.features) == (expected, ())


def test_a_choice_of_a_hosted_tool_is_reported() -> None:
    assert read(tool_choice={"type": "web_search"}).features == (Feature.TOOL_BUILT_IN,)
    allowed = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "mcp"}]}
    assert read(tool_choice=allowed).features == (Feature.TOOL_BUILT_IN,)


# --- what the answer should be ---------------------------------------------------------------------------------


def test_sampling_limits_and_identity() -> None:
    request = read(
        temperature=1,
        top_p=0.5,
        max_output_tokens=7,
        parallel_tool_calls=False,
        prompt_cache_key="k",
        user="u",
        service_tier="flex",
    )
    assert request == Request(
        turns=(user("hi"),),
        sampling=Sampling(temperature=1.0, top_p=0.5),
        max_output=7,
        parallel_tools=False,
        cache_key="k",
        user="u",
        service_tier="flex",
    )
    assert read(user="u", safety_identifier="s").user == "s"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"type": "text"}, OutputFormat(Format.TEXT)),
        ({"type": "json_object"}, OutputFormat(Format.JSON)),
        (
            {"type": "json_schema", "name": "n", "description": "d", "schema": {"type": "object"}, "strict": True},
            OutputFormat(Format.SCHEMA, "n", "d", b'{"type": "object"}', strict=True),
        ),
    ],
)
def test_the_form_of_the_text(value: object, expected: OutputFormat) -> None:
    assert read(text={"format": value}).output == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, Thinking()),
        ({}, Thinking()),
        ({"effort": None, "summary": None}, Thinking()),
        ({"effort": "xhigh"}, Thinking(effort=Effort.XHIGH)),
        ({"summary": "detailed"}, Thinking(show=True)),
        ({"effort": "none", "generate_summary": "auto"}, Thinking(effort=Effort.NONE, show=True)),
    ],
)
def test_reasoning_settings(value: object, expected: Thinking) -> None:
    assert read(reasoning=value).thinking == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"top_logprobs": 0}, None),
        ({"top_logprobs": 3}, 3),
        ({"include": ["message.output_text.logprobs"]}, 0),
        ({"include": ["message.output_text.logprobs"], "top_logprobs": 5}, 5),
        ({"include": ["reasoning.encrypted_content"]}, None),
    ],
)
def test_logprobs(fields: dict[str, object], expected: int | None) -> None:
    assert read(**fields).logprobs == expected


def test_what_the_neutral_request_does_not_hold_is_reported() -> None:
    request = read(
        store=True,
        metadata={"a": "b"},
        text={"verbosity": "low"},
        truncation="auto",
        reasoning={"mode": "pro", "context": "all_turns"},
        max_tool_calls=3,
        min_p=0.1,
        odd=None,
        models=["x"],
        stream_options={"include_obfuscation": False},
    )
    assert request.features == (Feature.STORE, Feature.METADATA, Feature.VERBOSITY)
    assert request.extras == ("max_tool_calls", "min_p", "truncation", "reasoning.mode", "reasoning.context")


def test_defaults_that_are_said_are_no_loss() -> None:
    request = read(store=False, metadata={}, truncation="disabled", reasoning={"mode": "standard", "context": "auto"})
    assert (request.features, request.extras) == ((), ())


# --- what is refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ({"role": "tool", "content": "x"}, "input[1].role"),
        ({"type": "message", "content": "x"}, "input[1].role"),
        ({"type": "news"}, "input[1].type"),
        ({}, "input[1].type"),
        ({"type": "function_call", "name": "f", "arguments": ""}, "input[1].call_id"),
        ({"type": "function_call", "call_id": "c"}, "input[1].name"),
        ({"type": "function_call_output", "output": ""}, "input[1].call_id"),
        ({"type": "function_call_output", "call_id": "c", "output": [5]}, "input[1].output"),
        ({"role": "user", "content": [{"type": "input_audio"}]}, "input[1].content[0].type"),
        ({"role": "user", "content": [{"type": "input_image"}]}, "input[1].content[0].image_url"),
        ({"role": "user", "content": [{"type": "input_file"}]}, "input[1].content[0]"),
        ({"role": "user", "content": [{"type": "input_text", "text": 5}]}, "input[1].content[0].text"),
        ({"role": "user", "content": 5}, "input[1].content"),
        ({"type": "compaction", "encrypted_content": "x"}, "input[1]"),
        ({"type": "item_reference", "id": "msg_1"}, "input[1]"),
        ({"id": "msg_1"}, "input[1]"),
    ],
)
def test_an_item_that_cannot_be_read_is_named(item: object, param: str) -> None:
    fault = refused([HI, item])
    assert (fault.type, fault.param) == (ErrorType.CLIENT_BAD_REQUEST, param)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"reasoning": {"effort": "huge"}}, "reasoning.effort"),
        ({"tool_choice": "some"}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.name"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
        ({"temperature": "hot"}, "temperature"),
        ({"moderation": {"model": "x"}}, "moderation"),
        ({"context_management": [{"type": "compaction"}]}, "context_management"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
    ],
)
def test_a_field_that_cannot_be_carried_is_named(fields: dict[str, object], param: str) -> None:
    fault = refused(**fields)
    assert (fault.type, fault.param) == (ErrorType.CLIENT_BAD_REQUEST, param)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"5", b'{"input":"\xff"}', b'{"input":' + b"[" * 5000])
def test_bytes_that_are_no_request_raise_a_fault(body: bytes) -> None:
    with pytest.raises(FaultError):
        read_request(body, stream=False)


def test_a_lone_surrogate_is_read_as_its_replacement() -> None:
    assert read_request(rb'{"input":"a\ud83d"}', stream=True) == Request(turns=(user("a\ufffd"),), stream=True)
