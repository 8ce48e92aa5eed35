"""Neutral turns as chat messages: order, groups, results, reasoning, media."""

import base64
import json
from typing import Any

import pytest

from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol.fidelity import Crossing
from trunkline.protocol.model import (
    Audio,
    CacheMark,
    File,
    Image,
    Part,
    Proof,
    Reasoning,
    Refusal,
    Request,
    Role,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from trunkline.protocol.names import ANTHROPIC, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES
from trunkline.protocol.openai_chat.dialect import OpenAIChat
from trunkline.protocol.vendor import AssistantPrefix, ReasoningReplay, ToolIDRule, VendorOptions

HELLO = Turn(Role.USER, (Text("Hello"),))
OWN = Proof(OPENAI_CHAT, '[{"type":"reasoning.text","text":"hm","signature":"s"}]')
FOREIGN = Proof(ANTHROPIC, "sig")


def said(*parts: Part) -> Turn:
    return Turn(Role.ASSISTANT, parts)


def user(*parts: Part) -> Turn:
    return Turn(Role.USER, parts)


def call(identity: str, arguments: str = "{}", **members: Any) -> ToolCall:
    return ToolCall(identity, "f", arguments, **members)


def result(identity: str, *parts: Text | Image | File, **members: Any) -> ToolResult:
    return ToolResult(identity, "f", parts or (Text(f"of {identity}"),), **members)


def shown_call(identity: str, arguments: str = "{}", **members: Any) -> dict[str, Any]:
    return {"id": identity, "type": "function", "function": {"name": "f", "arguments": arguments}, **members}


def write(*turns: Turn, client: str = ANTHROPIC, **options: Any) -> tuple[list[Any], str]:
    crossing = Crossing(client, OPENAI_CHAT)
    written = OpenAIChat().write_request(Request(turns), crossing, "up", VendorOptions(**options))
    return json.loads(written.body)["messages"], crossing.header()


def messages(*turns: Turn, **options: Any) -> list[Any]:
    found, header = write(*turns, **options)
    assert header == ""
    return found


def fault(*turns: Turn, client: str = ANTHROPIC, **options: Any) -> Fault:
    with pytest.raises(FaultError) as raised:
        write(*turns, client=client, **options)
    assert raised.value.fault.type is ErrorType.CLIENT_BAD_REQUEST
    return raised.value.fault


# --- Turns -----------------------------------------------------------------------------------------------------------


def test_roles_names_and_instructions_in_their_places() -> None:
    turns = (Turn(Role.USER, (Text("a"),), "ann"), said(Text("b")), HELLO, Turn(Role.SYSTEM, (Text("c"),)))
    assert messages(*turns) == [
        {"role": "user", "content": "a", "name": "ann"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "Hello"},
        {"role": "system", "content": "c"},
    ]
    assert messages(*turns, developer_role=True)[-1]["role"] == "developer"


def test_several_texts_stay_parts_and_empty_ones_are_dropped() -> None:
    assert messages(
        user(Text("a"), Text(""), Text("b")), said(Text("")), user(Text("")), user(Text(""), Text("c"))
    ) == [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "user", "content": "c"},
    ]


def test_a_conversation_without_words_is_refused() -> None:
    assert fault(user(Text(""))).param == "messages"
    assert fault(user(), client=GEMINI).param == "contents"


def test_prefill_is_refused_as_chat_takes_it_for_history() -> None:
    assert fault(HELLO, said(Text("{"))).param == "messages"
    assert fault(HELLO, said(Text("{")), client=OPENAI_RESPONSES).param == "input"


def test_refusals_have_a_field_of_their_own() -> None:
    assert messages(HELLO, said(Refusal("No.")), HELLO)[1] == {
        "role": "assistant",
        "content": None,
        "refusal": "No.",
    }


# --- Calls and results -----------------------------------------------------------------------------------------------


def test_results_stand_in_the_order_of_their_calls_before_all_else() -> None:
    turns = (
        HELLO,
        said(Text("x"), call("a", '{"n": 12345678901234567890123}'), call("b", "")),
        user(Text("and?"), result("b")),
        Turn(Role.SYSTEM, (Text("Be brief."),)),
        user(result("a", Text("y"), Text("z"))),
    )
    assert messages(*turns) == [
        {"role": "user", "content": "Hello"},
        {
            "role": "assistant",
            "content": "x",
            "tool_calls": [shown_call("a", '{"n": 12345678901234567890123}'), shown_call("b")],
        },
        {
            "role": "tool",
            "tool_call_id": "a",
            "content": [{"type": "text", "text": "y"}, {"type": "text", "text": "z"}],
        },
        {"role": "tool", "tool_call_id": "b", "content": "of b"},
        {"role": "user", "content": "and?"},
        {"role": "system", "content": "Be brief."},
    ]


