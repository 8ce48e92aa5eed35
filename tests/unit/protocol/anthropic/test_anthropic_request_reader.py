"""Messages requests as neutral ones."""

import base64
import json
from typing import Any

import pytest

from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol.anthropic.request_reader import read_request
from trunkline.protocol.fidelity import Feature
from trunkline.protocol.model import (
    CacheMark,
    Effort,
    File,
    Format,
    Image,
    OutputFormat,
    Part,
    Proof,
    Reasoning,
    Request,
    Role,
    Sampling,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
    Turn,
)
from trunkline.protocol.proof import wrap

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(16)).decode()
PDF = base64.b64encode(b"%PDF-1.7" + bytes(16)).decode()
CACHE = {"cache_control": {"type": "ephemeral"}}
HOUR = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}


def read(*, stream: bool = False, **members: Any) -> Request:
    tree = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}], **members}
    return read_request(json.dumps(tree).encode(), stream=stream)


def refused(**members: Any) -> Fault:
    with pytest.raises(FaultError) as caught:
        read(**members)
    return caught.value.fault


def parts(*blocks: object, role: str = "user") -> tuple[Part, ...]:
    (turn,) = read(messages=[{"role": role, "content": list(blocks)}]).turns
    return turn.parts


def bad_block(*blocks: object) -> str:
    fault = refused(messages=[{"role": "user", "content": list(blocks)}])
    assert fault.type is ErrorType.CLIENT_BAD_REQUEST
    assert fault.param is not None
    assert f"`{fault.param}`" in fault.message
    return fault.param


# --- the conversation ------------------------------------------------------------------------------------------------


def test_a_small_request() -> None:
    assert read(stream=True) == Request(turns=(Turn(Role.USER, (Text("hi"),)),), max_output=100, stream=True)


def test_instructions_as_a_string_and_as_blocks() -> None:
    assert read(system="Be nice").instructions == (Text("Be nice"),)
    assert read(system="").instructions == ()
    blocks = [{"type": "text", "text": "a", **CACHE}, {"type": "text", "text": "b", **HOUR}]
    assert read(system=blocks).instructions == (Text("a", CacheMark.SHORT), Text("b", CacheMark.LONG))
    assert refused(system=[{"type": "image"}]).param == "system[0]"
    assert refused(system=5).param == "system"


def test_instructions_in_the_middle_keep_their_place() -> None:
    request = read(
        messages=[
            {"role": "system", "content": "first"},
            {"role": "user", "content": "hi"},
            {"role": "system", "content": [{"type": "text", "text": "be brief"}]},
            {"role": "assistant", "content": "ok"},
        ]
    )
    assert request.instructions == (Text("first"),)
    assert [turn.role for turn in request.turns] == [Role.USER, Role.SYSTEM, Role.ASSISTANT]
    assert request.turns[1].parts == (Text("be brief"),)


def test_a_cache_mark_on_every_kind_of_block() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    document = {"type": "document", "source": {"type": "text", "data": "x"}, **HOUR}
    assert parts(
        {"type": "text", "text": "a", **CACHE},
        {"type": "image", "source": source, **CACHE},
        document,
        {"type": "tool_use", "id": "t", "name": "f", "input": {}, **CACHE},
        {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "b", **HOUR}], **CACHE},
        {"type": "text", "text": "z", "cache_control": None},
    ) == (
        Text("a", CacheMark.SHORT),
        Image(data=PNG, media_type="image/png", cache=CacheMark.SHORT),
        File(text="x", media_type="text/plain", cache=CacheMark.LONG),
        ToolCall("t", "f", "{}", cache=CacheMark.SHORT),
        ToolResult("t", "f", (Text("b", CacheMark.LONG),), cache=CacheMark.SHORT),
        Text("z"),
    )


