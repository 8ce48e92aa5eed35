"""A neutral request for a chat provider: what is written, by its options, and what is reported as lost."""

import json
from typing import Any

import pytest

from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol.dialect import Written
from trunkline.protocol.fidelity import Crossing, Feature
from trunkline.protocol.model import (
    CacheMark,
    Effort,
    Format,
    OutputFormat,
    Request,
    Role,
    Sampling,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolMode,
    Turn,
)
from trunkline.protocol.names import ANTHROPIC, OPENAI_CHAT
from trunkline.protocol.openai_chat.dialect import OpenAIChat
from trunkline.protocol.vendor import ThinkingField, ToolSchemaRule, VendorOptions

HELLO = (Turn(Role.USER, (Text("Hello"),)),)
SCHEMA = b'{"type":"object","properties":{"n":{"maximum":12345678901234567890123}}}'
FORM = OutputFormat(Format.SCHEMA, "form", "d", SCHEMA, strict=True)


def write(request: Request, client: str = ANTHROPIC, **options: Any) -> tuple[Written, str]:
    crossing = Crossing(client, OPENAI_CHAT)
    return OpenAIChat().write_request(request, crossing, "up", VendorOptions(**options)), crossing.header()


def body(client: str = ANTHROPIC, options: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """The body's fields beside the model and the message of ``HELLO``."""
    written, _ = write(Request(HELLO, **fields), client, **(options or {}))
    tree: dict[str, Any] = json.loads(written.body)
    assert tree.pop("model") == "up"
    assert tree.pop("messages") == [{"role": "user", "content": "Hello"}]
    return tree


def lost(options: dict[str, Any] | None = None, **fields: Any) -> str:
    return write(Request(HELLO, **fields), **(options or {}))[1]


def fault(client: str = ANTHROPIC, **fields: Any) -> Fault:
    with pytest.raises(FaultError) as raised:
        write(Request(HELLO, **fields), client)
    assert raised.value.fault.type is ErrorType.CLIENT_BAD_REQUEST
    return raised.value.fault


def test_the_bytes_of_a_small_request() -> None:
    request = Request(HELLO, (Text("Be brief."),), max_output=5, sampling=Sampling(temperature=0.5), stream=True)
    expected = (
        b'{"model":"up","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hello"}],'
        b'"max_tokens":5,"temperature":0.5,"stream":true,"stream_options":{"include_usage":true}}'
    )
    assert write(request) == (Written(expected), "")
    assert write(request) == write(request)


def test_a_whole_answer_is_asked_for_by_silence() -> None:
    assert body() == {}


def test_limits_and_sampling() -> None:
    sampling = Sampling(0.5, 0.25, None, -1.0, 2.0, 7)
    assert body(max_output=5, stop=("a", "b"), choices=3, sampling=sampling, cache_key="k") == {
        "max_tokens": 5,
        "stop": ["a", "b"],
        "n": 3,
        "temperature": 0.5,
        "top_p": 0.25,
        "frequency_penalty": -1.0,
        "presence_penalty": 2.0,
        "seed": 7,
        "prompt_cache_key": "k",
    }
    assert body(options={"max_completion_tokens": True}, max_output=5) == {"max_completion_tokens": 5}


def test_instructions_are_one_message_in_the_role_that_the_model_knows() -> None:
    request = Request(HELLO, (Text("a"), Text(""), Text("b")))
    assert json.loads(write(request)[0].body)["messages"][0] == {"role": "system", "content": "a\n\nb"}
    messages = json.loads(write(request, developer_role=True)[0].body)["messages"]
    assert messages[0] == {"role": "developer", "content": "a\n\nb"}


# --- Tools -----------------------------------------------------------------------------------------------------------


def test_tools_keep_the_source_of_their_schemas() -> None:
    tools = (Tool("f", "d", SCHEMA, strict=False), Tool("g"), Tool("sh", "runs", custom=True))
    written, header = write(Request(HELLO, tools=tools))
    assert SCHEMA in written.body
    assert json.loads(written.body)["tools"] == [
        {
            "type": "function",
            "function": {"name": "f", "description": "d", "parameters": json.loads(SCHEMA), "strict": False},
        },
        {"type": "function", "function": {"name": "g"}},
        {"type": "custom", "custom": {"name": "sh", "description": "runs"}},
    ]
    assert header == ""


@pytest.mark.parametrize(
    ("choice", "word"),
    [
        (ToolChoice(ToolMode.AUTO), "auto"),
        (ToolChoice(ToolMode.NONE), "none"),
        (ToolChoice(ToolMode.REQUIRED), "required"),
        (ToolChoice(ToolMode.REQUIRED, ("f",)), {"type": "function", "function": {"name": "f"}}),
        (ToolChoice(ToolMode.REQUIRED, ("sh",)), {"type": "custom", "custom": {"name": "sh"}}),
        (
            ToolChoice(ToolMode.AUTO, ("f",)),
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]},
            },
        ),
        (
            ToolChoice(ToolMode.REQUIRED, ("f", "sh")),
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [
                        {"type": "function", "function": {"name": "f"}},
                        {"type": "custom", "custom": {"name": "sh"}},
                    ],
                },
            },
        ),
    ],
)
def test_tool_choices(choice: ToolChoice, word: object) -> None:
    tools = (Tool("f"), Tool("sh", custom=True))
    assert body(tools=tools, tool_choice=choice)["tool_choice"] == word