def test_neighbouring_turns_of_one_group_are_one_message() -> None:
    """Regression 9."""
    turns = (HELLO, said(Text("x")), said(call("a")), said(call("b")), said(Text("y")), user(result("a"), result("b")))
    assert messages(*turns)[1] == {
        "role": "assistant",
        "content": [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}],
        "tool_calls": [shown_call("a"), shown_call("b")],
    }
    assert [message["content"] for message in messages(HELLO, said(Text("x")), said(Text("y")), HELLO)] == [
        *("Hello", "x", "y", "Hello"),
    ]


def test_custom_calls() -> None:
    turns = (
        HELLO,
        said(ToolCall("a", "sh", "ls", custom=True)),
        user(ToolResult("a", "sh", (Text("x"),), custom=True)),
    )
    assert messages(*turns)[1:] == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "a", "type": "custom", "custom": {"name": "sh", "input": "ls"}}],
        },
        {"role": "tool", "tool_call_id": "a", "content": "x"},
    ]


@pytest.mark.parametrize(
    ("turns", "words"),
    [
        ((HELLO, said(call("a"), call("b")), user(result("a"))), "`b` has no result"),
        ((HELLO, said(call("a")), HELLO, said(Text("x")), user(result("a"))), "`a` has no result"),
        ((HELLO, said(Text("x")), user(result("a"))), "`a` answers no call"),
        ((user(result("a")),), "`a` answers no call"),
    ],
)
def test_calls_and_results_that_do_not_meet_are_named(turns: tuple[Turn, ...], words: str) -> None:
    found = fault(*turns, client=OPENAI_RESPONSES)
    assert words in found.message
    assert found.param == "input"


def test_failed_results_begin_with_a_mark() -> None:
    turns = (HELLO, said(call("a"), call("b")), user(result("a", failed=True), ToolResult("b", "f", (), failed=True)))
    found, header = write(*turns)
    assert [message["content"] for message in found[2:]] == ["Error: of a", "Error: "]
    assert header == "degraded=tool_result_failed"


def test_images_in_results_stand_in_a_user_message_behind_the_group() -> None:
    """Regression 40."""
    picture, paper = (
        Image(data="AAAA", media_type="image/png"),
        File(data="BBBB", media_type="application/pdf", name="n"),
    )
    found, header = write(
        *(HELLO, said(call("a"), call("b"))),
        user(result("a", Text("x"), picture), result("b", paper), Text("and?")),
    )
    assert found[2:] == [
        {"role": "tool", "tool_call_id": "a", "content": "x"},
        {"role": "tool", "tool_call_id": "b", "content": ""},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "From the result of tool call a:"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "text", "text": "From the result of tool call b:"},
                {"type": "file", "file": {"filename": "n", "file_data": "data:application/pdf;base64,BBBB"}},
            ],
        },
        {"role": "user", "content": "and?"},
    ]
    assert header == "degraded=tool_result_image"


def test_ids_that_a_vendor_refuses_are_the_same_hash_for_call_and_result() -> None:
    """Regression 24."""
    turns = (HELLO, said(call("toolu_1"), call("abcDEF123")), user(result("toolu_1"), result("abcDEF123")))
    found = messages(*turns, tool_ids=ToolIDRule.ALPHANUMERIC_9)
    first, second = (shown["id"] for shown in found[1]["tool_calls"])
    assert len(first) == 9
    assert first.isalnum()
    assert second == "abcDEF123"
    assert [message["tool_call_id"] for message in found[2:]] == [first, second]
    assert messages(*turns, tool_ids=ToolIDRule.ALPHANUMERIC_9) == found


def test_ids_that_are_too_long_are_shortened() -> None:
    long = "x" * 64
    found = messages(HELLO, said(call(long), call("x" * 40)), user(result(long), result("x" * 40)))
    assert len(found[1]["tool_calls"][0]["id"]) <= 40
    assert found[2]["tool_call_id"] == found[1]["tool_calls"][0]["id"] != long
    assert found[3]["tool_call_id"] == "x" * 40


def test_names_of_earlier_calls_are_mapped_as_the_tools_are() -> None:
    turns = (HELLO, said(ToolCall("a", "s.f", "{}")), user(ToolResult("a", "s.f", ())))
    found = messages(*turns)
    assert found[1]["tool_calls"][0]["function"]["name"].startswith("s_f_")
    assert found[2] == {"role": "tool", "tool_call_id": "a", "content": ""}


