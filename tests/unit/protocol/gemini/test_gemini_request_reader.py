"""Reading a generateContent request into a neutral one: the conversation."""

import base64

import pytest

from tests.unit.protocol.gemini.gemini_requests import HI, MODEL, USER, model, only_parts, read, refused, user
from trunkline.protocol.fidelity import Feature
from trunkline.protocol.gemini import signature
from trunkline.protocol.gemini.request_reader import read_request
from trunkline.protocol.model import (
    Audio,
    File,
    Image,
    Proof,
    Reasoning,
    Request,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)

# --- turns -------------------------------------------------------------------------------------------------------


def test_the_least_request() -> None:
    assert read() == Request(turns=(Turn(USER, (Text("hi"),)),))
    body = b'{"contents":{"parts":{"text":"hi"}}}'
    assert read_request(body, stream=True) == Request(turns=(Turn(USER, (Text("hi"),)),), stream=True)


def test_roles_are_user_model_function_or_none() -> None:
    turns = read(HI, model({"text": "a"}), {"role": "function", "parts": [{"text": "b"}]}).turns
    assert [turn.role for turn in turns] == [USER, MODEL, USER]
    assert refused({"role": "system", "parts": []}).param == "contents[0].role"


def test_pieces_of_a_stream_that_come_back_are_one_turn_and_one_text() -> None:
    turns = read(
        HI,
        model({"text": "t", "thought": True}),
        model({"text": "u", "thought": True}),
        model({"text": "Hel"}),
        model({"text": "lo"}, {"text": ""}),
        user({"text": "a"}),
        user({"text": "b"}),
    ).turns
    assert turns == (
        Turn(USER, (Text("hi"),)),
        Turn(MODEL, (Reasoning("tu"), Text("Hello"))),
        Turn(USER, (Text("a"),)),
        Turn(USER, (Text("b"),)),
    )


@pytest.mark.parametrize(
    "system",
    [
        "Be kind.",
        {"parts": {"text": "Be kind."}},
        {"role": "user", "parts": [{"text": "Be kind."}]},
        {"parts": [{"text": "Be kind."}, {"text": "And short."}]},
    ],
)
def test_instructions_are_a_content_or_a_bare_string(system: object) -> None:
    for name in ("systemInstruction", "system_instruction"):
        instructions = read(**{name: system}).instructions
        assert instructions[0] == Text("Be kind.")
        assert len(instructions) == (2 if "short" in str(system) else 1)


def test_instructions_must_be_texts() -> None:
    fault = refused(systemInstruction={"parts": [{"inlineData": {}}]})
    assert fault.param == "systemInstruction.parts[0]"


# --- spelling ----------------------------------------------------------------------------------------------------


def test_both_spellings_are_read_at_every_level_and_the_clients_keys_stay() -> None:
    snake = read(
        user({"inline_data": {"mime_type": "image/png", "data": "AAAA"}}),
        model({"function_call": {"name": "f", "args": {"max_items": 1, "any_of": {"mime_type": 2}}}}),
        user({"function_response": {"name": "f", "response": {"display_name": "x", "inline_data": 1}}}),
        tools=[{"function_declarations": [{"name": "f", "parameters_json_schema": {"max_items": {"min_items": 1}}}]}],
        tool_config={"function_calling_config": {"mode": "ANY", "allowed_function_names": ["f"]}},
        generation_config={"max_output_tokens": 7, "thinking_config": {"include_thoughts": True}, "top_k": 3},
        cached_content="c",
        safety_settings=[{}],
    )
    camel = read(
        user({"inlineData": {"mimeType": "image/png", "data": "AAAA"}}),
        model({"functionCall": {"name": "f", "args": {"max_items": 1, "any_of": {"mime_type": 2}}}}),
        user({"functionResponse": {"name": "f", "response": {"display_name": "x", "inline_data": 1}}}),
        tools=[{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"max_items": {"min_items": 1}}}]}],
        toolConfig={"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        generationConfig={"maxOutputTokens": 7, "thinkingConfig": {"includeThoughts": True}, "topK": 3},
        cachedContent="c",
        safetySettings=[{}],
    )
    assert snake == camel
    assert snake.tools[0].schema == b'{"max_items": {"min_items": 1}}'
    (call,) = (part for part in snake.turns[1].parts if isinstance(part, ToolCall))
    assert call.arguments == '{"max_items": 1, "any_of": {"mime_type": 2}}'
    assert snake.max_output == 7
    assert snake.features == (Feature.CACHED_CONTENT, Feature.SAFETY_SETTINGS)


