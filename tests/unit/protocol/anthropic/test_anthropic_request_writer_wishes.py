"""Neutral requests as Messages requests: tools, the form of the answer, sampling and thinking."""

import json
from typing import Any

import msgspec
import pytest

from tests.unit.protocol.anthropic.anthropic_requests import (
    BOTH,
    CALL,
    LAST,
    NEW,
    NO_SCHEMA,
    OBJECT,
    OLD,
    RESULT,
    assistant,
    body,
    refused,
    user,
    write,
)
from trunkline.protocol import names
from trunkline.protocol.model import (
    CacheMark,
    Effort,
    Format,
    OutputFormat,
    Proof,
    Reasoning,
    Sampling,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
)
from trunkline.protocol.vendor import DEFAULTS, VendorOptions

# --- tools -----------------------------------------------------------------------------------------------------------


def test_tools_with_their_schemas_as_written() -> None:
    schema = b'{"type": "object", "properties": {"n": {"maximum": 1.10}}}'
    tools = (Tool("f", "does", schema, cache=CacheMark.SHORT), Tool("g"), Tool("h", schema=b'{ "properties": {}}'))
    _, _, whole = write(tools=tools)
    assert (
        b'"tools":[{"name":"f","description":"does","input_schema":'
        + schema
        + b',"cache_control":{"type":"ephemeral"}},'
        b'{"name":"g","input_schema":{"type":"object","properties":{}}},'
        b'{"name":"h","input_schema":{"type":"object", "properties": {}}}]'
    ) in whole.body


def test_a_schema_that_is_no_object_is_refused() -> None:
    for schema in (b'{"type":"string"}', b"[]", b"true", b'{"type":["object","null"]}'):
        assert refused(tools=(Tool("f", schema=schema),)).param == "tools.f"


def test_names_that_the_provider_refuses_are_mapped_and_found_again() -> None:
    tools = (Tool("a.b"), Tool("a_b"), Tool("x" * 200), Tool("x" * 201))
    written, _, whole = write(tools=tools, tool_choice=ToolChoice(ToolMode.REQUIRED, ("a.b",)))
    names_written = [tool["name"] for tool in written["tools"]]
    assert len(set(names_written)) == 4
    assert all(len(name) <= 128 and name.replace("_", "").isalnum() for name in names_written)
    assert [whole.names.get(name, name) for name in names_written] == ["a.b", "a_b", "x" * 200, "x" * 201]
    assert written["tool_choice"] == {"type": "tool", "name": names_written[0]}


def test_two_tools_of_one_name_are_refused() -> None:
    assert refused(tools=(Tool("f"), Tool("f"))).param == "tools"


@pytest.mark.parametrize(
    ("choice", "parallel", "written"),
    [
        (None, None, None),
        (None, True, None),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice(ToolMode.AUTO), None, {"type": "auto"}),
        (ToolChoice(ToolMode.REQUIRED), False, {"type": "any", "disable_parallel_tool_use": True}),
        (ToolChoice(ToolMode.NONE), False, {"type": "none"}),
        (ToolChoice(ToolMode.REQUIRED, ("f",)), None, {"type": "tool", "name": "f"}),
    ],
)
def test_which_tools_are_called(choice: ToolChoice | None, parallel: Any, written: object) -> None:
    tree, header, _ = write(tools=(Tool("f"), Tool("g")), tool_choice=choice, parallel_tools=parallel)
    assert tree.get("tool_choice") == written
    assert len(tree["tools"]) == 2
    assert header == ""


def test_a_subset_leaves_the_other_tools_out() -> None:
    tools = (Tool("f"), Tool("g"), Tool("h"))
    tree, header, _ = write(tools=tools, tool_choice=ToolChoice(ToolMode.REQUIRED, ("h", "f")))
    assert [tool["name"] for tool in tree["tools"]] == ["f", "h"]
    assert tree["tool_choice"] == {"type": "any"}
    assert header == "degraded=tool_subset"
    tree, _, _ = write(tools=tools, tool_choice=ToolChoice(ToolMode.AUTO, ("g",)))
    assert [tool["name"] for tool in tree["tools"]] == ["g"]
    assert refused(tools=tools, tool_choice=ToolChoice(ToolMode.AUTO, ("x", "y"))).param == "tool_choice"


def test_a_choice_without_tools_is_dropped() -> None:
    tree, header, _ = write(tool_choice=ToolChoice(ToolMode.REQUIRED))
    assert "tool_choice" not in tree
    assert header == "dropped=tool_choice"


