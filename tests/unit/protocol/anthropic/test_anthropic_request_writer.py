"""Neutral requests as Messages requests: the whole, turns, parts, calls and results."""

import base64
import json
from typing import Any

import pytest

from tests.unit.protocol.anthropic.anthropic_requests import (
    BOTH,
    CALL,
    LAST,
    NEW,
    PDF,
    PNG,
    RESULT,
    assistant,
    blocks,
    body,
    lost,
    messages,
    refused,
    user,
    write,
)
from trunkline.protocol import names
from trunkline.protocol.anthropic.models_table import ThinkingStyle, model_traits
from trunkline.protocol.dialect import Written
from trunkline.protocol.fidelity import Feature
from trunkline.protocol.model import (
    Audio,
    CacheMark,
    Effort,
    File,
    Image,
    Part,
    Proof,
    Reasoning,
    Refusal,
    Role,
    Sampling,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from trunkline.protocol.vendor import DEFAULTS, VendorOptions

# --- the whole -------------------------------------------------------------------------------------------------------


def test_a_small_request_byte_for_byte() -> None:
    _, header, written = write(stream=True, instructions=(Text("Be nice"),), max_output=9)
    assert written == Written(
        b'{"model":"claude-sonnet-4-5-20250929","max_tokens":9,"system":"Be nice",'
        b'"messages":[{"role":"user","content":"hi"}],"stream":true}'
    )
    assert header == ""


@pytest.mark.parametrize(
    ("model", "options", "bound"),
    [
        ("claude-3-haiku-20240307", DEFAULTS, 4096),
        ("claude-3-5-sonnet-20241022", DEFAULTS, 8192),
        ("claude-3-7-sonnet-latest", DEFAULTS, 64_000),
        ("claude-opus-4-20250514", DEFAULTS, 32_000),
        ("claude-sonnet-4-5", DEFAULTS, 64_000),
        ("claude-opus-4-6", DEFAULTS, 128_000),
        ("anthropic/claude-opus-4.8", DEFAULTS, 128_000),
        ("us.anthropic.claude-opus-4-20250514-v1:0", DEFAULTS, 32_000),
        ("claude-sonnet-4@20250514", DEFAULTS, 64_000),
        ("claude-something-9", DEFAULTS, 128_000),
        ("deepseek-chat", DEFAULTS, 32_000),
        ("claude-opus-4-6", VendorOptions(max_output=9000), 9000),
        ("claude-3-haiku", VendorOptions(max_output=9000), 4096),
        ("deepseek-chat", VendorOptions(max_output=65_536), 65_536),
    ],
)
def test_the_bound_that_a_client_leaves_out(model: str, options: VendorOptions, bound: int) -> None:
    assert body(model, options=options)["max_tokens"] == bound
    assert body(model, options=options, max_output=77)["max_tokens"] == 77


def test_the_longest_name_in_the_table_wins() -> None:
    assert model_traits("claude-opus-5").forced_tools
    assert not model_traits("claude-opus-5-5-20260922").forced_tools
    assert model_traits("claude-opus-4-5").schema
    assert not model_traits("claude-opus-4-20250514").schema
    assert model_traits("gpt-4o").thinking is ThinkingStyle.BUDGET


def test_what_the_dialect_cannot_carry_is_reported() -> None:
    assert (
        lost(
            sampling=Sampling(frequency_penalty=0.5, seed=1),
            cache_key="k",
            user="u",
            service_tier="flex",
            features=(Feature.VERBOSITY, Feature.SEARCH_RESULT),
            extras=("odd",),
        )
        == "dropped=verbosity,odd,penalties,seed,cache_key,user,service_tier"
    )
    assert lost(service_tier="auto", sampling=Sampling(presence_penalty=0)) == ""
    assert body(service_tier="standard_only")["service_tier"] == "standard_only"
    assert "user" not in json.dumps(body(user="somebody-42")["messages"][0]["content"])
    assert b"somebody-42" not in write(user="somebody-42")[2].body


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"choices": 2}, "n"),
        ({"logprobs": 0}, "logprobs"),
        ({"features": (Feature.LOGIT_BIAS,)}, "logit_bias"),
        ({"features": (Feature.TOOL_BUILT_IN,)}, "tools"),
        ({"features": (Feature.TOOL_GRAMMAR,)}, "tools.custom.format"),
        ({"turns": (Turn(Role.USER, (Audio("AA", "audio/wav"),)),)}, "input_audio"),
    ],
)
def test_what_would_change_the_answer_is_refused(fields: dict[str, Any], param: str) -> None:
    assert refused(**fields).param == param