# --- media -------------------------------------------------------------------------------------------------------


def inline(kind: str, data: str) -> dict[str, object]:
    return {"inlineData": {"mimeType": kind, "data": data}}


def test_media_by_its_type() -> None:
    words = base64.b64encode("Grüße".encode()).decode()
    assert only_parts(
        inline("image/heic", "AAAA"),
        inline("application/pdf", "AAAA"),
        inline("audio/wav", "AAAA"),
        inline("text/plain; charset=utf-8", words),
        inline("text/csv", words),
        inline("application/rtf", "AAAA"),
    ) == (
        Image(data="AAAA", media_type="image/heic"),
        File(data="AAAA", media_type="application/pdf"),
        Audio("AAAA", "audio/wav"),
        File(text="Grüße"),
        File(text="Grüße", media_type="text/csv"),
        File(data="AAAA", media_type="application/rtf"),
    )


def test_base64_comes_in_either_alphabet_and_the_bytes_tell_the_type() -> None:
    assert only_parts(inline("image/jpeg", "iVBORw0KGgo_-w\n ==")) == (
        Image(data="iVBORw0KGgo/+w==", media_type="image/png"),
    )


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ({"fileUri": "https://x.org/a.png?b=c"}, Image(url="https://x.org/a.png?b=c")),
        ({"fileUri": "https://x.org/a", "mimeType": "image/webp"}, Image(url="https://x.org/a")),
        ({"fileUri": "https://x.org/a.pdf"}, File(url="https://x.org/a.pdf", media_type="application/pdf")),
        ({"fileUri": "https://x.org/a"}, File(url="https://x.org/a")),
        ({"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/x"}, Feature.FILE_ID),
        ({"fileUri": "gs://b/a.png", "mimeType": "image/png"}, Feature.FILE_ID),
        ({"fileUri": "https://x.org/a.mp3", "mimeType": "audio/mpeg"}, Feature.FILE_ID),
        ({"fileUri": "https://www.youtube.com/watch?v=1"}, Feature.VIDEO_INPUT),
        ({"fileUri": "https://x.org/a.mp4", "mimeType": "video/mp4"}, Feature.VIDEO_INPUT),
    ],
)
def test_files_by_their_uri(file: object, expected: object) -> None:
    request = read(user({"fileData": file}, {"text": "?"}))
    if isinstance(expected, Feature):
        assert (request.features, request.turns[0].parts) == ((expected,), (Text("?"),))
    else:
        assert (request.features, request.turns[0].parts) == ((), (expected, Text("?")))


def test_what_only_google_runs_is_a_feature() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "1"}}
    assert read(user(inline("video/mp4", "AAAA"))).features == (Feature.VIDEO_INPUT,)
    assert read(model(code, {"codeExecutionResult": {}}, {"toolCall": {}})).features == (Feature.TOOL_BUILT_IN,)


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({}, "contents[0].parts[0]"),
        ({"newKind": {}}, "contents[0].parts[0]"),
        ({"text": 5}, "contents[0].parts[0].text"),
        (inline("", "AAAA"), "contents[0].parts[0].inlineData"),
        (inline("image/png", ""), "contents[0].parts[0].inlineData"),
        (inline("text/plain", "/w=="), "contents[0].parts[0].inlineData.data"),
        ({"fileData": {}}, "contents[0].parts[0].fileData"),
        ({"fileData": {"fileUri": "http://[x"}}, "contents[0].parts[0].fileData.fileUri"),
        ({"functionCall": {"args": {}}}, "contents[0].parts[0].functionCall.name"),
        ({"functionCall": {"name": "f", "args": "x"}}, "contents[0].parts[0].functionCall.args"),
        ({"functionResponse": {"response": {}}}, "contents[0].parts[0].functionResponse.name"),
    ],
)
def test_a_part_that_cannot_be_understood_is_named(part: object, param: str) -> None:
    assert refused(user(part)).param == param


# --- calls and results -------------------------------------------------------------------------------------------


def call(name: str, **members: object) -> dict[str, object]:
    return {"functionCall": {"name": name, "args": {}, **members}}


def result(name: str, response: object = None, **members: object) -> dict[str, object]:
    return {"functionResponse": {"name": name, "response": response or {"output": "ok"}, **members}}


