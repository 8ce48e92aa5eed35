"""A neutral request as the body for a Responses upstream."""

import base64
import json
from typing import Any

import pytest

from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol.dialect import Written
from trunkline.protocol.fidelity import Crossing, Feature
from trunkline.protocol.model import (
    Audio,
    CacheMark,
    Effort,
    File,
    Format,
    Image,
    OutputFormat,
    Part,
    Proof,
    Reasoning,
    Refusal,
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
from trunkline.protocol.names import ANTHROPIC, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES
from trunkline.protocol.openai_responses.history_writer import CALL_ID_CHARS_MAX
from trunkline.protocol.openai_responses.request_writer import write_request
from trunkline.protocol.vendor import DEFAULTS, VendorOptions

HI = Turn(Role.USER, (Text("hi"),))
OWN = Proof(OPENAI_RESPONSES, "gAAA")


def write(
    *turns: Turn, client: str = OPENAI_CHAT, options: VendorOptions = DEFAULTS, **fields: Any
) -> tuple[Written, str]:
    crossing = Crossing(client, OPENAI_RESPONSES)
    written = write_request(Request(turns=turns or (HI,), **fields), crossing, "up", options)
    return written, crossing.header()


def body(*turns: Turn, **fields: Any) -> dict[str, Any]:
    tree = json.loads(write(*turns, **fields)[0].body)
    assert isinstance(tree, dict)
    return tree


def items(*turns: Turn, **fields: Any) -> list[Any]:
    found = body(*turns, **fields)["input"]
    assert isinstance(found, list)
    return found


def lost(*turns: Turn, **fields: Any) -> str:
    return write(*turns, **fields)[1]


def refused(*turns: Turn, **fields: Any) -> Fault:
    with pytest.raises(FaultError) as caught:
        write(*turns, **fields)
    assert caught.value.fault.type is ErrorType.CLIENT_BAD_REQUEST
    return caught.value.fault


def assistant(*parts: Part) -> Turn:
    return Turn(Role.ASSISTANT, parts)


def results(*found: ToolResult) -> Turn:
    return Turn(Role.USER, found)


def answered(*parts: Part) -> list[Any]:
    """Return the items of a turn of the model whose calls are answered, without the answers."""
    calls = [part for part in parts if isinstance(part, ToolCall)]
    after = results(*[ToolResult(call.id, call.name, ()) for call in calls]) if calls else HI
    return items(HI, assistant(*parts), after)[1 : -len(calls) or -1]


# --- the whole -------------------------------------------------------------------------------------------------


def test_the_smallest_request_keeps_nothing_at_the_provider() -> None:
    written, header = write()
    assert written == Written(
        b'{"model":"up","input":[{"type":"message","role":"user","content":"hi"}],"store":false,'
        b'"include":["reasoning.encrypted_content"]}'
    )
    assert header == ""


def test_what_both_dialects_have_is_carried_and_nothing_is_lost() -> None:
    written, header = write(
        instructions=(Text("be kind"),),
        tools=(Tool("f", "d", b'{ "n":1.50 }', strict=True), Tool("c", "free", custom=True)),
        tool_choice=ToolChoice(ToolMode.REQUIRED, ("f",)),
        parallel_tools=False,
        max_output=7,
        sampling=Sampling(temperature=0.5, top_p=0.9),
        thinking=Thinking(effort=Effort.LOW, show=True),
        output=OutputFormat(Format.SCHEMA, "n", "d", b'{"type":"object"}', strict=True),
        cache_key="k",
        service_tier="flex",
        stream=True,
    )
    assert written.body == (
        b'{"model":"up","input":[{"type":"message","role":"user","content":"hi"}],"store":false,'
        b'"include":["reasoning.encrypted_content"],"instructions":"be kind","tools":['
        b'{"type":"function","name":"f","description":"d","parameters":{ "n":1.50 },"strict":true},'
        b'{"type":"custom","name":"c","description":"free"}],"tool_choice":{"type":"function","name":"f"},'
        b'"parallel_tool_calls":false,"text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object"},'
        b'"description":"d","strict":true}},"reasoning":{"effort":"low","summary":"auto"},"max_output_tokens":7,'
        b'"temperature":0.5,"top_p":0.9,"prompt_cache_key":"k","service_tier":"flex","stream":true}'
    )
    assert header == ""


def test_same_request_same_bytes() -> None:
    turns = (HI, assistant(ToolCall("x" * 70, "bad name!", "{}")), results(ToolResult("x" * 70, "bad name!", ())))
    assert write(*turns)[0] == write(*turns)[0]


# --- instructions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("developer", "role"), [(False, "system"), (True, "developer")])
def test_several_instructions_keep_their_borders(developer: bool, role: str) -> None:
    tree = body(
        HI,
        instructions=(Text(""), Text("a"), Text("b")),
        options=VendorOptions(developer_role=developer),
    )
    assert tree["instructions"] == "a"
    assert tree["input"][0] == {"type": "message", "role": role, "content": "b"}


def test_instructions_in_the_middle_keep_their_place() -> None:
    assert [item["role"] for item in items(HI, Turn(Role.SYSTEM, (Text("a"),)), HI)] == ["user", "system", "user"]


def test_instructions_alone_are_the_input() -> None:
    tree = body(Turn(Role.USER, ()), instructions=(Text("a"),))
    assert tree["input"] == [{"type": "message", "role": "system", "content": "a"}]
    assert "instructions" not in tree


@pytest.mark.parametrize(("client", "param"), [(OPENAI_CHAT, "messages"), (GEMINI, "contents")])
def test_an_empty_conversation_is_refused(client: str, param: str) -> None:
    assert refused(Turn(Role.USER, (Text(""),)), client=client).param == param


# --- content -----------------------------------------------------------------------------------------------------


def test_empty_texts_and_empty_turns_go() -> None:
    assert items(Turn(Role.USER, ()), assistant(Text("")), Turn(Role.USER, (Text(""), Text("a")))) == [
        {"type": "message", "role": "user", "content": "a"}
    ]


def test_images_and_files() -> None:
    parts = (
        Text("look"),
        Image(url="https://x/a.png"),
        Image(data="QUJD", media_type="image/png", detail="low"),
        File(url="https://x/a.pdf", name="a.pdf"),
        File(data="JVBE", media_type="application/pdf"),
        File(text="é", name="a.txt"),
    )
    assert items(Turn(Role.USER, parts))[0]["content"] == [
        {"type": "input_text", "text": "look"},
        {"type": "input_image", "image_url": "https://x/a.png", "detail": "auto"},
        {"type": "input_image", "image_url": "data:image/png;base64,QUJD", "detail": "low"},
        {"type": "input_file", "filename": "a.pdf", "file_url": "https://x/a.pdf"},
        {"type": "input_file", "filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBE"},
        {
            "type": "input_file",
            "filename": "a.txt",
            "file_data": "data:text/plain;base64," + base64.b64encode("é".encode()).decode(),
        },
    ]


def test_a_files_context_is_a_text_before_it() -> None:
    turn = Turn(Role.USER, (File(url="u", context="about it"),))
    assert items(turn, client=ANTHROPIC)[0]["content"][0] == {"type": "input_text", "text": "about it"}
    assert lost(turn, client=ANTHROPIC) == "degraded=file_context"


def test_sound_is_refused() -> None:
    assert refused(Turn(Role.USER, (Audio("QUJD", "audio/wav"),))).param == "input_audio"


def test_cache_marks_and_names_are_hints() -> None:
    turn = Turn(Role.USER, (Text("a", CacheMark.SHORT),), name="bob")
    assert lost(turn, client=ANTHROPIC) == "dropped=participant_name,cache_marks"
    marked = (Tool("f", cache=CacheMark.LONG),)
    assert lost(HI, tools=marked, client=ANTHROPIC) == "dropped=cache_marks"
    assert lost(HI, instructions=(Text("a", CacheMark.SHORT),), client=ANTHROPIC) == "dropped=cache_marks"


# --- calls and results -----------------------------------------------------------------------------------------


def test_a_turn_of_the_model_is_words_and_calls_and_each_result_an_item() -> None:
    turns = (
        HI,
        assistant(Text("look"), ToolCall("a", "f", '{"n":1.50}'), ToolCall("b", "g", "")),
        Turn(Role.USER, (Text("and"), ToolResult("b", "g", (Text("y"),)), ToolResult("a", "f", ()))),
    )
    assert items(*turns) == [
        {"type": "message", "role": "user", "content": "hi"},
        {"type": "message", "role": "assistant", "content": "look"},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": '{"n":1.50}'},
        {"type": "function_call", "call_id": "b", "name": "g", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "b", "output": "y"},
        {"type": "function_call_output", "call_id": "a", "output": ""},
        {"type": "message", "role": "user", "content": "and"},
    ]


@pytest.mark.parametrize("arguments", ['{"n":12345678901234567890123.50}', '{"cut":', "{ }"])
def test_arguments_are_written_as_they_came(arguments: str) -> None:
    assert answered(ToolCall("a", "f", arguments))[0]["arguments"] == arguments


def test_the_call_decides_what_kind_of_tool_a_result_is_of() -> None:
    turns = (HI, assistant(ToolCall("a", "c", "ls", custom=True)), results(ToolResult("a", "c", (Text("x"),))))
    assert items(*turns)[1:] == [
        {"type": "custom_tool_call", "call_id": "a", "name": "c", "input": "ls"},
        {"type": "custom_tool_call_output", "call_id": "a", "output": "x"},
    ]


def test_an_image_in_a_result_stays_in_it() -> None:
    found = ToolResult("a", "f", (Text("see"), Image(data="QUJD", media_type="image/png")))
    written = items(HI, assistant(ToolCall("a", "f", "{}")), results(found), client=ANTHROPIC)
    assert written[-1]["output"] == [
        {"type": "input_text", "text": "see"},
        {"type": "input_image", "image_url": "data:image/png;base64,QUJD", "detail": "auto"},
    ]


@pytest.mark.parametrize(("parts", "output"), [((Text("x"),), "Error: x"), ((), "Error: ")])
def test_a_failed_result_is_marked(parts: tuple[Text, ...], output: str) -> None:
    turns = (HI, assistant(ToolCall("a", "f", "{}")), results(ToolResult("a", "f", parts, failed=True)))
    assert items(*turns, client=ANTHROPIC)[-1]["output"] == output
    assert lost(*turns, client=ANTHROPIC) == "degraded=tool_result_failed"


@pytest.mark.parametrize("length", [CALL_ID_CHARS_MAX, CALL_ID_CHARS_MAX + 1])
def test_only_ids_that_are_too_long_are_rewritten_alike_in_call_and_result(length: int) -> None:
    call_id = "x" * length
    written = items(HI, assistant(ToolCall(call_id, "f", "{}")), results(ToolResult(call_id, "f", ())))
    sent = written[1]["call_id"]
    assert written[2]["call_id"] == sent
    assert (sent == call_id) is (length <= CALL_ID_CHARS_MAX)
    assert 0 < len(sent) <= CALL_ID_CHARS_MAX


def test_a_call_without_its_result_is_refused_by_its_id() -> None:
    fault = refused(HI, assistant(ToolCall("call-7", "f", "{}")), HI)
    assert (fault.param, "call-7" in fault.message) == ("messages", True)


def test_a_result_without_its_call_is_refused_by_its_id() -> None:
    fault = refused(HI, results(ToolResult("call-7", "f", ())), client=ANTHROPIC)
    assert (fault.param, "call-7" in fault.message) == ("messages", True)


def test_refusals_of_the_model_are_kept() -> None:
    assert answered(Text("a"), Refusal("no")) == [
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "no"}],
        }
    ]


