"""A Responses request as the neutral one: the conversation."""

import base64

import pytest

from tests.unit.protocol.openai_responses.responses_requests import (
    HI,
    PNG,
    call,
    output,
    parts,
    read,
    result,
    turns,
    user,
)
from trunkline.protocol.fidelity import Feature
from trunkline.protocol.model import (
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
from trunkline.protocol.openai_responses import carried_proof
from trunkline.protocol.openai_responses.history_reader import HOSTED_SUMMARY_CHARS_MAX
from trunkline.protocol.openai_responses.request_reader import read_request

# --- messages --------------------------------------------------------------------------------------------------


def test_a_bare_text_is_one_user_turn() -> None:
    assert read() == Request(turns=(user("hi"),))


def test_messages_keep_their_order_and_their_borders() -> None:
    items = (
        HI,
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "text"}]},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": []},
    )
    expected = (user("hi"), user("a", ""), Turn(Role.ASSISTANT, (Text("b"),)), Turn(Role.USER, ()))
    assert turns(*items) == expected


def test_instructions_are_the_field_and_the_leading_messages() -> None:
    items = [
        {"role": "developer", "content": "b"},
        {"role": "system", "content": [{"type": "input_text", "text": "c"}]},
        HI,
        {"role": "developer", "content": "d"},
    ]
    request = read(items, instructions="a")
    assert request.instructions == (Text("a"), Text("b"), Text("c"))
    assert request.turns == (user("hi"), Turn(Role.SYSTEM, (Text("d"),)))


def test_an_answer_of_the_model_is_read_with_its_refusal() -> None:
    content = [{"type": "output_text", "text": "a", "annotations": []}, {"type": "refusal", "refusal": "no"}]
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}
    assert turns(message) == (Turn(Role.ASSISTANT, (Text("a"), Refusal("no"))),)


def test_the_phase_of_a_message_is_reported() -> None:
    assert read([{"role": "assistant", "content": "a", "phase": "commentary"}, HI]).extras == ("input.phase",)


def test_images_by_url_and_by_data() -> None:
    assert parts(
        {"type": "input_image", "image_url": "https://x/a.png", "detail": "low"},
        {"type": "input_image", "image_url": f"data:image/jpeg;base64,{PNG}"},
    ) == (Image(url="https://x/a.png", detail="low"), Image(data=PNG, media_type="image/png"))


def test_files_by_url_by_data_and_as_text() -> None:
    pdf = base64.b64encode(b"%PDF-1.7").decode()
    assert parts(
        {"type": "input_file", "file_url": "https://x/a.pdf"},
        {"type": "input_file", "file_data": f"data:application/pdf;base64,{pdf}", "filename": "a.pdf"},
        {"type": "input_file", "file_data": pdf},
        {"type": "input_file", "file_data": "YSBi", "filename": "a.csv"},
        {"type": "input_file", "file_data": "data:text/plain;base64,w6k=", "filename": "a.txt"},
    ) == (
        File(url="https://x/a.pdf"),
        File(data=pdf, media_type="application/pdf", name="a.pdf"),
        File(data=pdf, media_type="application/pdf"),
        File(data="YSBi", media_type="text/csv", name="a.csv"),
        File(text="é", media_type="text/plain", name="a.txt"),
    )


@pytest.mark.parametrize("kind", ["input_image", "input_file"])
def test_a_file_id_belongs_to_another_account(kind: str) -> None:
    request = read([{"role": "user", "content": [{"type": kind, "file_id": "file-1"}]}])
    assert request.features == (Feature.FILE_ID,)


def test_breakpoints_of_the_cache_are_kept() -> None:
    assert parts(
        {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "input_text", "text": "b", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}},
    ) == (Text("a", CacheMark.SHORT), Text("b", CacheMark.LONG))


# --- calls and results -----------------------------------------------------------------------------------------


def test_parallel_calls_are_one_turn_and_their_results_another() -> None:
    items = (HI, call("a", "f"), call("b", "g"), output("a"), output("b"), {"role": "assistant", "content": "x"})
    assert turns(*items) == (
        user("hi"),
        Turn(Role.ASSISTANT, (ToolCall("a", "f", "{}"), ToolCall("b", "g", "{}"))),
        Turn(Role.USER, (result("a", "f"), result("b", "g"))),
        Turn(Role.ASSISTANT, (Text("x"),)),
    )


def test_calls_one_after_another_are_turns_of_their_own() -> None:
    assert turns(call("a"), output("a"), call("b"), output("b")) == (
        Turn(Role.ASSISTANT, (ToolCall("a", "f", "{}"),)),
        Turn(Role.USER, (result("a"),)),
        Turn(Role.ASSISTANT, (ToolCall("b", "f", "{}"),)),
        Turn(Role.USER, (result("b"),)),
    )


def test_results_stand_together_behind_their_calls_whatever_is_between() -> None:
    assert turns(call("a"), call("b"), HI, output("a"), HI, output("b")) == (
        Turn(Role.ASSISTANT, (ToolCall("a", "f", "{}"), ToolCall("b", "f", "{}"))),
        Turn(Role.USER, (result("a"), result("b"))),
        user("hi"),
        user("hi"),
    )