def test_the_requests_own_cache_mark_stands_behind_the_last_part_that_can_have_one() -> None:
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "x", "signature": "s"}]},
    ]
    request = read(messages=messages, **CACHE)
    assert request.turns[0].parts == (Text("hi", CacheMark.SHORT),)
    kept = read(messages=[{"role": "user", "content": [{"type": "text", "text": "hi", **HOUR}]}], **CACHE)
    assert kept.turns[0].parts == (Text("hi", CacheMark.LONG),)


def test_images_by_address_and_as_data_of_their_true_type() -> None:
    spaced = PNG[:8] + "\n" + PNG[8:].rstrip("=")
    assert parts(
        {"type": "image", "source": {"type": "url", "url": "https://x/a.png"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": spaced}},
    ) == (Image(url="https://x/a.png"), Image(data=PNG, media_type="image/png"))


def test_documents_of_every_source() -> None:
    about = {"title": "T", "context": "C", "citations": {"enabled": True}}
    image = {"type": "image", "source": {"type": "url", "url": "https://x/a.png"}}
    inner = [{"type": "text", "text": "a"}, image, {"type": "text", "text": "b"}]
    assert parts(
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}, **about},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}},
        {"type": "document", "source": {"type": "url", "url": "https://x/a.pdf"}, "citations": {"enabled": False}},
        {"type": "document", "source": {"type": "content", "content": "y"}, "citations": None},
        {"type": "document", "source": {"type": "content", "content": inner}},
    ) == (
        File(data=PDF, media_type="application/pdf", name="T", context="C", citations=True),
        File(text="x", media_type="text/plain"),
        File(url="https://x/a.pdf"),
        File(text="y", media_type="text/plain"),
        File(text="a\nb", media_type="text/plain"),
        Image(url="https://x/a.png"),
    )


def test_calls_and_results_in_all_their_forms() -> None:
    call = {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}
    request = read(
        messages=[
            {"role": "assistant", "content": [call, {**call, "id": "t2", "name": "g"}]},
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t2", "content": "warm", "is_error": False},
                    {"type": "tool_result", "tool_use_id": "t1", "is_error": True},
                    {
                        "type": "tool_result",
                        "tool_use_id": "t0",
                        "content": [
                            {"type": "text", "text": "see"},
                            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                            {"type": "document", "source": {"type": "text", "data": "x"}},
                        ],
                    },
                    {"type": "text", "text": "and?"},
                ],
            },
        ]
    )
    assert request.turns[1].parts == (
        ToolResult("t2", "g", (Text("warm"),)),
        ToolResult("t1", "f", (), failed=True),
        ToolResult(
            "t0",
            "",
            (Text("see"), Image(data=PNG, media_type="image/png"), File(text="x", media_type="text/plain")),
        ),
        Text("and?"),
    )


def test_arguments_keep_their_source() -> None:
    body = b'{"max_tokens":9,"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":'
    body += b'{ "n": 1.10, "big":123456789012345678901, "u":"\\u00e9" }}]}]}'
    (turn,) = read_request(body, stream=False).turns
    call = turn.parts[0]
    assert isinstance(call, ToolCall)
    assert call.arguments == '{ "n": 1.10, "big":123456789012345678901, "u":"\\u00e9" }'


def test_thinking_and_whose_its_proof_is() -> None:
    foreign = Proof("openai-responses", "enc")
    assert parts(
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking", "thinking": "hm", "signature": wrap(foreign)},
        {"type": "redacted_thinking", "data": "r"},
        {"type": "redacted_thinking", "data": wrap(foreign)},
        {"type": "tool_use", "id": "t", "name": "f", "input": {}},
        role="assistant",
    ) == (
        Reasoning("hm", Proof("anthropic", "s")),
        Reasoning(""),
        Reasoning("hm", foreign),
        Reasoning(proof=Proof("anthropic", "r"), redacted=True),
        Reasoning(proof=foreign, redacted=True),
        ToolCall("t", "f", "{}"),
    )


def test_what_gemini_hung_on_a_call_returns_to_it() -> None:
    proof = Proof("gemini", "sig")
    redacted = {"type": "redacted_thinking", "data": wrap(proof)}
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    text = {"type": "text", "text": "x"}
    assert parts(redacted, call, role="assistant") == (ToolCall("t", "f", "{}", proof=proof),)
    assert parts(redacted, text, call, role="assistant")[0] == Reasoning(proof=proof, redacted=True)


