"""Chat messages as neutral turns: DIALECTS sections 2.1, 2.2, 2.4 and 2.5."""

import base64
import json
from typing import Any

import pytest

from trunkline.core.errors import ErrorType, Fault, FaultError
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
from trunkline.protocol.names import ANTHROPIC, GEMINI, OPENAI_CHAT
from trunkline.protocol.openai_chat.dialect import OpenAIChat
from trunkline.protocol.proof import wrap

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(range(32))).decode()
PDF = base64.b64encode(b"%PDF-1.7 and more").decode()
THOUGHT = Proof(ANTHROPIC, "sig")


def read(*messages: Any) -> Request:
    return OpenAIChat().read_request(json.dumps({"messages": messages}).encode(), stream=False)


def fault(*messages: Any) -> Fault:
    with pytest.raises(FaultError) as raised:
        read(*messages)
    assert raised.value.fault.type is ErrorType.CLIENT_BAD_REQUEST
    return raised.value.fault


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


def parts(*said: Any) -> tuple[Part, ...]:
    return read(user(*said)).turns[0].parts


def assistant(**members: Any) -> tuple[Part, ...]:
    turn = read({"role": "assistant", **members}).turns[0]
    assert turn.role is Role.ASSISTANT
    return turn.parts


def function(identity: str, name: str, arguments: Any, **members: Any) -> dict[str, Any]:
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}, **members}


# --- Roles -----------------------------------------------------------------------------------------------------------


def test_leading_instructions_are_kept_apart_and_later_ones_in_place() -> None:
    request = read(
        {"role": "system", "content": "a"},
        {"role": "developer", "content": [{"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}}]},
        {"role": "user", "content": "c", "name": "ann"},
        {"role": "developer", "content": "d"},
    )
    assert request.instructions == (Text("a"), Text("b", CacheMark.SHORT))
    assert request.turns == (Turn(Role.USER, (Text("c"),), "ann"), Turn(Role.SYSTEM, (Text("d"),)))


def test_instructions_may_only_be_text() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://x/y.png"}}
    assert fault({"role": "system", "content": [image]}).param == "messages[0].content"


@pytest.mark.parametrize(
    ("content", "expected"), [(None, ()), ("", (Text(""),)), ([], ()), ([{"text": "x"}], (Text("x"),))]
)
def test_empty_content_is_kept_as_it_is(content: Any, expected: tuple[Part, ...]) -> None:
    assert read({"role": "assistant", "content": content}).turns == (Turn(Role.ASSISTANT, expected),)
    assert read({"role": "user", "content": content}).turns == (Turn(Role.USER, expected),)


# --- Parts -----------------------------------------------------------------------------------------------------------


def test_images_by_url() -> None:
    said = {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}}
    assert parts(said) == (Image(url="https://x/y.png", detail="low"),)
    assert parts({"type": "image_url", "image_url": "HTTP://x"}) == (Image(url="HTTP://x"),)


@pytest.mark.parametrize(
    "url",
    [
        f"data:image/png;base64,{PNG}",
        f"data:image/jpeg;base64,{PNG}",
        f"DATA:image/png;charset=utf-8;BASE64,{PNG}",
        f"data:;base64,{PNG[:20]}\n {PNG[20:]}",
        f"data:image/png;base64,{PNG.replace('+', '-').replace('/', '_').rstrip('=')}",
        PNG,
    ],
)
def test_inline_images_are_normalised_and_their_type_is_that_of_the_bytes(url: str) -> None:
    assert parts({"type": "image_url", "image_url": {"url": url}}) == (Image(data=PNG, media_type="image/png"),)


def test_a_data_url_without_base64_is_encoded() -> None:
    said = {"type": "image_url", "image_url": {"url": "data:image/svg+xml,%3Csvg%3E"}}
    data = base64.b64encode(b"<svg>").decode()
    assert parts(said) == (Image(data=data, media_type="image/svg+xml"),)


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"\0\0\0\x18ftypheic", "image/heic"),
        (b"\0\0\0\x18ftypavif", "image/avif"),
        (b"BM", "image/png"),
    ],
)
def test_types_from_bytes(head: bytes, media_type: str) -> None:
    data = base64.b64encode(head + bytes(20)).decode()
    said = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
    assert parts(said) == (Image(data=data, media_type=media_type),)


@pytest.mark.parametrize(
    "url", ["", "ftp://x", "data:image/png;base64,!", "data:image/png", "data:text/html;base64,AAAA"]
)
def test_an_image_that_is_none(url: str) -> None:
    assert fault(user({"type": "image_url", "image_url": {"url": url}})).param == "messages[0].content"