def test_pictures_and_files_of_the_model_are_refused() -> None:
    assert refused(HI, assistant(Image(url="u")), HI, client=GEMINI).code == "unsupported_parameter"
    assert refused(HI, assistant(File(url="u")), HI, client=GEMINI).param == "contents"


def test_prefill_is_refused_and_history_of_chat_is_not() -> None:
    assert refused(HI, assistant(Text("I am")), client=ANTHROPIC).param == "messages"
    assert refused(HI, assistant(Text("I am")), client=GEMINI).param == "contents"
    assert items(HI, assistant(Text("I am")))[-1]["content"] == "I am"
    assert len(items(HI, assistant(Text("")), client=ANTHROPIC)) == 1


def test_what_stands_in_a_turn_where_it_cannot_is_refused() -> None:
    assert refused(Turn(Role.USER, (ToolCall("a", "f", "{}"),))).param == "messages"
    assert refused(HI, assistant(ToolResult("a", "f", ())), HI).param == "messages"


# --- reasoning ---------------------------------------------------------------------------------------------------


def test_own_reasoning_goes_right_before_its_call_or_message() -> None:
    summary = [{"type": "summary_text", "text": "so"}]
    assert answered(Reasoning("so", OWN), Text("a"), Reasoning("", OWN, redacted=True), ToolCall("a", "f", "{}")) == [
        {"type": "reasoning", "summary": summary, "encrypted_content": "gAAA"},
        {"type": "message", "role": "assistant", "content": "a"},
        {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
    ]


@pytest.mark.parametrize("parts", [(), (Text(""),)])
def test_reasoning_that_nothing_follows_goes(parts: tuple[Part, ...]) -> None:
    turns = (HI, assistant(Text("a"), Reasoning("so", OWN), *parts), HI)
    assert [item["type"] for item in items(*turns)] == ["message"] * 3
    assert lost(*turns) == "dropped=reasoning_history"


def test_reasoning_without_proof_or_with_anothers_goes_and_is_named() -> None:
    foreign = Reasoning("so", Proof(ANTHROPIC, "sig"))
    turns = (HI, assistant(foreign, Text("a"), Reasoning("so"), Text("b")), HI)
    written = items(*turns)
    assert [item["content"] for item in written] == ["hi", "a", "b", "hi"]
    assert lost(*turns) == "degraded=foreign_reasoning_proof; dropped=reasoning_history"


def test_a_foreign_proof_on_a_call_goes_and_is_named() -> None:
    turns = (HI, assistant(ToolCall("a", "f", "{}", proof=Proof(GEMINI, "s"))), results(ToolResult("a", "f", ())))
    assert lost(*turns) == "degraded=foreign_reasoning_proof"


@pytest.mark.parametrize(
    ("thinking", "expected", "header"),
    [
        (Thinking(), None, ""),
        (Thinking(show=False), None, ""),
        (Thinking(adaptive=True), None, ""),
        (Thinking(budget=-1), None, ""),
        (Thinking(adaptive=True, show=True), {"summary": "auto"}, ""),
        (Thinking(effort=Effort.MAX), {"effort": "max"}, ""),
        (Thinking(budget=0), {"effort": "none"}, ""),
        (Thinking(budget=1024), {"effort": "low"}, "degraded=reasoning_effort"),
        (Thinking(budget=8192), {"effort": "medium"}, "degraded=reasoning_effort"),
        (Thinking(budget=24576), {"effort": "high"}, "degraded=reasoning_effort"),
        (Thinking(budget=24577), {"effort": "xhigh"}, "degraded=reasoning_effort"),
    ],
)
def test_how_hard_to_think(thinking: Thinking, expected: object, header: str) -> None:
    assert body(HI, thinking=thinking).get("reasoning") == expected
    assert lost(HI, thinking=thinking) == header


# --- tools -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("strict", "expected"), [(None, False), (False, False), (True, True)])
def test_strict_is_always_said_as_this_dialect_takes_silence_for_true(strict: bool | None, expected: bool) -> None:
    (tool,) = body(HI, tools=(Tool("f", schema=b'{"type":"object"}', strict=strict),))["tools"]
    assert tool == {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": expected}


def test_a_host_without_strict_gets_none() -> None:
    (tool,) = body(HI, tools=(Tool("f"),), options=VendorOptions(tool_strict=False))["tools"]
    assert "strict" not in tool


def test_a_tool_without_parameters_takes_an_empty_object() -> None:
    (tool,) = body(HI, tools=(Tool("f"),))["tools"]
    assert tool["parameters"] == {"type": "object", "properties": {}, "additionalProperties": False}


def test_names_that_the_provider_refuses_are_changed_everywhere_and_can_be_changed_back() -> None:
    name = "server.look:up"
    turns = (HI, assistant(ToolCall("a", name, "{}")), results(ToolResult("a", name, ())))
    written, _ = write(*turns, tools=(Tool(name),), tool_choice=ToolChoice(ToolMode.REQUIRED, (name,)))
    tree = json.loads(written.body)
    (sent,) = written.names
    assert written.names == {sent: name}
    assert sent.startswith("server_look_up_")
    assert len(sent) <= 64
    assert (tree["tools"][0]["name"], tree["tool_choice"]["name"], tree["input"][1]["name"]) == (sent, sent, sent)


def test_names_that_differ_in_what_is_changed_stay_apart() -> None:
    tools = body(HI, tools=(Tool("a.b"), Tool("a:b"), Tool("a_b"), Tool("x" * 65), Tool("x" * 66)))["tools"]
    assert len({tool["name"] for tool in tools}) == 5
    assert tools[2]["name"] == "a_b"


def test_two_tools_of_one_name_are_refused() -> None:
    assert refused(HI, tools=(Tool("f"), Tool("f"))).param == "tools"


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice(ToolMode.AUTO), "auto"),
        (ToolChoice(ToolMode.REQUIRED), "required"),
        (ToolChoice(ToolMode.NONE), "none"),
        (ToolChoice(ToolMode.REQUIRED, ("c",)), {"type": "custom", "name": "c"}),
        (
            ToolChoice(ToolMode.AUTO, ("f",)),
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
        ),
        (
            ToolChoice(ToolMode.REQUIRED, ("f", "c")),
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "c"}],
            },
        ),
    ],
)
def test_tool_choices(choice: ToolChoice, expected: object) -> None:
    assert body(HI, tools=(Tool("f"), Tool("c", custom=True)), tool_choice=choice)["tool_choice"] == expected