def test_a_search_result_is_a_text_with_its_source() -> None:
    block = {
        "type": "search_result",
        "source": "https://x",
        "title": "T",
        "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
    }
    request = read(messages=[{"role": "user", "content": [block]}])
    assert request.turns[0].parts == (Text("Title: T\nSource: https://x\na\nb"),)
    assert request.features == (Feature.SEARCH_RESULT,)


def test_what_the_providers_tools_did_is_told_in_words() -> None:
    found = [{"type": "web_search_result", "title": "T", "url": "https://x", "encrypted_content": "secret"}]
    request = read(
        messages=[
            {
                "role": "assistant",
                "content": [
                    {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},
                    {"type": "web_search_tool_result", "tool_use_id": "s", "content": found},
                    {
                        "type": "bash_code_execution_tool_result",
                        "tool_use_id": "s",
                        "content": {"type": "x", "stdout": "42", "return_code": 0},
                    },
                ],
            }
        ]
    )
    assert request.turns[0].parts == (
        Text('[Used the tool web_search with {"query": "q"}]'),
        Text("[Result of web search:\nT\nhttps://x]"),
        Text("[Result of bash code execution:\n42]"),
    )
    assert request.extras == (
        "messages.content.server_tool_use",
        "messages.content.web_search_tool_result",
        "messages.content.bash_code_execution_tool_result",
    )


def test_files_by_id_are_a_feature_and_citations_are_named() -> None:
    request = read(
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "image", "source": {"type": "file", "file_id": "f"}},
                    {"type": "container_upload", "file_id": "f"},
                    {"type": "text", "text": "a", "citations": [{"type": "page_location"}]},
                ],
            }
        ]
    )
    assert request.features == (Feature.FILE_ID,)
    assert request.extras == ("messages.content.citations",)


@pytest.mark.parametrize(
    ("block", "param"),
    [
        ({"type": "of_the_future"}, "messages[0].content[1].type"),
        ({}, "messages[0].content[1].type"),
        ({"type": "text"}, "messages[0].content[1].text"),
        ({"type": "text", "text": 5}, "messages[0].content[1].text"),
        ({"type": "image"}, "messages[0].content[1].source"),
        ({"type": "image", "source": {"type": "base64"}}, "messages[0].content[1].source"),
        ({"type": "document", "source": {"type": "odd"}}, "messages[0].content[1].source"),
        ({"type": "tool_use", "name": "f", "input": {}}, "messages[0].content[1].id"),
        ({"type": "tool_use", "id": "t", "input": {}}, "messages[0].content[1].name"),
        ({"type": "tool_use", "id": "t", "name": "f", "input": "{}"}, "messages[0].content[1].input"),
        ({"type": "tool_result", "content": "x"}, "messages[0].content[1].tool_use_id"),
        ({"type": "tool_result", "tool_use_id": "t", "content": 5}, "messages[0].content[1].content"),
        (
            {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "tool_use"}]},
            "messages[0].content[1].content[0].source",
        ),
        ({"type": "redacted_thinking"}, "messages[0].content[1].data"),
    ],
)
def test_a_block_at_fault_is_named(block: object, param: str) -> None:
    assert bad_block({"type": "text", "text": "x"}, block) == param


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([], "messages"),
        ("hi", "messages"),
        (None, "messages"),
        ([{"role": "system", "content": "alone"}], "messages"),
        ([{"role": "tool", "content": "x"}], "messages[0].role"),
        ([{"role": "user"}], "messages[0]"),
        ([{"role": "user", "content": None}], "messages[0].content"),
        ([{"role": "user", "content": "a"}, 5], "messages[1]"),
    ],
)
def test_a_turn_at_fault_is_named(messages: object, param: str) -> None:
    assert refused(messages=messages).param == param


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
