"""Messages requests as neutral ones: tools, the answer's settings, the rest."""

from typing import Any

import pytest

from tests.unit.protocol.anthropic.anthropic_reading import read, refused
from trunkline.core.errors import ErrorType, FaultError
from trunkline.protocol.anthropic.request_reader import read_request
from trunkline.protocol.fidelity import Feature
from trunkline.protocol.model import (
    CacheMark,
    Effort,
    Format,
    OutputFormat,
    Sampling,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolMode,
)

# --- tools -----------------------------------------------------------------------------------------------------------


def test_tools_with_their_schemas_as_written() -> None:
    schema = b'{"type": "object", "properties": {"n": {"maximum": 1.10}}}'
    body = b'{"max_tokens":9,"messages":[{"role":"user","content":"x"}],"tools":[{"name":"f","description":"d",'
    body += b'"input_schema":' + schema + b',"strict":true,"cache_control":{"type":"ephemeral"}},{"type":"custom",'
    body += b'"name":"g","description":null}]}'
    assert read_request(body, stream=False).tools == (
        Tool("f", "d", schema, strict=True, cache=CacheMark.SHORT),
        Tool("g"),
    )


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "bash_20250124", "name": "bash"},
        {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
        {"type": "web_search_20250305", "name": "web_search"},
        {"type": "computer_toolset_20260801"},
    ],
)
def test_the_providers_own_tools_are_a_feature(tool: object) -> None:
    request = read(tools=[tool, {"name": "f", "input_schema": {}}])
    assert request.features == (Feature.TOOL_BUILT_IN,)
    assert [tool.name for tool in request.tools] == ["f"]


def test_hints_on_tools_are_named() -> None:
    tool = {"name": "f", "input_schema": {}, "defer_loading": True, "input_examples": [{}]}
    assert read(tools=[tool]).extras == ("tools.defer_loading", "tools.input_examples")


@pytest.mark.parametrize(
    ("choice", "read_as", "parallel"),
    [
        (None, None, None),
        ({"type": "auto"}, ToolChoice(ToolMode.AUTO), None),
        ({"type": "any"}, ToolChoice(ToolMode.REQUIRED), None),
        ({"type": "none"}, ToolChoice(ToolMode.NONE), None),
        ({"type": "tool", "name": "f"}, ToolChoice(ToolMode.REQUIRED, ("f",)), None),
        ({"type": "auto", "disable_parallel_tool_use": True}, ToolChoice(ToolMode.AUTO), False),
        ({"type": "any", "disable_parallel_tool_use": False}, ToolChoice(ToolMode.REQUIRED), True),
    ],
)
def test_tool_choices(choice: object, read_as: ToolChoice | None, parallel: bool | None) -> None:
    request = read(tool_choice=choice)
    assert (request.tool_choice, request.parallel_tools) == (read_as, parallel)


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({"tools": [{"name": "f"}, {"name": "f"}]}, "tools[1].name"),
        ({"tools": {"name": "f"}}, "tools"),
        ({"tools": [{"name": 5}]}, "tools[0].name"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
    ],
)
def test_a_tool_at_fault_is_named(members: dict[str, Any], param: str) -> None:
    assert refused(**members).param == param


# --- the answer ------------------------------------------------------------------------------------------------------


def test_sampling_bounds_and_identity() -> None:
    request = read(
        max_tokens=7,
        temperature=1,
        top_p=0.5,
        top_k=40,
        stop_sequences=["a", "b"],
        metadata={"user_id": "u"},
        service_tier="standard_only",
    )
    assert request.sampling == Sampling(temperature=1.0, top_p=0.5, top_k=40)
    assert (request.max_output, request.stop, request.user) == (7, ("a", "b"), "u")
    assert request.service_tier == "standard_only"
    assert (request.features, request.extras) == ((), ())


@pytest.mark.parametrize(
    ("members", "thinking"),
    [
        ({}, Thinking()),
        ({"thinking": None}, Thinking()),
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}, "max_tokens": 4096}, Thinking(budget=2048)),
        ({"thinking": {"type": "adaptive"}}, Thinking(adaptive=True)),
        ({"thinking": {"type": "adaptive", "display": "summarized"}}, Thinking(adaptive=True, show=True)),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, Thinking(adaptive=True, show=False)),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}}, Thinking(effort=Effort.NONE)),
        ({"output_config": {"effort": "max"}}, Thinking(effort=Effort.MAX)),
        (
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}},
            Thinking(effort=Effort.XHIGH, adaptive=True),
        ),
    ],
)
def test_thinking(members: dict[str, Any], thinking: Thinking) -> None:
    assert read(**members).thinking == thinking


def test_a_schema_in_its_newer_and_its_older_place() -> None:
    written = {"type": "json_schema", "schema": {"type": "object"}}
    expected = OutputFormat(Format.SCHEMA, schema=b'{"type": "object"}')
    assert read(output_config={"format": written}).output == expected
    assert read(output_format=written).output == expected
    assert read(output_config={"format": None, "task_budget": 5}).extras == ("output_config.task_budget",)


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_k": 1.5}, "top_k"),
        ({"stop_sequences": "a"}, "stop_sequences"),
        ({"stop_sequences": [1]}, "stop_sequences[0]"),
        ({"metadata": {"user_id": 5}}, "metadata.user_id"),
        ({"thinking": {"type": "odd"}}, "thinking.type"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "enabled", "budget_tokens": 100}}, "thinking.budget_tokens"),
        ({"output_config": {"effort": "huge"}}, "output_config.effort"),
        ({"output_config": {"format": {"type": "json_object"}}}, "output_config.format"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format"),
        ({"output_format": {"type": "text"}}, "output_format"),
    ],
)
def test_a_field_at_fault_is_named(members: dict[str, Any], param: str) -> None:
    fault = refused(**members)
    assert (fault.type, fault.param) == (ErrorType.CLIENT_BAD_REQUEST, param)


# --- what only its own dialect has -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "feature"),
    [
        ({"container": "c_1"}, Feature.STATE),
        ({"metadata": {"user_id": "u", "trace": "x"}}, Feature.METADATA),
        ({"speed": "fast"}, Feature.SERVICE_TIER),
    ],
)
def test_features_beside_the_neutral_fields(members: dict[str, Any], feature: Feature) -> None:
    assert read(**members).features == (feature,)


@pytest.mark.parametrize("name", ["context_management", "mcp_servers", "inference_geo", "diagnostics", "fallbacks"])
def test_what_changes_the_answer_and_nobody_else_has_is_refused(name: str) -> None:
    fault = refused(**{name: [{"x": 1}]})
    assert (fault.param, fault.code) == (name, "unsupported_parameter")
    assert read(**{name: None}).extras == ()


def test_unknown_fields_are_named_and_ours_are_not() -> None:
    request = read(seed=5, odd=None, models=["a"], fallback_models=["b"], speed="standard", user_profile_id="u")
    assert request.extras == ("seed", "user_profile_id")
    assert request.features == ()


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"5", b"[" * 5000])
def test_what_is_no_object_is_bad_json(body: bytes) -> None:
    with pytest.raises(FaultError) as caught:
        read_request(body, stream=False)
    assert caught.value.fault.type is ErrorType.CLIENT_BAD_JSON


def test_half_an_emoji_is_replaced() -> None:
    body = rb'{"max_tokens":9,"messages":[{"role":"user","content":"a\ud83d"}]}'
    assert read_request(body, stream=False).turns[0].parts == (Text("a\ufffd"),)
