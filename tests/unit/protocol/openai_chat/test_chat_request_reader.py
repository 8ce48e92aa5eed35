"""A chat client's request as a neutral one: DIALECTS section 2, field by field."""

import json
from typing import Any

import pytest

from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol.fidelity import Feature
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
from trunkline.protocol.openai_chat.dialect import OpenAIChat

HELLO = [{"role": "user", "content": "Hello"}]
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
SECOND = {"type": "function", "function": {"name": "g"}}


def read_body(body: bytes, *, stream: bool = False) -> Request:
    return OpenAIChat().read_request(body, stream=stream)


def read(**fields: Any) -> Request:
    return read_body(json.dumps({"model": "m", "messages": HELLO, **fields}).encode())


def fault(**fields: Any) -> Fault:
    with pytest.raises(FaultError) as raised:
        read(**fields)
    assert raised.value.fault.type is ErrorType.CLIENT_BAD_REQUEST
    return raised.value.fault


def test_a_plain_request_has_only_its_turn() -> None:
    assert read() == Request(turns=(Turn(Role.USER, (Text("Hello"),)),))
    assert read_body(b'{"messages":[{"role":"user","content":"Hello"}]}', stream=True).stream


def test_limits_and_sampling() -> None:
    request = read(
        temperature=1,
        top_p=0.5,
        top_k=40,
        frequency_penalty=-1,
        presence_penalty=2,
        seed=7,
        max_tokens=5,
        stop="end",
        n=3,
        logprobs=True,
        top_logprobs=2,
    )
    assert request.sampling == Sampling(1.0, 0.5, 40, -1.0, 2.0, 7)
    assert (request.max_output, request.stop, request.choices, request.logprobs) == (5, ("end",), 3, 2)
    assert read(max_tokens=5, max_completion_tokens=6).max_output == 6
    assert read(stop=["a", "", "b"]).stop == ("a", "b")
    assert (read(logprobs=True).logprobs, read(logprobs=False).logprobs) == (0, None)
    names = ("temperature", "max_tokens", "stop", "n", "logprobs", "seed", "tools", "tool_choice", "response_format")
    assert read(**dict.fromkeys(names)) == read()


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 0}, "n"),
        ({"n": 129}, "n"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"temperature": "hot"}, "temperature"),
        ({"stop": [1]}, "stop[0]"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"content": "x"}]}, "messages[0]"),
        ({"messages": [*HELLO, {"role": "wizard", "content": "x"}]}, "messages[1].role"),
        ({"reasoning_effort": "heroic"}, "reasoning_effort"),
        ({"reasoning": {"effort": "heroic"}}, "reasoning.effort"),
        ({"response_format": {"type": "xml"}}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": 5}}},
            "response_format.json_schema.schema",
        ),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"tools": [{"type": "function", "function": {"name": ""}}]}, "tools"),
        ({"tools": [FUNCTION, FUNCTION]}, "tools"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]}, "tools.parameters"),
        ({"tools": [FUNCTION], "tool_choice": "perhaps"}, "tool_choice"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "function", "function": {"name": "g"}}}, "tool_choice"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "web_search"}}, "tool_choice"),
        (
            {
                "tools": [FUNCTION],
                "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}},
            },
            "tool_choice",
        ),
    ],
)
def test_what_cannot_be_understood_names_its_field(fields: dict[str, Any], param: str) -> None:
    assert fault(**fields).param == param


def test_a_wrong_type_says_what_was_expected_and_never_what_was_sent() -> None:
    found = fault(max_tokens="many secrets")
    assert found.message == "`max_tokens` is wrong: expected `int | null`, got `str`."


# --- Tools -----------------------------------------------------------------------------------------------------------


def test_tools_keep_the_source_of_their_schemas() -> None:
    schema = b'{"type":"object", "properties":{"n":{"maximum":12345678901234567890123,"default":1.10}}}'
    body = (
        b'{"messages":[{"role":"user","content":"Hello"}],"tools":[{"type":"function","cache_control":{"type":"ephemeral",'
        b'"ttl":"1h"},"function":{"name":"f","description":"d","strict":true,"parameters":' + schema + b"}},"
        b'{"type":"function","function":{"name":"g","parameters":null}},'
        b'{"type":"custom","custom":{"name":"sh","description":"runs","format":{"type":"text"}}}]}'
    )
    assert read_body(body).tools == (
        Tool("f", "d", schema, strict=True, cache=CacheMark.LONG),
        Tool("g"),
        Tool("sh", "runs", custom=True),
    )