# --- turns -----------------------------------------------------------------------------------------------------------


def test_instructions_stay_blocks_with_their_marks() -> None:
    assert body(instructions=(Text("a"), Text(""), Text("b", CacheMark.LONG)))["system"] == [
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
    ]
    assert "system" not in body(instructions=(Text(" "),))


def test_neighbours_of_one_role_are_joined_by_their_blocks() -> None:
    assert messages(user(Text("a")), user(Text("b")), assistant(Text("c")), assistant(Text("d")), user(Text("e"))) == [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "c"}, {"type": "text", "text": "d"}]},
        {"role": "user", "content": "e"},
    ]


def test_empty_parts_and_turns_go_and_their_neighbours_join() -> None:
    assert messages(user(Text("a"), Text("")), assistant(Text(""), Text("\n")), assistant(), user(Text("b"))) == [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
    ]


@pytest.mark.parametrize(
    ("client", "param"),
    [
        (names.OPENAI_CHAT, "messages"),
        (names.OPENAI_RESPONSES, "input"),
        (names.GEMINI, "contents"),
        (names.ANTHROPIC, "messages"),
    ],
)
def test_a_conversation_without_a_user_at_its_start_is_refused(client: str, param: str) -> None:
    for turns in ((), (user(Text("")),), (assistant(Text("a")),), (assistant(Text("a")), user(Text("b")))):
        assert refused(turns=turns, client=client).param == param


def test_a_trailing_assistant_turn_goes_where_it_can_be_continued() -> None:
    turns = (user(Text("a")), assistant(Text("It is \n")))
    assert messages(*turns)[1] == {"role": "assistant", "content": "It is"}
    for model in (BOTH, NEW, LAST):
        assert refused(model, turns=turns).param == "messages"


def test_a_turn_that_is_continued_does_not_think() -> None:
    turns = (user(Text("a")), assistant(Text("It is")))
    written, header, _ = write(turns=turns, thinking=Thinking(effort=Effort.HIGH))
    assert "thinking" not in written
    assert header == "degraded=reasoning_effort"


def test_instructions_in_the_middle_stay_where_the_model_takes_them() -> None:
    system = Turn(Role.SYSTEM, (Text("be brief"),))
    at_end = (user(Text("a")), assistant(Text("b")), user(Text("c")), system)
    before_answer = (user(Text("a")), system, assistant(Text("b")), user(Text("c")))
    for turns, place in ((at_end, 3), (before_answer, 1)):
        written, header, _ = write(NEW, turns=turns)
        assert written["messages"][place] == {"role": "system", "content": "be brief"}
        assert header == ""
    assert messages(*at_end, options=VendorOptions(instructions_midway=True))[3]["role"] == "system"


def test_instructions_in_the_middle_are_else_a_marked_text_in_their_place() -> None:
    system = Turn(Role.SYSTEM, (Text("be brief"),))
    mark = {"type": "text", "text": "<system>\nbe brief\n</system>"}
    written, header, _ = write(turns=(user(Text("a")), system, assistant(Text("b")), user(Text("c"))))
    assert written["messages"][0]["content"] == [{"type": "text", "text": "a"}, mark]
    assert header == "degraded=instructions_midway"
    # Right behind an assistant, and before a user, no model takes them.
    written, header, _ = write(NEW, turns=(user(Text("a")), assistant(Text("b")), system, user(Text("c"))))
    assert written["messages"][2] == {"role": "user", "content": [mark, {"type": "text", "text": "c"}]}
    assert header == "degraded=instructions_midway"