def test_reasoning_words_and_calls_of_one_group_are_one_turn() -> None:
    reasoning = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
    message = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "look"}]}
    assert turns(reasoning, message, call("a"), output("a"))[0] == Turn(
        Role.ASSISTANT,
        (
            Reasoning(proof=Proof("openai-responses", "gAAA"), redacted=True),
            Text("look"),
            ToolCall("a", "f", "{}"),
        ),
    )


@pytest.mark.parametrize("arguments", ['{"n":12345678901234567890123.50}', "", '{"cut":', "{ }"])
def test_arguments_are_kept_as_source_text(arguments: str) -> None:
    assert turns(call("a", arguments=arguments))[0].parts == (ToolCall("a", "f", arguments),)


def test_an_object_for_arguments_is_taken_as_it_stands() -> None:
    body = b'{"input":[{"type":"function_call","call_id":"a","name":"f","arguments":{ "n":1.50 }}]}'
    assert read_request(body, stream=False).turns[0].parts == (ToolCall("a", "f", '{ "n":1.50 }'),)


def test_custom_tools_take_text() -> None:
    items = (
        {"type": "custom_tool_call", "call_id": "a", "name": "run", "input": "ls"},
        {"type": "custom_tool_call_output", "call_id": "a", "output": "files"},
    )
    assert turns(*items) == (
        Turn(Role.ASSISTANT, (ToolCall("a", "run", "ls", custom=True),)),
        Turn(Role.USER, (ToolResult("a", "run", (Text("files"),), custom=True),)),
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", (Text(""),)),
        (None, ()),
        ([], ()),
        ({"a": 1}, (Text('{"a": 1}'),)),
        (
            [{"type": "input_text", "text": "a"}, {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}],
            (Text("a"), Image(data=PNG, media_type="image/png")),
        ),
    ],
)
def test_a_result_is_a_text_or_parts(value: object, expected: tuple[Part, ...]) -> None:
    assert turns(call("a"), output("a", value))[1].parts == (ToolResult("a", "f", expected),)  # type: ignore[arg-type] # texts and images


# --- reasoning ---------------------------------------------------------------------------------------------------


def reasoning(**members: object) -> tuple[Part, ...]:
    found = turns({"type": "reasoning", "id": "rs_1", **members})
    return found[0].parts if found else ()


def test_a_summary_and_its_proof() -> None:
    summary = [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}]
    assert reasoning(summary=summary, encrypted_content="gAAA") == (
        Reasoning("a\n\nb", Proof("openai-responses", "gAAA")),
    )


def test_raw_reasoning_is_read_where_there_is_no_summary() -> None:
    content = [{"type": "reasoning_text", "text": "a"}]
    assert reasoning(summary=[], content=content) == (Reasoning("a"),)


def test_reasoning_that_says_nothing_is_left_out() -> None:
    assert reasoning(summary=[]) == ()


@pytest.mark.parametrize("redacted", [True, False])
def test_another_providers_proof_is_unwrapped_and_what_was_hidden_stays_so(redacted: bool) -> None:
    proof = Proof("anthropic", "sig")
    summary = [] if redacted else [{"type": "summary_text", "text": ""}]
    found = reasoning(summary=summary, encrypted_content=carried_proof.shown(proof))
    assert found == (Reasoning("", proof, redacted=redacted),)


def test_a_calls_proof_goes_back_to_its_call() -> None:
    proof = Proof("gemini", "sig")
    carrier = {"type": "reasoning", "summary": [], "encrypted_content": carried_proof.shown_before_call(proof)}
    assert turns(carrier, call("a"), call("b"))[0].parts == (
        ToolCall("a", "f", "{}", proof=proof),
        ToolCall("b", "f", "{}"),
    )
    assert turns(carrier, HI, call("a"))[1].parts == (ToolCall("a", "f", "{}"),)


# --- hosted tools ------------------------------------------------------------------------------------------------


def test_a_hosted_call_in_history_becomes_a_text() -> None:
    item = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"query": "x"}}
    request = read([HI, item, {"role": "assistant", "content": "a"}])
    words = (
        '[web_search_call] {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"query": "x"}}'
    )
    assert request.turns == (user("hi"), Turn(Role.ASSISTANT, (Text(words), Text("a"))))
    assert request.extras == ("input.web_search_call",)


def test_what_the_client_did_for_a_hosted_tool_is_the_users() -> None:
    (turn,) = turns({"type": "local_shell_call_output", "id": "c", "output": "x"})
    assert turn.role is Role.USER


def test_a_hosted_calls_text_is_short_and_without_its_picture() -> None:
    picture = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "QUJD" * 5000}
    (part,) = turns(picture)[0].parts
    assert isinstance(part, Text)
    assert part.text.endswith('"result": ""}')
    (long,) = turns({"type": "code_interpreter_call", "id": "ci_1", "code": "x " * 5000})[0].parts
    assert isinstance(long, Text)
    assert len(long.text) == len("[code_interpreter_call] ") + HOSTED_SUMMARY_CHARS_MAX


@pytest.mark.parametrize("tool", [{"type": "web_search"}, {"type": "mcp", "server_label": "x"}, {"type": "namespace"}])
def test_a_hosted_tool_is_reported(tool: object) -> None:
    assert read(tools=[tool]).features == (Feature.TOOL_BUILT_IN,)