def test_a_vendors_word_for_a_required_call() -> None:
    choice = ToolChoice(ToolMode.REQUIRED)
    assert body(options={"required_word": "any"}, tools=(Tool("f"),), tool_choice=choice)["tool_choice"] == "any"


def test_what_concerns_tools_is_dropped_where_there_are_none() -> None:
    fields: dict[str, Any] = {"tool_choice": ToolChoice(ToolMode.REQUIRED), "parallel_tools": False}
    assert body(**fields) == {}
    assert lost(**fields) == "dropped=tool_choice,parallel_tool_calls"


@pytest.mark.parametrize(
    ("choice", "tools", "header"),
    [
        (None, ["f", "g"], ""),
        (ToolChoice(ToolMode.AUTO), ["f", "g"], ""),
        (ToolChoice(ToolMode.AUTO, ("g",)), ["g"], ""),
        (ToolChoice(ToolMode.REQUIRED), ["f", "g"], "degraded=tool_choice"),
        (ToolChoice(ToolMode.REQUIRED, ("g",)), ["g"], "degraded=tool_choice"),
        (ToolChoice(ToolMode.NONE), [], ""),
    ],
)
def test_a_vendor_that_cannot_be_forced_gets_only_the_tools_that_may_be_called(
    choice: ToolChoice | None, tools: list[str], header: str
) -> None:
    fields: dict[str, Any] = {"tools": (Tool("f"), Tool("g")), "tool_choice": choice}
    found = body(options={"forced_tools": False}, **fields)
    assert [tool["function"]["name"] for tool in found.pop("tools", [])] == tools
    assert found == {}
    assert lost({"forced_tools": False}, **fields) == header


def test_schemas_of_tools_in_a_vendors_own_flavour() -> None:
    options = {"tool_schemas": ToolSchemaRule.PLAIN}
    tools = (Tool("f", schema=b'{"anyOf":[{"properties":{"a":{}}}]}'), Tool("g"), Tool("h", schema=SCHEMA))
    written, header = write(Request(HELLO, tools=tools), **options)
    assert [tool["function"]["parameters"] for tool in json.loads(written.body)["tools"]] == [
        {"type": "object", "properties": {"a": {}}},
        {"type": "object"},
        json.loads(SCHEMA),
    ]
    assert SCHEMA in written.body
    assert header == "dropped=tools.anyOf"


def test_parallel_calls_and_strictness_where_the_vendor_knows_them() -> None:
    fields: dict[str, Any] = {"tools": (Tool("f", strict=True),), "parallel_tools": False}
    assert body(**fields)["parallel_tool_calls"] is False
    options = {"parallel_switch": False, "tool_strict": False}
    assert body(options=options, **fields) == {"tools": [{"type": "function", "function": {"name": "f"}}]}
    assert lost(options, **fields) == "degraded=parallel_tool_calls; dropped=tool_strict"
    assert lost(options, tools=(Tool("f", strict=False),), parallel_tools=True) == ""