def test_other_parts_that_are_none() -> None:
    for said in (
        {"type": "hologram"},
        {"type": "image_url", "image_url": {"url": "https://x", "detail": "best"}},
        {"type": "file", "file": {}},
        {"type": "file", "file": {"file_data": "AAAA"}},
        {"type": "file", "file": {"file_data": "data:text/plain;base64,/w=="}},
        {"type": "input_audio", "input_audio": {"data": "!", "format": "mp3"}},
    ):
        assert fault(user(said)).param == "messages[0].content"


def test_files() -> None:
    text = base64.b64encode("é".encode()).decode()
    assert parts(
        {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PDF}", "filename": "a.pdf"}},
        {"type": "file", "file": {"file_data": PDF}, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "file", "file": {"file_data": f"data:text/plain;base64,{text}", "filename": "a.txt"}},
        {"type": "file", "file": {"file_data": "https://x/a.pdf"}},
        {"type": "image_url", "image_url": {"url": f"data:application/pdf;base64,{PDF}"}},
    ) == (
        File(data=PDF, media_type="application/pdf", name="a.pdf"),
        File(data=PDF, media_type="application/pdf", cache=CacheMark.LONG),
        File(text="é", name="a.txt"),
        File(url="https://x/a.pdf"),
        File(data=PDF, media_type="application/pdf"),
    )


def test_sound() -> None:
    assert parts({"type": "input_audio", "input_audio": {"data": "AA AA", "format": "wav"}}) == (
        Audio("AAAA", "audio/wav"),
    )


def test_cache_marks_in_vendors_words_and_in_openais() -> None:
    def text(**members: Any) -> dict[str, Any]:
        return {"type": "text", "text": "x", **members}

    assert parts(
        text(cache_control={"type": "ephemeral"}),
        text(cache_control={"type": "ephemeral", "ttl": "1h"}),
        text(prompt_cache_breakpoint={"mode": "explicit"}),
        text(prompt_cache_breakpoint={"mode": "explicit", "ttl": "12h"}),
        text(cache_control=None),
    ) == (
        *(Text("x", CacheMark.SHORT), Text("x", CacheMark.LONG), Text("x", CacheMark.SHORT)),
        *(Text("x", CacheMark.LONG), Text("x")),
    )
    message = {"role": "user", "content": "x", "cache_control": {"type": "ephemeral"}}
    assert read(message).turns[0].parts == (Text("x", CacheMark.SHORT),)


# --- Assistant and tools ---------------------------------------------------------------------------------------------


def test_all_that_an_assistant_says() -> None:
    assert assistant(
        content=[{"type": "text", "text": "x"}, {"type": "refusal", "refusal": "no"}],
        reasoning_content="hm",
        refusal="No.",
        images=[{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}],
        tool_calls=[
            function("a", "f", '{"n": 12345678901234567890123}'),
            {"id": "b", "type": "custom", "custom": {"name": "sh", "input": "ls"}},
        ],
    ) == (
        Reasoning("hm"),
        Text("x"),
        Refusal("no"),
        Refusal("No."),
        Image(data=PNG, media_type="image/png"),
        ToolCall("a", "f", '{"n": 12345678901234567890123}'),
        ToolCall("b", "sh", "ls", custom=True),
    )


@pytest.mark.parametrize(
    ("arguments", "source"), [("", ""), (None, ""), ("{}", "{}"), ({"a": [1]}, '{"a": [1]}'), ("cut {", "cut {")]
)
def test_arguments_are_source_text(arguments: Any, source: str) -> None:
    assert assistant(tool_calls=[function("a", "f", arguments)]) == (ToolCall("a", "f", source),)


def test_results_of_a_group_are_one_turn_with_the_names_of_their_calls() -> None:
    custom = {"id": "b", "type": "custom", "custom": {"name": "sh", "input": "ls"}}
    request = read(
        {"role": "assistant", "content": None, "tool_calls": [function("a", "f", "{}"), custom]},
        {
            "role": "tool",
            "tool_call_id": "b",
            "content": [{"type": "text", "text": "y"}, {"type": "text", "text": "z"}],
        },
        {"role": "tool", "tool_call_id": "a", "content": "x", "cache_control": {"type": "ephemeral"}},
        {"role": "user", "content": "and?"},
        {"role": "tool", "tool_call_id": "c", "content": None, "name": "lost"},
    )
    assert request.turns == (
        Turn(Role.ASSISTANT, (ToolCall("a", "f", "{}"), ToolCall("b", "sh", "ls", custom=True))),
        Turn(
            Role.USER,
            (
                ToolResult("b", "sh", (Text("y"), Text("z")), custom=True),
                ToolResult("a", "f", (Text("x"),), cache=CacheMark.SHORT),
            ),
        ),
        Turn(Role.USER, (Text("and?"),)),
        Turn(Role.USER, (ToolResult("c", "lost", ()),)),
    )