def test_cache_marks_on_results_and_calls() -> None:
    turns = (HELLO, said(call("a", cache=CacheMark.SHORT)), user(result("a", cache=CacheMark.SHORT)))
    found, header = write(*turns, cache_marks=True)
    assert found[2] == {
        "role": "tool",
        "tool_call_id": "a",
        "content": "of a",
        "cache_control": {"type": "ephemeral"},
    }
    # A call has no place for one.
    assert header == "dropped=cache_marks"
    assert write(HELLO, said(call("a")), user(result("a", cache=CacheMark.SHORT)))[1] == "dropped=cache_marks"


# --- Orders and roles that not every vendor takes ---------------------------------------------------------------------


def test_a_configured_word_stands_between_results_and_the_users_words() -> None:
    turns = (HELLO, said(call("a")), user(result("a"), Text("Be quick.")))
    found, header = write(*turns, tool_bridge="OK.")
    assert found[2:] == [
        {"role": "tool", "tool_call_id": "a", "content": "of a"},
        {"role": "assistant", "content": "OK."},
        {"role": "user", "content": "Be quick."},
    ]
    assert header == "degraded=text_behind_tool_results"
    assert write(*turns)[0][3:] == found[4:]
    # A picture of a result is the user's, too; and nothing stands between where nothing follows.
    shown = write(HELLO, said(call("a")), user(result("a", Image(url="https://x/y.png"))), tool_bridge="OK.")[0]
    assert [message["role"] for message in shown[2:]] == ["tool", "assistant", "user"]
    assert write(*turns[:2], user(result("a")), tool_bridge="OK.") == write(*turns[:2], user(result("a")))


def test_instructions_midway_are_marked_words_of_the_user_where_a_template_refuses_them() -> None:
    turns = (HELLO, said(Text("Hi")), Turn(Role.SYSTEM, (Text("Be brief."), Text(""))), HELLO)
    found, header = write(*turns, instructions_midway=False)
    assert found[2] == {"role": "user", "content": "<system>\nBe brief.\n</system>"}
    assert header == "degraded=instructions_midway"
    for options in ({}, {"instructions_midway": True}):
        found, header = write(*turns, **options)
        assert found[2] == {"role": "system", "content": "Be brief."}
        assert header == ""


# --- Reasoning -------------------------------------------------------------------------------------------------------

ROUNDS = (
    HELLO,
    said(Reasoning("old"), Text("x")),
    HELLO,
    said(Reasoning("hm", OWN), call("a")),
    user(result("a")),
    said(call("b")),
    user(result("b")),
)


def reasoning(field: str = "reasoning_content", **options: Any) -> tuple[list[Any], str]:
    found, header = write(*ROUNDS, **options)
    return [message.get(field) for message in found if message["role"] == "assistant"], header


def test_earlier_reasoning_is_replayed_as_the_channel_says() -> None:
    """Regression 30."""
    assert reasoning() == ([None, None, None], "dropped=reasoning_history")
    assert reasoning(reasoning_replay=ReasoningReplay.TOOL_LOOP)[0] == [None, "hm", ""]
    assert reasoning(reasoning_replay=ReasoningReplay.ALWAYS)[0] == ["old", "hm", ""]
    # In a loop alone, a vendor wants the field on every call, also on those that come without reasoning (Moonshot).
    older = (*ROUNDS, said(Text("Done.")), HELLO)
    found, _ = write(*older, reasoning_replay=ReasoningReplay.TOOL_LOOP)
    assert [message.get("reasoning_content") for message in found if message["role"] == "assistant"] == [
        *(None, "", "", None),
    ]
    renamed = {"reasoning_replay": ReasoningReplay.ALWAYS, "reasoning_field": "reasoning"}
    assert reasoning("reasoning", **renamed)[0] == ["old", "hm", ""]


def test_a_vendors_own_details_go_back_as_they_were() -> None:
    options = {"reasoning_replay": ReasoningReplay.ALWAYS, "reasoning_field": "reasoning_details"}
    assert reasoning("reasoning_details", **options) == (
        [[{"type": "reasoning.text", "text": "old"}], json.loads(OWN.data), None],
        "",
    )
    broken = Proof(OPENAI_CHAT, '[1],"model":"x"')
    found, _ = write(HELLO, said(Reasoning("hm", broken), Text("x")), HELLO, **options)
    assert found[1]["reasoning_details"] == [{"type": "reasoning.text", "text": "hm"}]


def test_a_foreign_proof_is_not_sent() -> None:
    """Regression 17."""
    turns = (HELLO, said(Reasoning("hm", FOREIGN), call("a", proof=Proof(GEMINI, "gs"))), user(result("a")))
    found, header = write(*turns, reasoning_replay=ReasoningReplay.TOOL_LOOP)
    assert found[1]["reasoning_content"] == "hm"
    assert "extra_content" not in found[1]["tool_calls"][0]
    assert header == "degraded=foreign_reasoning_proof"