def test_names_that_chat_refuses_are_mapped_reversibly() -> None:
    long, dotted = "x" * 65, "srv.do it"
    written, header = write(
        Request(
            HELLO,
            tools=(Tool(long), Tool(dotted), Tool("fine-_9")),
            tool_choice=ToolChoice(ToolMode.REQUIRED, (dotted,)),
        )
    )
    tree = json.loads(written.body)
    names = [tool["function"]["name"] for tool in tree["tools"]]
    assert [written.names.get(name, name) for name in names] == [long, dotted, "fine-_9"]
    assert names[1].startswith("srv_do_it_")
    assert all(len(name) <= 64 for name in names)
    assert tree["tool_choice"]["function"]["name"] == names[1]
    assert header == ""
    # Names that differ only in what is replaced stay apart.
    assert len({name for tool in ("a.b", "a:b") for name in write(Request(HELLO, tools=(Tool(tool),)))[0].names}) == 2


# --- The answer's form -----------------------------------------------------------------------------------------------


def test_output_formats() -> None:
    assert body(output=OutputFormat(Format.JSON)) == {"response_format": {"type": "json_object"}}
    schema = {"name": "form", "description": "d", "schema": json.loads(SCHEMA), "strict": True}
    assert body(output=FORM) == {"response_format": {"type": "json_schema", "json_schema": schema}}
    unnamed = body(output=OutputFormat(Format.SCHEMA, schema=b"{}"))["response_format"]["json_schema"]
    assert unnamed == {"name": "response", "schema": {}}
    assert "strict" not in body(options={"tool_strict": False}, output=FORM)["response_format"]["json_schema"]


def test_a_vendor_without_schemas_gets_a_forced_tool_that_stands_for_one() -> None:
    written, header = write(Request(HELLO, output=FORM), json_schema=False)
    tree = json.loads(written.body)
    function = {"name": "form", "description": "d", "parameters": json.loads(SCHEMA)}
    assert tree["tools"] == [{"type": "function", "function": function}]
    assert tree["tool_choice"] == {"type": "function", "function": {"name": "form"}}
    assert "response_format" not in tree
    assert written.unwrap_tool == "form"
    assert header == "degraded=json_schema"


@pytest.mark.parametrize(
    ("choice", "tools", "word"),
    [
        (None, ["f", "form", "form_2"], "any"),
        (ToolChoice(ToolMode.AUTO), ["f", "form", "form_2"], "any"),
        (ToolChoice(ToolMode.AUTO, ("f",)), ["f", "form_2"], "any"),
        (ToolChoice(ToolMode.NONE), ["f", "form", "form_2"], {"type": "function", "function": {"name": "form_2"}}),
        (ToolChoice(ToolMode.REQUIRED), ["f", "form"], "any"),
    ],
)
def test_that_tool_stands_beside_the_clients_own(choice: ToolChoice | None, tools: list[str], word: object) -> None:
    request = Request(HELLO, tools=(Tool("f"), Tool("form")), tool_choice=choice, output=FORM)
    written, _ = write(request, json_schema=False, required_word="any")
    tree = json.loads(written.body)
    assert [tool["function"]["name"] for tool in tree["tools"]] == tools
    assert tree["tool_choice"] == word
    assert written.unwrap_tool == ("form_2" if "form_2" in tools else "")


def test_a_vendor_without_schemas_that_cannot_be_forced_is_not_asked_for_one() -> None:
    request = Request(HELLO, output=FORM)
    with pytest.raises(FaultError) as raised:
        write(request, json_schema=False, forced_tools=False)
    assert raised.value.fault.param == "output_config.format"
    assert write(request, forced_tools=False)[1] == ""


# --- Thinking and other losses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("thinking", "effort", "header"),
    [
        (Thinking(), None, ""),
        (Thinking(Effort.MAX), "max", ""),
        (Thinking(Effort.NONE), "none", ""),
        (Thinking(budget=0), "none", "degraded=reasoning_effort"),
        (Thinking(budget=1024), "low", "degraded=reasoning_effort"),
        (Thinking(budget=8192), "medium", "degraded=reasoning_effort"),
        (Thinking(budget=24_576), "high", "degraded=reasoning_effort"),
        (Thinking(budget=24_577), "xhigh", "degraded=reasoning_effort"),
        (Thinking(budget=-1), None, ""),
        (Thinking(adaptive=True), None, ""),
        (Thinking(Effort.LOW, show=True), "low", "dropped=reasoning_summary"),
    ],
)
def test_thinking(thinking: Thinking, effort: str | None, header: str) -> None:
    assert body(thinking=thinking).get("reasoning_effort") == effort
    assert lost(thinking=thinking) == header