def test_what_is_about_tools_goes_without_tools() -> None:
    tree = body(HI, tool_choice=ToolChoice(ToolMode.AUTO), parallel_tools=True)
    assert "tool_choice" not in tree
    assert "parallel_tool_calls" not in tree
    assert lost(HI, tool_choice=ToolChoice(ToolMode.AUTO)) == "dropped=tool_choice"


def test_a_schema_without_a_name_gets_one() -> None:
    tree = body(HI, output=OutputFormat(Format.SCHEMA, schema=b"{}"))
    assert tree["text"]["format"] == {"type": "json_schema", "name": "answer", "schema": {}}
    assert body(HI, output=OutputFormat(Format.JSON))["text"] == {"format": {"type": "json_object"}}


# --- what is lost ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "header"),
    [
        ({"sampling": Sampling(top_k=3)}, "dropped=top_k"),
        ({"sampling": Sampling(frequency_penalty=1)}, "dropped=penalties"),
        ({"sampling": Sampling(seed=3)}, "dropped=seed"),
        ({"user": "u"}, "dropped=user"),
        ({"service_tier": "scale"}, "dropped=service_tier"),
        ({"features": (Feature.STORE, Feature.METADATA)}, "dropped=store,metadata"),
        ({"features": (Feature.VERBOSITY,)}, "dropped=verbosity"),
        ({"features": (Feature.SEARCH_RESULT,)}, "degraded=search_result"),
        ({"extras": ("min_p",)}, "dropped=min_p"),
    ],
)
def test_what_this_dialect_lacks_is_named(fields: dict[str, Any], header: str) -> None:
    assert lost(HI, **fields) == header


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"stop": ("x",)}, "stop"),
        ({"choices": 2}, "n"),
        ({"logprobs": 0}, "logprobs"),
        ({"features": (Feature.LOGIT_BIAS,)}, "logit_bias"),
        ({"features": (Feature.TOOL_GRAMMAR,)}, "tools.custom.format"),
        ({"features": (Feature.TOOL_BUILT_IN,)}, "tools"),
    ],
)
def test_what_decides_the_answer_is_refused(fields: dict[str, Any], param: str) -> None:
    assert refused(HI, **fields).param == param


@pytest.mark.parametrize(("word", "sent"), [("standard_only", "default"), ("priority", "priority"), ("auto", "auto")])
def test_tiers_that_both_have_are_carried(word: str, sent: str) -> None:
    assert body(HI, service_tier=word)["service_tier"] == sent