def test_an_own_proof_on_a_call_goes_back_to_it() -> None:
    turns = (HELLO, said(call("a", proof=Proof(OPENAI_CHAT, "sig"))), user(result("a")))
    shown = shown_call("a", extra_content={"google": {"thought_signature": "sig"}})
    assert messages(*turns)[1]["tool_calls"] == [shown]


def test_a_turn_of_nothing_but_reasoning_stays_only_for_its_proof() -> None:
    turns = (HELLO, said(Reasoning("hm", OWN)), HELLO)
    assert len(write(*turns)[0]) == 2
    options = {"reasoning_replay": ReasoningReplay.ALWAYS, "reasoning_field": "reasoning_details"}
    assert messages(*turns, **options)[1] == {
        "role": "assistant",
        "content": "",
        "reasoning_details": json.loads(OWN.data),
    }


# --- Media -----------------------------------------------------------------------------------------------------------


def test_images_files_and_sound() -> None:
    text = base64.b64encode("é".encode()).decode()
    assert messages(
        user(
            Image(url="https://x/y.png", detail="low"),
            Image(data="AAAA", media_type="image/png"),
            File(data="BBBB", media_type="application/pdf"),
            File(text="é"),
            Audio("CCCC", "audio/mpeg"),
            Audio("CCCC", "audio/wav"),
        )
    )[0]["content"] == [
        {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "file", "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,BBBB"}},
        {"type": "file", "file": {"filename": "document.txt", "file_data": f"data:text/plain;base64,{text}"}},
        {"type": "input_audio", "input_audio": {"data": "CCCC", "format": "mp3"}},
        {"type": "input_audio", "input_audio": {"data": "CCCC", "format": "wav"}},
    ]


def test_a_files_context_is_a_text_before_it() -> None:
    file = File(
        data="BBBB", media_type="application/pdf", name="n", context="old", citations=True, cache=CacheMark.SHORT
    )
    found, header = write(user(file), cache_marks=True)
    assert found[0]["content"] == [
        {"type": "text", "text": "old"},
        {
            "type": "file",
            "file": {"filename": "n", "file_data": "data:application/pdf;base64,BBBB"},
            "cache_control": {"type": "ephemeral"},
        },
    ]
    assert header == "degraded=file_context; dropped=citations"


def test_what_chat_cannot_show_is_refused() -> None:
    assert fault(user(File(url="https://x/a.pdf")), client=OPENAI_RESPONSES).param == "file_url"
    assert "image/heic" in fault(user(Image(data="AAAA", media_type="image/heic"))).message


def test_pictures_that_the_assistant_made_are_shown_by_the_user() -> None:
    picture = Image(data="AAAA", media_type="image/png")
    found, header = write(HELLO, said(Text("here"), picture), HELLO, client=GEMINI)
    assert [message["role"] for message in found] == ["user", "assistant", "user", "user"]
    assert found[2]["content"] == [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]
    assert header == "degraded=assistant_image"


# --- The beginning of an answer --------------------------------------------------------------------------------------

BEGUN = (HELLO, said(Text("It is")))


def body(turns: tuple[Turn, ...], prefix: AssistantPrefix) -> dict[str, Any]:
    crossing = Crossing(GEMINI, OPENAI_CHAT)
    written = OpenAIChat().write_request(Request(turns), crossing, "up", VendorOptions(prefix=prefix))
    found: dict[str, Any] = json.loads(written.body)
    return found


def test_a_provider_is_told_of_an_answers_beginning_in_its_words() -> None:
    last = {"role": "assistant", "content": "It is"}
    assert fault(*BEGUN, client=GEMINI).param == "contents"
    assert body(BEGUN, AssistantPrefix.LAST_MESSAGE)["messages"][-1] == last
    assert body(BEGUN, AssistantPrefix.PREFIX)["messages"][-1] == {**last, "prefix": True}
    assert body(BEGUN, AssistantPrefix.PARTIAL)["messages"][-1] == {**last, "partial": True}
    continuing = body(BEGUN, AssistantPrefix.CONTINUE)
    assert continuing["messages"][-1] == last
    assert (continuing["continue_final_message"], continuing["add_generation_prompt"]) == (True, False)


@pytest.mark.parametrize("prefix", AssistantPrefix)
def test_where_the_user_speaks_last_nothing_is_told(prefix: AssistantPrefix) -> None:
    assert body((HELLO,), prefix) == {"model": "up", "messages": [{"role": "user", "content": "Hello"}]}