def test_a_demand_that_the_model_does_not_take_is_a_free_choice() -> None:
    demand = ToolChoice(ToolMode.REQUIRED, ("f",))
    tree, header, _ = write(LAST, tools=(Tool("f"),), tool_choice=demand, parallel_tools=False)
    assert tree["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert header == "degraded=forced_tool_with_thinking"
    tree, header, _ = write(tools=(Tool("f"),), tool_choice=demand, thinking=Thinking(budget=2048))
    assert (tree["tool_choice"], tree["thinking"]["type"]) == ({"type": "auto"}, "enabled")
    assert header == "degraded=forced_tool_with_thinking"
    tree, _, _ = write(BOTH, tools=(Tool("f"),), tool_choice=demand, thinking=Thinking(effort=Effort.LOW))
    assert tree["tool_choice"] == {"type": "tool", "name": "f"}


def test_a_custom_tool_is_a_function_with_one_field() -> None:
    turns = (
        user(Text("a")),
        assistant(ToolCall("t", "patch it", 'line\n"x"', custom=True)),
        user(ToolResult("t", "patch it", (Text("ok"),), custom=True)),
    )
    tree, header, whole = write(turns=turns, tools=(Tool("patch it", "patches", custom=True),))
    (tool,) = tree["tools"]
    assert whole.names == {tool["name"]: "patch it"}
    assert whole.unwrap_field == (tool["name"],)
    assert tool["input_schema"]["required"] == ["input"]
    assert list(tool["input_schema"]["properties"]) == ["input"]
    assert tree["messages"][1]["content"][0]["input"] == {"input": 'line\n"x"'}
    assert header == "degraded=custom_tool"


def test_a_strict_tool_has_a_closed_schema() -> None:
    loose = b'{"type":"object","properties":{"n":{"type":"integer","maximum":5}},"required":["n"]}'
    tree, header, _ = write(tools=(Tool("f", schema=OBJECT, strict=True), Tool("g", schema=loose, strict=True)))
    assert [tool["strict"] for tool in tree["tools"]] == [True, True]
    assert tree["tools"][0]["input_schema"] == json.loads(OBJECT)
    assert tree["tools"][1]["input_schema"] == {
        "type": "object",
        "properties": {"n": {"type": "integer", "description": "{maximum: 5}"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    assert header == "degraded=tools.schema"
    assert "strict" not in body(tools=(Tool("f", strict=False),))["tools"][0]


def test_strictness_goes_where_the_model_has_none() -> None:
    for model, options in ((NO_SCHEMA, DEFAULTS), (OLD, VendorOptions(tool_strict=False))):
        tree, header, _ = write(model, options=options, tools=(Tool("f", schema=OBJECT, strict=True),))
        assert "strict" not in tree["tools"][0]
        assert header == "dropped=tools.strict"


# --- the form of the answer ------------------------------------------------------------------------------------------

SCHEMA = OutputFormat(Format.SCHEMA, name="person", schema=OBJECT)


def test_a_json_object_is_an_instruction() -> None:
    tree, header, _ = write(instructions=(Text("Be nice"),), output=OutputFormat(Format.JSON))
    assert tree["system"][0] == {"type": "text", "text": "Be nice"}
    assert "JSON object" in tree["system"][1]["text"]
    assert header == "degraded=json_object"
    assert "JSON object" in body(output=OutputFormat(Format.JSON))["system"]


def test_a_schema_that_fits_goes_as_it_is() -> None:
    tree, header, whole = write(output=SCHEMA)
    assert b'"output_config":{"format":{"type":"json_schema","schema":' + OBJECT + b"}}" in whole.body
    assert (header, whole.unwrap_tool) == ("", "")
    assert "tools" not in tree


def test_a_schema_that_does_not_fit_is_closed() -> None:
    loose = msgspec.structs.replace(SCHEMA, schema=b'{"type":"object","properties":{}}')
    tree, header, _ = write(output=loose)
    assert tree["output_config"]["format"]["schema"]["additionalProperties"] is False
    assert header == "degraded=json_schema"


def test_without_schemas_of_its_own_the_answer_is_a_demanded_call() -> None:
    tree, header, whole = write(NO_SCHEMA, output=SCHEMA)
    assert whole.unwrap_tool == "person"
    assert tree["tool_choice"] == {"type": "tool", "name": "person", "disable_parallel_tool_use": True}
    assert tree["tools"][0]["input_schema"] == json.loads(OBJECT)
    assert "output_config" not in tree
    assert header == "degraded=json_schema"


def test_beside_the_clients_tools_some_call_is_demanded() -> None:
    tree, _, whole = write(NO_SCHEMA, output=SCHEMA, tools=(Tool("person"),))
    assert whole.unwrap_tool == "person_"
    assert [tool["name"] for tool in tree["tools"]] == ["person", "person_"]
    assert tree["tool_choice"] == {"type": "any"}
    tree, _, whole = write(NO_SCHEMA, output=SCHEMA, tools=(Tool("f"),), tool_choice=ToolChoice(ToolMode.REQUIRED))
    assert whole.unwrap_tool == ""
    assert len(tree["tools"]) == 1
    tree, _, whole = write(NO_SCHEMA, output=SCHEMA, tools=(Tool("f"),), tool_choice=ToolChoice(ToolMode.NONE))
    assert tree["tool_choice"]["name"] == whole.unwrap_tool == "person"


def test_a_demanded_answer_cannot_think_and_must_be_an_object() -> None:
    tree, header, _ = write(NO_SCHEMA, output=SCHEMA, thinking=Thinking(effort=Effort.LOW))
    assert "thinking" not in tree
    assert header == "degraded=json_schema,reasoning_effort"
    array = msgspec.structs.replace(SCHEMA, schema=b'{"type":"array"}')
    assert refused(NO_SCHEMA, output=array).param == "response_format"


# --- sampling --------------------------------------------------------------------------------------------------------


def test_sampling_goes_as_it_is_where_it_can() -> None:
    tree, header, _ = write(sampling=Sampling(temperature=0.5, top_k=40), stop=("a", "b"))
    assert (tree["temperature"], tree["top_k"], tree["stop_sequences"]) == (0.5, 40, ["a", "b"])
    assert header == ""
    tree, header, _ = write("claude-3-5-haiku", sampling=Sampling(temperature=0.5, top_p=0.9))
    assert (tree["temperature"], tree["top_p"]) == (0.5, 0.9)


def test_a_temperature_over_one_is_one() -> None:
    tree, header, _ = write(sampling=Sampling(temperature=1.7))
    assert tree["temperature"] == 1
    assert header == "degraded=temperature_over_one"


def test_temperature_wins_over_top_p() -> None:
    tree, header, _ = write(sampling=Sampling(temperature=0.2, top_p=0.9))
    assert "top_p" not in tree
    assert header == "degraded=temperature_with_top_p"


def test_models_that_take_no_sampling_get_none() -> None:
    tree, header, _ = write(NEW, sampling=Sampling(temperature=1.0, top_p=0.9, top_k=5))
    assert not tree.keys() & {"temperature", "top_p", "top_k"}
    assert header == "dropped=temperature,top_p,top_k"


def test_thinking_takes_no_sampling() -> None:
    thinking = Thinking(budget=2048)
    tree, header, _ = write(thinking=thinking, sampling=Sampling(temperature=0.5, top_p=0.5, top_k=5))
    assert not tree.keys() & {"temperature", "top_p", "top_k"}
    assert header == "dropped=temperature,top_p,top_k"
    tree, header, _ = write(thinking=thinking, sampling=Sampling(top_p=0.95))
    assert (tree["top_p"], header) == (0.95, "")


# --- thinking --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "wish", "config", "effort", "degraded"),
    [
        # Nothing is said, and nothing written.
        (OLD, Thinking(), None, None, False),
        (OLD, Thinking(show=True), None, None, False),
        (LAST, Thinking(), None, None, False),
        (LAST, Thinking(show=True), {"type": "adaptive", "display": "summarized"}, None, False),
        # Off.
        (OLD, Thinking(effort=Effort.NONE), {"type": "disabled"}, None, False),
        (NEW, Thinking(budget=0), {"type": "disabled"}, None, False),
        ("claude-3-haiku", Thinking(effort=Effort.NONE), None, None, False),
        (LAST, Thinking(effort=Effort.NONE), None, "low", True),
        # Levels where there are only budgets.
        (OLD, Thinking(effort=Effort.MINIMAL), {"type": "enabled", "budget_tokens": 1024}, None, True),
        (OLD, Thinking(effort=Effort.LOW), {"type": "enabled", "budget_tokens": 2048}, None, True),
        (OLD, Thinking(effort=Effort.MEDIUM), {"type": "enabled", "budget_tokens": 8192}, None, True),
        (OLD, Thinking(effort=Effort.HIGH), {"type": "enabled", "budget_tokens": 16_384}, None, True),
        (OLD, Thinking(effort=Effort.XHIGH), {"type": "enabled", "budget_tokens": 32_768}, None, True),
        (OLD, Thinking(effort=Effort.MAX), {"type": "enabled", "budget_tokens": 48_000}, None, True),
        (OLD, Thinking(adaptive=True), {"type": "enabled", "budget_tokens": 16_384}, None, True),
        (OLD, Thinking(budget=-1, show=True), {"type": "enabled", "budget_tokens": 16_384}, None, True),
        # Budgets.
        (OLD, Thinking(budget=5000), {"type": "enabled", "budget_tokens": 5000}, None, False),
        (
            OLD,
            Thinking(budget=5000, show=False),
            {"type": "enabled", "budget_tokens": 5000, "display": "omitted"},
            None,
            False,
        ),
        (OLD, Thinking(budget=5), {"type": "enabled", "budget_tokens": 1024}, None, True),
        (OLD, Thinking(budget=10**9), {"type": "enabled", "budget_tokens": 63_999}, None, True),
        (BOTH, Thinking(budget=5000), {"type": "enabled", "budget_tokens": 5000}, None, False),
        (NEW, Thinking(budget=1000), {"type": "adaptive"}, "low", True),
        (NEW, Thinking(budget=8192), {"type": "adaptive"}, "medium", True),
        (NEW, Thinking(budget=24_576), {"type": "adaptive"}, "high", True),
        (NEW, Thinking(budget=24_577), {"type": "adaptive"}, "xhigh", True),
        # Levels.
        (NEW, Thinking(effort=Effort.HIGH, show=True), {"type": "adaptive", "display": "summarized"}, "high", False),
        (NEW, Thinking(effort=Effort.XHIGH), {"type": "adaptive"}, "xhigh", False),
        (BOTH, Thinking(effort=Effort.XHIGH), {"type": "adaptive"}, "high", True),
        (BOTH, Thinking(effort=Effort.MINIMAL), {"type": "adaptive"}, "low", True),
        (BOTH, Thinking(effort=Effort.MAX), {"type": "adaptive"}, "max", False),
        (NEW, Thinking(adaptive=True), {"type": "adaptive"}, None, False),
        (NEW, Thinking(budget=-1), {"type": "adaptive"}, None, False),
        ("claude-3-5-haiku", Thinking(effort=Effort.HIGH), None, None, True),
    ],
)
def test_how_much_to_think(
    model: str,
    wish: Thinking,
    config: object,
    effort: str | None,
    degraded: bool,
) -> None:
    tree, header, _ = write(model, thinking=wish)
    assert tree.get("thinking") == config
    assert tree.get("output_config", {}).get("effort") == effort
    assert header == ("degraded=reasoning_effort" if degraded else "")


def test_to_its_own_clients_a_level_says_nothing_of_thinking() -> None:
    tree = body(BOTH, client=names.ANTHROPIC, thinking=Thinking(effort=Effort.LOW))
    assert "thinking" not in tree
    assert tree["output_config"] == {"effort": "low"}


def test_a_budget_is_below_the_clients_bound_or_there_is_none() -> None:
    assert body(max_output=4000, thinking=Thinking(effort=Effort.HIGH))["thinking"]["budget_tokens"] == 3000
    assert body(max_output=1100, thinking=Thinking(effort=Effort.HIGH))["thinking"]["budget_tokens"] == 1024
    assert body(max_output=4000, thinking=Thinking(budget=9000))["thinking"]["budget_tokens"] == 3999
    for bound in (1024, 100):
        tree, header, _ = write(max_output=bound, thinking=Thinking(effort=Effort.HIGH))
        assert "thinking" not in tree
        assert header == "degraded=reasoning_effort"


def test_a_loop_of_calls_without_proof_does_not_think_by_budget() -> None:
    proven = (user(Text("a")), assistant(Reasoning("", Proof("anthropic", "s")), CALL), user(RESULT))
    unproven = (user(Text("a")), assistant(Text("so"), CALL), user(RESULT))
    over = (*unproven, assistant(Text("b")), user(Text("c")))
    for turns, thinks in ((proven, True), (unproven, False), (over, True)):
        tree, _, _ = write(turns=turns, thinking=Thinking(budget=2048), tools=(Tool("f"),))
        assert ("thinking" in tree) is thinks
    tree, _, _ = write(BOTH, turns=unproven, thinking=Thinking(budget=2048), tools=(Tool("f"),))
    assert tree["thinking"] == {"type": "adaptive"}