def test_deprecated_functions_are_tools() -> None:
    request = read(functions=[{"name": "f", "parameters": {"a": 1}}], function_call={"name": "f"})
    assert request.tools == (Tool("f", schema=b'{"a": 1}'),)
    assert request.tool_choice == ToolChoice(ToolMode.REQUIRED, ("f",))
    assert read(functions=[{"name": "f"}], function_call="none").tool_choice == ToolChoice(ToolMode.NONE)


@pytest.mark.parametrize(
    ("said", "choice"),
    [
        ("auto", ToolChoice(ToolMode.AUTO)),
        ("none", ToolChoice(ToolMode.NONE)),
        ("required", ToolChoice(ToolMode.REQUIRED)),
        ("any", ToolChoice(ToolMode.REQUIRED)),
        ({"type": "function", "function": {"name": "f"}}, ToolChoice(ToolMode.REQUIRED, ("f",))),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [FUNCTION, SECOND]}},
            ToolChoice(ToolMode.AUTO, ("f", "g")),
        ),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [SECOND]}},
            ToolChoice(ToolMode.REQUIRED, ("g",)),
        ),
    ],
)
def test_tool_choices(said: object, choice: ToolChoice) -> None:
    assert read(tools=[FUNCTION, SECOND], tool_choice=said).tool_choice == choice
    custom = [{"type": "custom", "custom": {"name": "f"}}]
    named = read(tools=custom, tool_choice={"type": "custom", "custom": {"name": "f"}})
    assert named.tool_choice == ToolChoice(ToolMode.REQUIRED, ("f",))


def test_parallel_tools() -> None:
    assert read(parallel_tool_calls=False).parallel_tools is False
    assert read().parallel_tools is None


def test_a_grammar_is_refused_as_nothing_can_hold_it() -> None:
    custom = {"name": "sh", "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}}}
    found = fault(tools=[{"type": "custom", "custom": custom}])
    assert (found.param, found.code) == ("tools.custom.format", "unsupported_parameter")


# --- Form, thinking --------------------------------------------------------------------------------------------------


def test_output_formats() -> None:
    schema = {"name": "a", "description": "d", "schema": {"type": "object"}, "strict": True}
    assert read(response_format={"type": "text"}).output == OutputFormat(Format.TEXT)
    assert read(response_format={"type": "json_object"}).output == OutputFormat(Format.JSON)
    expected = OutputFormat(Format.SCHEMA, "a", "d", b'{"type": "object"}', strict=True)
    assert read(response_format={"type": "json_schema", "json_schema": schema}).output == expected
    together = {"type": "json_object", "schema": {"type": "object"}}
    assert read(response_format=together).output == OutputFormat(Format.SCHEMA, schema=b'{"type": "object"}')


@pytest.mark.parametrize(
    ("fields", "thinking"),
    [
        ({"reasoning_effort": "xhigh"}, Thinking(Effort.XHIGH)),
        ({"reasoning_effort": "none"}, Thinking(Effort.NONE)),
        ({"reasoning_effort": "default"}, Thinking()),
        ({"reasoning": {"effort": "low", "exclude": True}}, Thinking(Effort.LOW, show=False)),
        ({"reasoning": {"max_tokens": 2000, "exclude": False}}, Thinking(budget=2000, show=True)),
        ({"reasoning": {"enabled": False}}, Thinking(Effort.NONE)),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, Thinking(budget=2000)),
        ({"thinking": {"type": "adaptive"}}, Thinking(adaptive=True)),
        ({"thinking": {"type": "disabled"}}, Thinking(Effort.NONE)),
        ({"enable_thinking": False}, Thinking(Effort.NONE)),
        ({"enable_thinking": True, "thinking_budget": 50}, Thinking(budget=50)),
        ({"reasoning_effort": "low", "thinking": {"type": "disabled"}}, Thinking(Effort.LOW)),
    ],
)
def test_thinking_in_openais_words_and_in_vendors(fields: dict[str, Any], thinking: Thinking) -> None:
    request = read(**fields)
    assert request.thinking == thinking
    assert request.extras == ()


