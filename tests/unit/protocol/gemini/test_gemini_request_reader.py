"""Reading a generateContent request into a neutral one."""

import base64
import json

import pytest

from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol.fidelity import Feature
from trunkline.protocol.gemini import signature
from trunkline.protocol.gemini.request_reader import read_request
from trunkline.protocol.model import (
    Audio,
    Effort,
    File,
    Format,
    Image,
    OutputFormat,
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

HI = {"parts": [{"text": "hi"}]}
USER, MODEL = Role.USER, Role.ASSISTANT


def read(*contents: object, **members: object) -> Request:
    return read_request(json.dumps({"contents": contents or [HI], **members}).encode(), stream=False)


def refused(*contents: object, **members: object) -> Fault:
    with pytest.raises(FaultError) as caught:
        read(*contents, **members)
    assert caught.value.fault.type is ErrorType.CLIENT_BAD_REQUEST
    return caught.value.fault


def user(*parts: object) -> dict[str, object]:
    return {"role": "user", "parts": list(parts)}


def model(*parts: object) -> dict[str, object]:
    return {"role": "model", "parts": list(parts)}


def only_parts(*parts: object) -> tuple[object, ...]:
    (turn,) = read(user(*parts)).turns
    return turn.parts


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


# --- tools -------------------------------------------------------------------------------------------------------


def test_functions_of_all_tools_and_both_kinds_of_schema() -> None:
    request = read(
        tools=[
            {
                "functionDeclarations": [
                    {"name": "a", "description": "A.", "parameters": {"type": "OBJECT", "properties": {}}},
                    {"name": "b", "parametersJsonSchema": {"type": "OBJECT"}},
                ]
            },
            {"functionDeclarations": [{"name": "c"}], "googleSearch": {}},
            {"url_context": {}, "codeExecution": None},
        ]
    )
    assert request.tools == (
        Tool("a", "A.", b'{"type":"object","properties":{}}'),
        Tool("b", "", b'{"type": "OBJECT"}'),
        Tool("c"),
    )
    assert request.features == (Feature.TOOL_BUILT_IN,)


@pytest.mark.parametrize(
    ("tools", "param"),
    [
        (5, "tools"),
        ([{"functionDeclarations": [{"description": "x"}]}], "tools[0].functionDeclarations[0].name"),
        ([{"functionDeclarations": [{"name": "f", "parameters": 5}]}], "tools[0].functionDeclarations[0].parameters"),
        ([{"functionDeclarations": {}}], "tools[0].functionDeclarations"),
        ([{"functionDeclarations": [{"name": 5}]}], "tools[0].functionDeclarations[0].name"),
    ],
)
def test_a_tool_that_cannot_be_understood_is_named(tools: object, param: str) -> None:
    assert refused(tools=tools).param == param


@pytest.mark.parametrize(
    ("config", "choice"),
    [
        ({"mode": "AUTO"}, ToolChoice(ToolMode.AUTO)),
        ({"mode": "any"}, ToolChoice(ToolMode.REQUIRED)),
        ({"mode": 2, "allowedFunctionNames": ["f"]}, ToolChoice(ToolMode.REQUIRED, ("f",))),
        ({"mode": "NONE"}, ToolChoice(ToolMode.NONE)),
        ({"mode": "VALIDATED", "allowedFunctionNames": ["f"]}, ToolChoice(ToolMode.AUTO, ("f",))),
        ({"allowedFunctionNames": ["f"]}, ToolChoice(ToolMode.AUTO, ("f",))),
        ({"mode": "MODE_UNSPECIFIED"}, None),
        ({}, None),
    ],
)
def test_whether_tools_are_called(config: object, choice: ToolChoice | None) -> None:
    assert read(toolConfig={"functionCallingConfig": config}).tool_choice == choice


def test_an_unknown_mode_is_refused_and_other_members_are_extras() -> None:
    fault = refused(toolConfig={"functionCallingConfig": {"mode": "X"}})
    assert fault.param == "toolConfig.functionCallingConfig.mode"
    assert read(tool_config={"retrieval_config": {}}).extras == ("toolConfig.retrievalConfig",)


# --- generationConfig --------------------------------------------------------------------------------------------


def test_all_of_sampling_and_limits() -> None:
    request = read(
        generationConfig={
            "temperature": 0.5,
            "topP": 0.9,
            "topK": 40.0,
            "candidateCount": 2,
            "maxOutputTokens": "100",
            "stopSequences": ["a", "b"],
            "presencePenalty": 0.1,
            "frequencyPenalty": 1,
            "seed": 7,
            "responseLogprobs": True,
            "logprobs": 3,
        }
    )
    assert request.sampling == Sampling(0.5, 0.9, 40, 1, 0.1, 7)
    assert (request.max_output, request.stop, request.choices, request.logprobs) == (100, ("a", "b"), 2, 3)
    assert read(generationConfig={"responseLogprobs": True}).logprobs == 0
    assert read(generationConfig={"logprobs": 3}).logprobs is None


@pytest.mark.parametrize(
    ("config", "output"),
    [
        ({"responseMimeType": "text/plain"}, OutputFormat(Format.TEXT)),
        ({"responseMimeType": "application/json"}, OutputFormat(Format.JSON)),
        (
            {"responseMimeType": "application/json", "responseSchema": {"type": "STRING"}},
            OutputFormat(Format.SCHEMA, schema=b'{"type":"string"}'),
        ),
        ({"responseJsonSchema": {"type": "string"}}, OutputFormat(Format.SCHEMA, schema=b'{"type": "string"}')),
    ],
)
def test_the_form_of_the_answer(config: object, output: OutputFormat) -> None:
    assert read(generationConfig=config).output == output


@pytest.mark.parametrize(
    ("config", "thinking"),
    [
        ({"thinkingLevel": "high", "includeThoughts": True}, Thinking(effort=Effort.HIGH, show=True)),
        ({"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}, Thinking()),
        ({"thinkingBudget": 0}, Thinking(budget=0)),
        ({"thinkingBudget": -1, "includeThoughts": False}, Thinking(budget=-1, show=False)),
    ],
)
def test_how_much_to_think(config: object, thinking: Thinking) -> None:
    assert read(generationConfig={"thinkingConfig": config}).thinking == thinking


@pytest.mark.parametrize(
    ("config", "param"),
    [
        ({"thinkingConfig": {"thinkingLevel": "LOW", "thinkingBudget": 5}}, "thinkingConfig"),
        ({"thinkingConfig": {"thinkingLevel": "HUGE"}}, "thinkingConfig.thinkingLevel"),
        ({"topK": 1.5}, "topK"),
        ({"maxOutputTokens": "x"}, "maxOutputTokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"stopSequences": [1]}, "stopSequences[0]"),
        ({"responseMimeType": "text/x.enum"}, "responseMimeType"),
        ({"responseSchema": 5}, "responseSchema"),
        ({"responseFormat": [{"text": {}}]}, "responseFormat"),
    ],
)
def test_a_setting_that_cannot_be_understood_is_named(config: object, param: str) -> None:
    assert refused(generationConfig=config).param == f"generationConfig.{param}"


@pytest.mark.parametrize(
    ("config", "features"),
    [
        ({"responseModalities": ["TEXT"]}, ()),
        ({"responseModalities": ["TEXT", "IMAGE"]}, (Feature.IMAGE_OUTPUT,)),
        ({"responseModalities": [3]}, (Feature.AUDIO_OUTPUT,)),
        ({"speechConfig": {}}, (Feature.AUDIO_OUTPUT,)),
        ({"imageConfig": {}}, (Feature.IMAGE_OUTPUT,)),
    ],
)
def test_media_in_the_answer_are_features(config: object, features: tuple[Feature, ...]) -> None:
    assert read(generationConfig=config).features == features


# --- the rest ----------------------------------------------------------------------------------------------------


def test_what_the_neutral_form_lacks_is_a_feature_or_an_extra() -> None:
    request = read(
        safetySettings=[{"category": 1}],
        cachedContent="cachedContents/x",
        labels={"a": "b"},
        store=True,
        continuationToken="x",
        serviceTier="flex",
        model="models/x",
        fallback_models=["y"],
        newField=1,
        generationConfig={"mediaResolution": "LOW", "new_setting": 1},
    )
    assert set(request.features) == {
        *(Feature.SAFETY_SETTINGS, Feature.CACHED_CONTENT, Feature.METADATA, Feature.STORE, Feature.STATE),
    }
    assert request.service_tier == "flex"
    assert request.extras == ("newField", "generationConfig.mediaResolution", "generationConfig.newSetting")


def test_empty_and_null_members_say_nothing() -> None:
    request = read(
        safetySettings=[],
        cachedContent="",
        labels={},
        store=None,
        systemInstruction=None,
        tools=None,
        toolConfig=None,
        generationConfig={"responseFormat": []},
        serviceTier=None,
    )
    assert request == read()


def test_lone_surrogates_are_read() -> None:
    body = rb'{"contents":[{"parts":[{"text":"a\ud83d"}]}],"system_instruction":"b\udc00"}'
    request = read_request(body, stream=False)
    assert request.turns[0].parts == (Text("a\ufffd"),)
    assert request.instructions == (Text("b\ufffd"),)


@pytest.mark.parametrize("contents", [5, "hi", [5], [[HI]], [{"parts": 5}], [{"parts": [5]}], [{"role": 5}]])
def test_contents_of_another_form_are_refused(contents: object) -> None:
    with pytest.raises(FaultError) as caught:
        read_request(json.dumps({"contents": contents}).encode(), stream=False)
    assert (caught.value.fault.param or "").startswith("contents")