def joined(request: Request) -> tuple[list[str], list[tuple[str, str]]]:
    """Ids of the calls, and ids and names of the results."""
    parts = [part for turn in request.turns for part in turn.parts]
    calls = [part.id for part in parts if isinstance(part, ToolCall)]
    return calls, [(part.id, part.name) for part in parts if isinstance(part, ToolResult)]


def test_ids_join_calls_and_results_in_any_order() -> None:
    calls, results = joined(
        read(HI, model(call("f", id="1"), call("g", id="2")), user(result("g", id="2"), result("", id="1")))
    )
    assert (calls, results) == (["1", "2"], [("2", "g"), ("1", "f")])


def test_without_ids_results_find_their_calls_by_name_in_order() -> None:
    history = (HI, model(call("f"), call("g"), call("f")), user(result("g"), result("f"), result("f")))
    calls, results = joined(read(*history))
    assert results == [(calls[1], "g"), (calls[0], "f"), (calls[2], "f")]
    assert len(set(calls)) == 3
    # The same history gives the same ids, also when it goes on.
    assert joined(read(*history, model(call("f")), user(result("f"))))[0][:3] == calls


def test_a_result_belongs_to_the_last_group_of_calls() -> None:
    calls, results = joined(read(HI, model(call("f")), user({"text": "no"}), model(call("f")), user(result("f"))))
    assert results == [(calls[1], "f")]


def test_a_result_with_an_unknown_id_is_matched_by_its_name_and_an_orphan_keeps_its_own() -> None:
    calls, results = joined(read(HI, model(call("f")), user(result("f", id="x"), result("h", id="y"), result("k"))))
    assert results[:2] == [(calls[0], "f"), ("y", "h")]
    assert results[2][1] == "k"
    assert results[2][0].startswith("call_")


@pytest.mark.parametrize(
    ("response", "text", "failed"),
    [
        ({"output": "x"}, "x", False),
        ({"result": {"a": 1}}, '{"a": 1}', False),
        ({"error": "bad"}, "bad", True),
        ({"output": "x", "more": 1}, '{"output": "x", "more": 1}', False),
        ({"a": 1}, '{"a": 1}', False),
        ({"output": ""}, "", False),
    ],
)
def test_results_are_texts(response: object, text: str, failed: bool) -> None:
    part = read(HI, model(call("f", id="1")), user(result("f", response, id="1"))).turns[2].parts[0]
    assert part == ToolResult("1", "f", (Text(text),), failed)


def test_pictures_in_results_are_kept() -> None:
    parts = [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}, {"fileData": {"fileUri": "https://x/a.pdf"}}]
    part = read(HI, model(call("f", id="1")), user(result("f", parts=parts))).turns[2].parts[0]
    assert isinstance(part, ToolResult)
    assert part.parts == (
        Text("ok"),
        Image(data="AAAA", media_type="image/png"),
        File(url="https://x/a.pdf", media_type="application/pdf"),
    )


def test_arguments_stay_source_text() -> None:
    body = (
        b'{"contents":[{"role":"model","parts":[{"functionCall":{"name":"f","args":{"n": 12345678901234567890.10}}}]}]}'
    )
    part = read_request(body, stream=False).turns[0].parts[0]
    assert isinstance(part, ToolCall)
    assert part.arguments == '{"n": 12345678901234567890.10}'
    bare = read(model({"functionCall": {"name": "f"}})).turns[0].parts[0]
    assert isinstance(bare, ToolCall)
    assert bare.arguments == ""


# --- proofs ------------------------------------------------------------------------------------------------------


def test_signatures_come_back_as_proofs_in_their_place() -> None:
    foreign = Proof("anthropic", "sig")
    own = Proof("gemini", "S1")
    parts = (
        read(
            HI,
            model(
                {"text": "t", "thought": True},
                {"text": "", "thought": True, "thoughtSignature": signature.shown(foreign)},
                {"text": "a", "thoughtSignature": "S1"},
                {"text": "", "thoughtSignature": "S1"},
                {**call("f", id="1"), "thoughtSignature": "S1"},
                {**call("g", id="2"), "thoughtSignature": "skip_thought_signature_validator"},
            ),
        )
        .turns[1]
        .parts
    )
    assert parts == (
        Reasoning("t", foreign),
        Text("a"),
        Reasoning(proof=own, redacted=True),
        Reasoning(proof=own, redacted=True),
        ToolCall("1", "f", "{}", proof=own),
        ToolCall("2", "g", "{}"),
    )