def test_names_of_participants_are_dropped() -> None:
    assert lost(turns=(Turn(Role.USER, (Text("a"),), name="Ann"),)) == "dropped=participant_name"


# --- parts -----------------------------------------------------------------------------------------------------------


def test_texts_images_and_files() -> None:
    text = base64.b64encode("é;1\n".encode()).decode()
    assert blocks(
        Text("a", CacheMark.SHORT),
        Image(url="https://x/a.png"),
        Image(data=PNG, media_type="image/jpeg"),
        File(data=PDF, media_type="application/octet-stream", name="T", context="C", citations=True),
        File(url="https://x/a.pdf"),
        File(text="plain", media_type="text/plain"),
        File(data=text, media_type="text/csv", name="t.csv"),
        File(data=PNG, media_type="image/png"),
    ) == [
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
        {"type": "image", "source": {"type": "url", "url": "https://x/a.png"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
            "title": "T",
            "context": "C",
            "citations": {"enabled": True},
        },
        {"type": "document", "source": {"type": "url", "url": "https://x/a.pdf"}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "plain"}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "é;1\n"}, "title": "t.csv"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
    ]


@pytest.mark.parametrize(
    "part",
    [
        Image(data="AAAAHGZ0eXBoZWlj", media_type="image/heic"),
        File(data="UEsDBAAA", media_type="application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        File(data="/9j/4AAQ", media_type=""),
        File(data="//79", media_type="text/plain"),
    ],
)
def test_media_that_the_provider_does_not_read_are_refused(part: Part) -> None:
    if part == File(data="/9j/4AAQ", media_type=""):
        assert blocks(part)[0]["source"]["media_type"] == "image/jpeg"
    else:
        assert refused(turns=(user(part),)).param == "messages"


def test_the_detail_of_an_image_is_a_hint() -> None:
    assert lost(turns=(user(Image(url="https://x", detail="high")),)) == "dropped=image_detail"
    assert lost(turns=(user(Image(url="https://x", detail="auto")),)) == ""


def test_an_earlier_refusal_is_a_text() -> None:
    turns = (user(Text("a")), assistant(Refusal("No.")), user(Text("b")))
    assert messages(*turns)[1] == {"role": "assistant", "content": "No."}
    assert lost(turns=turns) == "degraded=refusal_history"


def test_thinking_returns_in_its_place_and_foreign_thinking_does_not() -> None:
    turns = (
        user(Text("a")),
        assistant(
            Reasoning("hm", Proof("anthropic", "s")),
            Reasoning(proof=Proof("anthropic", "r"), redacted=True),
            Reasoning("", Proof("anthropic", "omitted")),
            CALL,
        ),
        user(RESULT),
    )
    assert messages(*turns)[1]["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "r"},
        {"type": "thinking", "thinking": "", "signature": "omitted"},
        {"type": "tool_use", "id": "t", "name": "f", "input": {}},
    ]
    foreign = (user(Text("a")), assistant(Reasoning("hm", Proof("gemini", "s")), Text("b")), user(Text("c")))
    assert messages(*foreign)[1]["content"] == "b"
    assert lost(turns=foreign) == "degraded=foreign_reasoning_proof"
    bare = (user(Text("a")), assistant(Reasoning("hm"), Text("b")), user(Text("c")))
    assert lost(turns=bare) == "dropped=reasoning_history"
    only = (user(Text("a")), assistant(Reasoning("hm", Proof("gemini", "s"))), user(Text("c")))
    assert len(messages(*only)) == 1


# --- calls and results -----------------------------------------------------------------------------------------------


def test_all_results_come_first_in_one_user_turn() -> None:
    turns = (
        user(Text("a")),
        assistant(CALL),
        assistant(ToolCall("u", "g", '{"b":1}')),
        user(Text("by the way")),
        user(ToolResult("u", "g", ())),
        user(RESULT),
        user(Text("and?")),
    )
    assert messages(*turns)[1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "t", "name": "f", "input": {}},
                {"type": "tool_use", "id": "u", "name": "g", "input": {"b": 1}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "u"},
                {"type": "tool_result", "tool_use_id": "t", "content": "warm"},
                {"type": "text", "text": "by the way"},
                {"type": "text", "text": "and?"},
            ],
        },
    ]