def test_the_deprecated_function_messages_are_calls_and_results() -> None:
    call = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    result = {"role": "function", "name": "f", "content": "x"}
    request = read(call, result, call, result)
    first, second = "call_0_f", "call_2_f"
    assert request.turns == (
        Turn(Role.ASSISTANT, (ToolCall(first, "f", "{}"),)),
        Turn(Role.USER, (ToolResult(first, "f", (Text("x"),)),)),
        Turn(Role.ASSISTANT, (ToolCall(second, "f", "{}"),)),
        Turn(Role.USER, (ToolResult(second, "f", (Text("x"),)),)),
    )


def test_calls_and_results_without_what_joins_them() -> None:
    assert fault({"role": "tool", "content": "x"}).param == "messages[0].tool_call_id"
    assert fault({"role": "function", "name": "f", "content": "x"}).param == "messages[0].tool_call_id"
    calls = [{"type": "function", "function": {"name": "f", "arguments": "{}"}}]
    assert fault({"role": "assistant", "tool_calls": calls}).param == "messages[0].tool_calls.id"
    assert fault({"role": "assistant", "tool_calls": [{"id": "a"}]}).param == "messages[0].tool_calls"


def test_earlier_sound_lives_in_another_account() -> None:
    assert fault({"role": "assistant", "audio": {"id": "audio_1"}}).param == "messages[0].audio"


# --- Reasoning and its proofs ----------------------------------------------------------------------------------------


def carried(proof: Proof) -> dict[str, Any]:
    return {"extra_content": {"google": {"thought_signature": wrap(proof)}}}


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_comes_back_under_both_names(field: str) -> None:
    assert assistant(content="x", **{field: "hm"}) == (Reasoning("hm"), Text("x"))
    assert assistant(content="x", **{field: ""}) == (Text("x"),)


def test_carried_details_are_reasoning_again_each_with_its_proof() -> None:
    details = [
        {"type": "reasoning.text", "text": "hm", "signature": wrap(THOUGHT), "index": 0},
        {"type": "reasoning.encrypted", "data": wrap(Proof(ANTHROPIC, "hid")), "index": 1},
    ]
    expected = (Reasoning("hm", THOUGHT), Reasoning("", Proof(ANTHROPIC, "hid"), redacted=True), Text("x"))
    assert assistant(content="x", reasoning_content="hm", reasoning_details=details) == expected
    assert assistant(content="x", reasoning_details=details) == expected


def test_words_without_their_proof_are_kept_beside_one_that_has_none() -> None:
    details = [{"type": "reasoning.encrypted", "data": wrap(THOUGHT)}]
    assert assistant(reasoning_content="hm", reasoning_details=details) == (
        Reasoning("hm"),
        Reasoning("", THOUGHT, redacted=True),
    )


def test_a_vendors_own_details_are_its_proof() -> None:
    details = [{"type": "reasoning.text", "text": "hm", "signature": "s", "index": 0}]
    proof = Proof(OPENAI_CHAT, '[{"type":"reasoning.text","text":"hm","signature":"s","index":0}]')
    assert assistant(reasoning="hm", reasoning_details=details) == (Reasoning("hm", proof),)
    assert assistant(reasoning_details=[{"type": "reasoning.text", "text": "hm"}]) == (Reasoning("hm"),)
    assert assistant(reasoning="hm", reasoning_details=[]) == (Reasoning("hm"),)
    assert assistant(reasoning="hm", reasoning_details=None) == (Reasoning("hm"),)


def test_a_proof_that_hangs_on_a_call_stays_there() -> None:
    for proof in (Proof(GEMINI, "gs"), Proof(OPENAI_CHAT, "own")):
        calls = [function("a", "f", "{}", **carried(proof))]
        assert assistant(tool_calls=calls) == (ToolCall("a", "f", "{}", proof=proof),)
    plain = [function("a", "f", "{}", extra_content={"google": {"thought_signature": "own"}})]
    assert assistant(tool_calls=plain) == (ToolCall("a", "f", "{}", proof=Proof(OPENAI_CHAT, "own")),)


def test_a_copy_on_a_call_is_used_only_where_the_details_did_not_come_back() -> None:
    calls = [function("a", "f", "{}", **carried(THOUGHT))]
    details = [{"type": "reasoning.text", "text": "", "signature": wrap(THOUGHT), "index": 0}]
    expected = (Reasoning("", THOUGHT), Text("x"), ToolCall("a", "f", "{}"))
    assert assistant(content="x", tool_calls=calls, reasoning_details=details) == expected
    assert assistant(content="x", tool_calls=calls) == expected


@pytest.mark.parametrize("extra", [None, 5, {}, {"google": None}, {"google": {"thought_signature": 5}}])
def test_extra_content_of_any_other_form_is_nothing(extra: Any) -> None:
    assert assistant(tool_calls=[function("a", "f", "{}", extra_content=extra)]) == (ToolCall("a", "f", "{}"),)