def test_hints_are_dropped_and_named() -> None:
    fields: dict[str, Any] = {"sampling": Sampling(top_k=4), "user": "u", "service_tier": "priority"}
    assert body(**fields) == {}
    assert lost(**fields) == "dropped=top_k,user,service_tier"
    options = {"forward_fields": ("top_k", "service_tier")}
    assert body(options=options, **fields) == {"top_k": 4, "service_tier": "priority"}
    assert lost(options, **fields) == "dropped=user"


def test_a_chat_clients_own_fields_go_along_only_to_a_chat_provider() -> None:
    own = (("top_k", b"4"), ("user", b'"u"'), ("metadata", b'{"n":1.50}'), ("min_p", b"0.10"))
    fields: dict[str, Any] = {
        "sampling": Sampling(top_k=4),
        "user": "u",
        "features": (Feature.METADATA,),
        "extras": ("min_p", "stream_options.include_obfuscation"),
        "own_fields": own,
    }
    written, header = write(Request(HELLO, **fields), OPENAI_CHAT)
    assert b'"top_k":4,"user":"u","metadata":{"n":1.50},"min_p":0.10' in written.body
    assert header == "dropped=stream_options.include_obfuscation"
    assert body(**fields) == {}
    assert lost(**fields) == "dropped=metadata,min_p,stream_options.include_obfuscation,top_k,user"


def test_who_says_how_to_think_in_a_vendors_words_is_taken_at_them() -> None:
    options = {"thinking_field": ThinkingField.ENABLE}
    own = (("thinking", b'{"type":"enabled","clear_thinking":false}'),)
    fields: dict[str, Any] = {"thinking": Thinking(Effort.HIGH), "own_fields": own}
    said = {"reasoning_effort": "high", "thinking": {"type": "enabled", "clear_thinking": False}}
    assert body(OPENAI_CHAT, options, **fields) == said
    assert body(options=options, **fields) == {"enable_thinking": True, "thinking_budget": 16_384}


def test_what_the_neutral_model_has_no_field_for_is_reported() -> None:
    features = (Feature.METADATA, Feature.STORE, Feature.VERBOSITY, Feature.PREDICTION)
    assert lost(features=features, extras=("min_p",)) == "dropped=metadata,store,verbosity,prediction,min_p"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"logprobs": 0}, "top_logprobs"),
        ({"stop": ("a", "b", "c", "d", "e")}, "stop_too_many"),
        ({"features": (Feature.TOOL_GRAMMAR,)}, "tools.format"),
        ({"features": (Feature.TOOL_BUILT_IN,)}, "tools"),
        ({"features": (Feature.FILE_ID,)}, "file_id"),
    ],
)
def test_what_would_change_the_answer_is_refused(fields: dict[str, Any], param: str) -> None:
    assert fault("openai-responses", **fields).param == param


def test_cache_marks_go_where_they_are_taken() -> None:
    request = Request(
        (Turn(Role.USER, (Text("x", CacheMark.SHORT),)),),
        (Text("a"), Text("b", CacheMark.LONG)),
        tools=(Tool("f", cache=CacheMark.SHORT),),
    )
    written, header = write(request, cache_marks=True)
    tree = json.loads(written.body)
    assert tree["messages"] == [
        {
            "role": "system",
            "content": [
                {"type": "text", "text": "a"},
                {"type": "text", "text": "b", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            ],
        },
        {"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]},
    ]
    assert tree["tools"][0]["cache_control"] == {"type": "ephemeral"}
    assert header == ""
    written, header = write(request)
    assert b"cache_control" not in written.body
    assert json.loads(written.body)["messages"][0]["content"] == "a\n\nb"
    assert header == "dropped=cache_marks"