def test_a_result_holds_texts_images_and_files_and_says_that_it_failed() -> None:
    result = ToolResult(
        "t",
        "f",
        (Text("see"), Text(""), Image(data=PNG, media_type="image/png"), File(text="x", media_type="text/plain")),
        failed=True,
        cache=CacheMark.SHORT,
    )
    (block,) = messages(user(Text("a")), assistant(CALL), user(result))[2]["content"]
    assert block == {
        "type": "tool_result",
        "tool_use_id": "t",
        "content": [
            {"type": "text", "text": "see"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}},
        ],
        "is_error": True,
        "cache_control": {"type": "ephemeral"},
    }


def test_arguments_keep_their_source() -> None:
    source = '{ "n": 1.10, "big":123456789012345678901, "é":"\\u00e9" }'
    turns = (user(Text("a")), assistant(ToolCall("t", "f", source)), user(RESULT))
    assert b'"input":' + source.encode() + b"}" in write(turns=turns)[2].body


@pytest.mark.parametrize("source", ["", " \n", "{}"])
def test_no_arguments_are_an_empty_object(source: str) -> None:
    turns = (user(Text("a")), assistant(ToolCall("t", "f", source)), user(RESULT))
    assert messages(*turns)[1]["content"][0]["input"] == {}


@pytest.mark.parametrize("source", ['{"a":', "[1]", '"x"', "nope"])
def test_arguments_that_are_no_object_are_refused_with_the_calls_id(source: str) -> None:
    turns = (user(Text("a")), assistant(ToolCall("call-7", "f", source)), user(RESULT))
    assert "`call-7`" in refused(turns=turns).message


def test_foreign_ids_are_rewritten_alike_for_call_and_result() -> None:
    foreign = "functions.get:0"
    turns = (
        user(Text("a")),
        assistant(ToolCall(foreign, "f", "{}"), ToolCall("ok_1-A", "f", "{}")),
        user(ToolResult(foreign, "f", ()), ToolResult("ok_1-A", "f", ())),
    )
    calls, results = (message["content"] for message in messages(*turns)[1:])
    assert calls[0]["id"] == results[0]["tool_use_id"]
    assert calls[0]["id"].startswith("call_")
    assert calls[0]["id"].replace("_", "").isalnum()
    assert (calls[1]["id"], results[1]["tool_use_id"]) == ("ok_1-A", "ok_1-A")


@pytest.mark.parametrize(
    "turns",
    [
        (user(Text("a"), ToolResult("lone", "f", ())),),
        (user(Text("a")), assistant(CALL), user(RESULT, ToolResult("lone", "f", ()))),
        (user(Text("a")), assistant(ToolCall("lone", "f", "{}")), user(Text("b"))),
        (user(Text("a")), assistant(ToolCall("lone", "f", "{}"))),
        (user(Text("a")), assistant(CALL, ToolCall("lone", "f", "{}")), user(RESULT), assistant(Text("b"))),
        (user(Text("a")), assistant(CALL), user(RESULT), assistant(Text("b")), user(ToolResult("lone", "f", ()))),
    ],
)
def test_calls_and_results_that_do_not_pair_are_refused_with_their_id(turns: tuple[Turn, ...]) -> None:
    fault = refused(turns=turns)
    assert "`lone`" in fault.message
    assert fault.param == "messages"


def test_tools_of_the_history_alone_are_declared_and_not_called() -> None:
    turns = (user(Text("a")), assistant(CALL, ToolCall("u", "a.b", "{}")), user(RESULT, ToolResult("u", "a.b", ())))
    written, header, whole = write(turns=turns)
    (name,) = whole.names
    assert written["tools"] == [
        {"name": "f", "input_schema": {"type": "object"}},
        {"name": name, "input_schema": {"type": "object"}},
    ]
    assert written["tool_choice"] == {"type": "none"}
    assert written["messages"][1]["content"][1]["name"] == name
    assert header == ""