def test_vendors_words_that_are_not_understood_are_extra_fields() -> None:
    assert read(reasoning={"effort": 5}, thinking="yes").extras == ("reasoning", "thinking")


# --- What has no field of its own ------------------------------------------------------------------------------------


def test_identity_and_service() -> None:
    request = read(prompt_cache_key="k", user="u", service_tier="flex", stream_options={"include_usage": True})
    assert (request.cache_key, request.user, request.service_tier, request.wants_usage) == ("k", "u", "flex", True)
    assert read(user="u", safety_identifier="s").user == "s"


@pytest.mark.parametrize(
    ("fields", "feature"),
    [
        ({"logit_bias": {"5": 1}}, Feature.LOGIT_BIAS),
        ({"modalities": ["text", "audio"], "audio": {"voice": "a", "format": "mp3"}}, Feature.AUDIO_OUTPUT),
        ({"modalities": ["image", "text"]}, Feature.IMAGE_OUTPUT),
        ({"prediction": {"type": "content", "content": "x"}}, Feature.PREDICTION),
        ({"store": False}, Feature.STORE),
        ({"metadata": {"a": "b"}}, Feature.METADATA),
        ({"web_search_options": {}}, Feature.TOOL_BUILT_IN),
        ({"tools": [{"type": "web_search"}]}, Feature.TOOL_BUILT_IN),
        ({"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]}, Feature.FILE_ID),
        (
            {"messages": [{"role": "user", "content": [{"type": "video_url", "video_url": {"url": "u"}}]}]},
            Feature.VIDEO_INPUT,
        ),
    ],
)
def test_what_the_neutral_model_cannot_hold_is_a_feature(fields: dict[str, Any], feature: Feature) -> None:
    request = read(**fields)
    assert request.features == (feature,)
    assert request.extras == ()


def test_fields_for_another_chat_provider_are_kept_as_they_were_written() -> None:
    fields = {"user": "u", "top_k": 5, "metadata": {"a": 1}, "store": False, "min_p": 0.1, "logit_bias": {}}
    request = read(**fields, thinking={"type": "enabled"}, stop=["x"], n=None)
    assert dict(request.own_fields) == {
        "top_k": b"5",
        "thinking": b'{"type": "enabled"}',
        "user": b'"u"',
        "metadata": b'{"a": 1}',
        "store": b"false",
        "min_p": b"0.1",
    }
    assert read().own_fields == ()


@pytest.mark.parametrize(
    "fields", [{"modalities": ["text"]}, {"metadata": {}}, {"logit_bias": None}, {"web_search_options": None}]
)
def test_what_says_nothing_is_no_feature(fields: dict[str, Any]) -> None:
    assert read(**fields) == read()


def test_unknown_fields_are_named_and_private_ones_are_not() -> None:
    request = read(
        min_p=0.1, provider={"order": []}, models=["a"], fallback_models=["b"], nothing=None, verbosity="low"
    )
    assert request.extras == ("min_p", "provider", "verbosity")
    assert read_body(b'{"messages":[{"role":"user","content":"Hello"}],"zenmux-route":1}') == read()
    hints = read(logit_bias={}, stream_options={"include_obfuscation": False})
    assert hints.extras == ("logit_bias", "stream_options.include_obfuscation")


@pytest.mark.parametrize("name", ["moderation", "container", "mcp_servers", "previous_response_id"])
def test_fields_without_which_the_answer_means_something_else_are_refused(name: str) -> None:
    found = fault(**{name: {"a": 1}})
    assert (found.param, found.code) == (name, "unsupported_parameter")


def test_half_of_a_surrogate_pair_is_a_replacement_character() -> None:
    body = b'{"messages":[{"role":"user","content":"a\\ud83d"}]}'
    assert read_body(body).turns == (Turn(Role.USER, (Text("a\ufffd"),)),)
