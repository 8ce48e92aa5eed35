"""Messages requests as neutral ones: the conversation."""

import pytest

from tests.unit.protocol.anthropic.anthropic_reading import CACHE, HOUR, PDF, PNG, bad_block, parts, read, refused
from trunkline.protocol.anthropic.request_reader import read_request
from trunkline.protocol.fidelity import Feature
from trunkline.protocol.model import (
    CacheMark,
    File,
    Image,
    Proof,
    Reasoning,
    Request,
    Role,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from trunkline.protocol.proof import wrap

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
