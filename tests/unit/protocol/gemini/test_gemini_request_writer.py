"""Writing a neutral request for a Gemini upstream."""

import base64
import json
from typing import Any

import pytest

from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol.dialect import Written
from trunkline.protocol.fidelity import Crossing, Feature
from trunkline.protocol.gemini.request_writer import write_request
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
from trunkline.protocol.names import GEMINI, OPENAI_CHAT
from trunkline.protocol.vendor import DEFAULTS

PRO, OLD = "gemini-3-pro", "gemini-2.5-flash"
USER, MODEL = Role.USER, Role.ASSISTANT
HI = Turn(USER, (Text("hi"),))


def written(request: Request, model: str = OLD) -> tuple[Written, str]:
    crossing = Crossing(OPENAI_CHAT, GEMINI)
    result = write_request(request, crossing, model, DEFAULTS)
    return result, crossing.header()


def write(request: Request, model: str = OLD, *, lost: str = "") -> Any:
    result, header = written(request, model)
    assert header == lost
    return json.loads(result.body)


def contents(*turns: Turn, model: str = OLD, lost: str = "") -> Any:
    return write(Request(turns), model, lost=lost)["contents"]


def refused(request: Request, model: str = OLD) -> Fault:
    with pytest.raises(FaultError) as caught:
        written(request, model)
    assert caught.value.fault.type is ErrorType.CLIENT_BAD_REQUEST
    return caught.value.fault


def user(*parts: Part) -> Turn:
    return Turn(USER, parts)


def model(*parts: Part) -> Turn:
    return Turn(MODEL, parts)


def said(*texts: str, role: str = "user") -> dict[str, object]:
    return {"parts": [{"text": text} for text in texts], "role": role}


# --- turns -------------------------------------------------------------------------------------------------------


def test_the_least_request_is_its_contents() -> None:
    assert write(Request((HI,))) == {"contents": [said("hi")]}


def test_the_same_request_gives_the_same_bytes() -> None:
    call = model(ToolCall("c1", "bad name!", "{}"))
    result = user(ToolResult("c1", "", (Text("x"),)))
    request = Request((HI, call, result), tools=(Tool("bad name!"),))
    assert written(request)[0] == written(request)[0]


def test_instructions_keep_their_blocks() -> None:
    request = Request((HI,), instructions=(Text("A."), Text(""), Text("B.")))
    assert write(request)["systemInstruction"] == {"parts": [{"text": "A."}, {"text": "B."}]}


def test_instructions_midway_stay_in_their_place_and_are_marked() -> None:
    turns = (HI, model(Text("a")), Turn(Role.SYSTEM, (Text("Be brief."),)), user(Text("b")))
    assert contents(*turns, lost="degraded=instructions_midway") == [
        said("hi"),
        said("a", role="model"),
        said("<instructions>\nBe brief.\n</instructions>", "b"),
    ]


def test_neighbours_are_merged_and_empty_turns_dropped() -> None:
    turns = (
        HI,
        user(Text("")),
        user(Text("b")),
        model(),
        model(Text("c"), Text("")),
        model(Text("d")),
        user(Text("e")),
    )
    assert contents(*turns) == [said("hi", "b"), said("c", "d", role="model"), said("e")]


def test_no_text_is_invented_for_an_empty_turn() -> None:
    assert contents(HI, model(Text("")), user(Text("b"))) == [said("hi", "b")]


@pytest.mark.parametrize("turns", [(), (model(Text("a")), HI), (user(Text("")),)])
def test_the_user_must_begin(turns: tuple[Turn, ...]) -> None:
    assert refused(Request(turns)).param == "messages"


def test_a_prefill_is_refused() -> None:
    assert refused(Request((HI, model(Text("a"))))).param == "messages"


def test_names_of_participants_are_a_hint() -> None:
    assert contents(Turn(USER, (Text("hi"),), "Ada"), lost="dropped=participant_name") == [said("hi")]


def test_refusals_are_texts() -> None:
    turns = (HI, model(Refusal("No.")), user(Text("b")))
    assert contents(*turns, lost="degraded=refusal_history")[1] == said("No.", role="model")


# --- media -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "expected", "lost"),
    [
        (Image(data="AAAA", media_type="image/heic"), {"inlineData": {"mimeType": "image/heic", "data": "AAAA"}}, ""),
        (
            Image(data="-_9j\n /9g", media_type="image/tiff"),
            {"inlineData": {"mimeType": "image/tiff", "data": "+/9j/9g="}},
            "",
        ),
        (
            Image(data="/9j/AAA-", media_type="image/png", detail="high"),
            {"inlineData": {"mimeType": "image/jpeg", "data": "/9j/AAA+"}},
            "dropped=image_detail",
        ),
        (
            Image(url="https://x/a.png"),
            {"fileData": {"mimeType": "image/png", "fileUri": "https://x/a.png"}},
            "degraded=image_url",
        ),
        (Image(url="https://x/a"), {"fileData": {"fileUri": "https://x/a"}}, "degraded=image_url"),
        (
            File(data="AAAA", media_type="application/pdf", name="n"),
            {"inlineData": {"mimeType": "application/pdf", "data": "AAAA"}},
            "dropped=file_name",
        ),
        (
            File(text="Grüße"),
            {"inlineData": {"mimeType": "text/plain", "data": base64.b64encode("Grüße".encode()).decode()}},
            "",
        ),
        (
            File(url="https://x/a.pdf"),
            {"fileData": {"mimeType": "application/pdf", "fileUri": "https://x/a.pdf"}},
            "",
        ),
        (Audio("AAAA", "audio/wav"), {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}}, ""),
    ],
)
def test_media(part: Part, expected: object, lost: str) -> None:
    assert contents(user(part), lost=lost)[0]["parts"] == [expected]


def test_words_about_a_file_stand_before_it() -> None:
    parts = contents(
        user(File(text="x", context="From the archive.", citations=True)), lost="degraded=file_context,citations"
    )[0]["parts"]
    assert parts[0] == {"text": "From the archive."}


# --- calls and results -------------------------------------------------------------------------------------------


def call_part(name: str, args: object, call_id: str) -> dict[str, object]:
    return {"functionCall": {"name": name, "args": args, "id": call_id}}


def result_part(name: str, response: object, call_id: str, **members: object) -> dict[str, object]:
    return {"functionResponse": {"name": name, "response": response, "id": call_id, **members}}


def test_calls_and_results_are_joined_and_named() -> None:
    turns = (
        HI,
        model(Text("I look."), ToolCall("c1", "f", '{"a":1}'), ToolCall("c2", "g", "")),
        user(ToolResult("c2", "", (Text("two"),))),
        user(Text("and"), ToolResult("c1", "", (Text("one"),))),
    )
    assert contents(*turns)[1:] == [
        {"parts": [{"text": "I look."}, call_part("f", {"a": 1}, "c1"), call_part("g", {}, "c2")], "role": "model"},
        # All results of a group together, in the order of the calls, before anything else.
        {
            "parts": [
                result_part("f", {"output": "one"}, "c1"),
                result_part("g", {"output": "two"}, "c2"),
                {"text": "and"},
            ],
            "role": "user",
        },
    ]


def test_arguments_stay_source_text() -> None:
    turns = (HI, model(ToolCall("c", "f", ' {"n": 12345678901234567890.10} ')), user(ToolResult("c", "f", ())))
    assert b'"args":{"n": 12345678901234567890.10}' in written(Request(turns))[0].body


@pytest.mark.parametrize("arguments", ['{"a":', "[1]", "null", '"x"'])
def test_arguments_in_history_that_are_no_object_are_refused(arguments: str) -> None:
    turns = (HI, model(ToolCall("call_9", "f", arguments)), user(ToolResult("call_9", "f", ())))
    assert "call_9" in refused(Request(turns)).message


def response(*parts: Text | Image | File, failed: bool = False) -> object:
    turns = (HI, model(ToolCall("c", "f", "{}")), user(ToolResult("c", "f", parts, failed)))
    return contents(*turns)[2]["parts"][0]["functionResponse"]["response"]


def test_a_response_is_always_an_object() -> None:
    assert response(Text('{"a": 1.10}')) == {"a": 1.10}
    assert response(Text("[1]")) == {"output": "[1]"}
    assert response(Text('{"a":')) == {"output": '{"a":'}
    assert response(Text("x"), Text("y")) == {"output": "x\ny"}
    assert response() == {"output": ""}
    assert response(Text("bad"), failed=True) == {"error": "bad"}
    # It would be read as what stands inside.
    assert response(Text('{"error":"x"}')) == {"output": '{"error":"x"}'}


def test_a_result_without_its_call_needs_a_name() -> None:
    assert contents(HI, user(ToolResult("c", "f", ())))[0]["parts"][0] == result_part("f", {"output": ""}, "c")
    assert "`c`" in refused(Request((HI, user(ToolResult("c", "", ()))))).message


PICTURE = Image(data="iVBORw0KGgo=", media_type="image/png")
PICTURE_PART = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}


def test_a_picture_in_a_result_is_carried() -> None:
    turns = (
        HI,
        model(ToolCall("c", "f", "{}", proof=Proof(GEMINI, "S")), ToolCall("d", "g", "{}")),
        user(ToolResult("c", "f", (Text("see"), PICTURE)), ToolResult("d", "g", (Text("x"),))),
    )
    assert contents(*turns, model=PRO)[2]["parts"] == [
        result_part("f", {"output": "see"}, "c", parts=[PICTURE_PART]),
        result_part("g", {"output": "x"}, "d"),
    ]
    # Older models take none there: it stands behind the whole group.
    assert contents(*turns, lost="degraded=tool_result_image")[2]["parts"] == [
        result_part("f", {"output": "see"}, "c"),
        result_part("g", {"output": "x"}, "d"),
        PICTURE_PART,
    ]


# --- reasoning ---------------------------------------------------------------------------------------------------


OWN = Proof(GEMINI, "AbCd")
FOREIGN = Proof("anthropic", "sig")


def test_own_proofs_are_restored_in_their_place() -> None:
    turns = (
        HI,
        model(
            Reasoning("t", OWN),
            Text("a"),
            Reasoning(proof=OWN, redacted=True),
            Reasoning(proof=OWN, redacted=True),
            ToolCall("c", "f", "{}", proof=OWN),
        ),
        user(ToolResult("c", "f", ())),
    )
    assert contents(*turns, model=PRO)[1]["parts"] == [
        {"text": "t", "thought": True, "thoughtSignature": "AbCd"},
        {"text": "a", "thoughtSignature": "AbCd"},
        {"text": "", "thoughtSignature": "AbCd"},
        {**call_part("f", {}, "c"), "thoughtSignature": "AbCd"},
    ]


def test_a_turn_of_nothing_but_a_signature_is_kept() -> None:
    turns = (HI, model(Reasoning(proof=OWN, redacted=True)), user(Text("b")))
    assert contents(*turns)[1]["parts"] == [{"text": "", "thoughtSignature": "AbCd"}]


def test_foreign_proofs_and_bare_reasoning_are_dropped() -> None:
    turns = (HI, model(Reasoning("t", FOREIGN), Text("a")), user(Text("b")))
    assert contents(*turns, lost="degraded=foreign_reasoning_proof")[1] == said("a", role="model")
    turns = (HI, model(Reasoning("t"), Text("a")), user(Text("b")))
    assert contents(*turns, lost="dropped=reasoning_history")[1] == said("a", role="model")


def test_calls_of_the_current_turn_get_a_placeholder_where_the_model_demands_one() -> None:
    turns = (
        HI,
        model(ToolCall("a", "f", "{}")),
        user(ToolResult("a", "f", ())),
        model(Text("done")),
        user(Text("again")),
        model(ToolCall("b", "f", "{}", proof=FOREIGN), ToolCall("c", "f", "{}")),
        user(ToolResult("b", "f", ()), ToolResult("c", "f", ())),
        model(ToolCall("d", "f", "{}", proof=OWN)),
        user(ToolResult("d", "f", ())),
        model(ToolCall("e", "f", "{}")),
        user(ToolResult("e", "f", ())),
    )
    signatures = {
        part["functionCall"]["id"]: part.get("thoughtSignature")
        for content in contents(*turns, model=PRO, lost="degraded=foreign_reasoning_proof")
        for part in content["parts"]
        if "functionCall" in part
    }
    skip = "skip_thought_signature_validator"
    # An earlier turn needs none, of parallel calls only the first, and a model's own is never replaced.
    assert signatures == {"a": None, "b": skip, "c": None, "d": "AbCd", "e": skip}
    assert b"skip_thought" not in written(Request(turns), OLD)[0].body


# --- tools -------------------------------------------------------------------------------------------------------


def test_tools_are_declared_with_their_schema_as_it_is() -> None:
    schema = b'{"type":"object","$schema":"x","properties":{"const":{"const":1.10}},"additionalProperties":false}'
    request = Request((HI,), tools=(Tool("f", "Does.", schema), Tool("g")))
    body = written(request)[0].body
    assert b'{"name":"f","description":"Does.","parametersJsonSchema":' + schema + b"}" in body
    assert json.loads(body)["tools"][0]["functionDeclarations"][1] == {"name": "g"}


def test_names_that_gemini_refuses_are_mapped_and_back() -> None:
    long = "x" * 200
    names = ("good.name:1-a", "1st", "späß!", long, "")
    request = Request((HI,), tools=tuple(Tool(name) for name in names), tool_choice=ToolChoice(ToolMode.AUTO, ("1st",)))
    result, _ = written(request)
    body = json.loads(result.body)
    declared = [tool["name"] for tool in body["tools"][0]["functionDeclarations"]]
    assert [result.names.get(name, name) for name in declared] == list(names)
    assert declared[0] == "good.name:1-a"
    for name in declared[1:]:
        assert len(name) <= 128
        assert name.isascii()
        assert name[0].isalpha() or name[0] == "_"
    assert body["toolConfig"]["functionCallingConfig"]["allowedFunctionNames"] == [declared[1]]


def test_two_tools_of_one_name_are_refused() -> None:
    assert refused(Request((HI,), tools=(Tool("f"), Tool("f")))).param == "tools"


def test_free_form_tools_are_functions_with_one_text() -> None:
    request = Request(
        (HI, model(ToolCall("c", "run!", "ls -l", custom=True)), user(ToolResult("c", "run!", (), custom=True))),
        tools=(Tool("run!", custom=True),),
    )
    result, header = written(request)
    body = json.loads(result.body)
    (tool,) = body["tools"][0]["functionDeclarations"]
    assert tool["parametersJsonSchema"]["properties"] == {"input": {"type": "string"}}
    assert body["contents"][1]["parts"] == [call_part(tool["name"], {"input": "ls -l"}, "c")]
    assert (result.unwrap_field, result.names) == ((tool["name"],), {tool["name"]: "run!"})
    assert header == "degraded=custom_tool"


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        (ToolChoice(ToolMode.AUTO), {"mode": "AUTO"}),
        (ToolChoice(ToolMode.REQUIRED), {"mode": "ANY"}),
        (ToolChoice(ToolMode.NONE), {"mode": "NONE"}),
        (ToolChoice(ToolMode.NONE, ("f",)), {"mode": "NONE"}),
        (ToolChoice(ToolMode.REQUIRED, ("f",)), {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (ToolChoice(ToolMode.AUTO, ("f",)), {"mode": "VALIDATED", "allowedFunctionNames": ["f"]}),
    ],
)
def test_whether_tools_are_called(choice: ToolChoice, config: object) -> None:
    request = Request((HI,), tools=(Tool("f"),), tool_choice=choice)
    assert write(request)["toolConfig"] == {"functionCallingConfig": config}


def test_a_choice_without_tools_and_other_hints_are_dropped() -> None:
    request = Request((HI,), tool_choice=ToolChoice(ToolMode.REQUIRED))
    assert "toolConfig" not in write(request, lost="dropped=tool_choice")
    request = Request((HI,), tools=(Tool("f", strict=True),), parallel_tools=False)
    write(request, lost="degraded=parallel_tools_off; dropped=tool_strict")


# --- settings ----------------------------------------------------------------------------------------------------


def test_all_settings() -> None:
    request = Request(
        (HI,),
        sampling=Sampling(0.5, 0.9, 40, 0.1, 0.2, 7),
        max_output=8000,
        stop=("a", "b"),
        choices=2,
        output=OutputFormat(Format.SCHEMA, "n", schema=b'{"type":"object"}'),
        thinking=Thinking(budget=5000, show=True),
    )
    assert write(request)["generationConfig"] == {
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 40,
        "candidateCount": 2,
        "maxOutputTokens": 8000,
        "stopSequences": ["a", "b"],
        "presencePenalty": 0.2,
        "frequencyPenalty": 0.1,
        "seed": 7,
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "object"},
        "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 5000},
    }


def test_a_level_is_never_written_as_a_budget_where_the_model_has_levels() -> None:
    request = Request((HI,), thinking=Thinking(Effort.HIGH))
    assert write(request, PRO)["generationConfig"] == {"thinkingConfig": {"thinkingLevel": "HIGH"}}


def test_json_without_a_schema_and_pictures_in_the_answer() -> None:
    request = Request((HI,), output=OutputFormat(Format.JSON), features=(Feature.IMAGE_OUTPUT,))
    assert write(request)["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseModalities": ["TEXT", "IMAGE"],
    }


@pytest.mark.parametrize(("tier", "lost"), [("flex", ""), ("auto", ""), ("default", ""), ("scale", "service_tier")])
def test_service_tiers(tier: str, lost: str) -> None:
    body = write(Request((HI,), service_tier=tier), lost=lost and f"dropped={lost}")
    assert body.get("serviceTier") == ("flex" if tier == "flex" else None)


def test_hints_are_reported() -> None:
    request = Request(
        (user(Text("hi", CacheMark.SHORT)),),
        cache_key="k",
        user="u",
        features=(Feature.VERBOSITY,),
        extras=("extra_one",),
    )
    write(request, lost="dropped=verbosity,extra_one,cache_key,user,cache_marks")


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (Request((HI,), stop=tuple("abcdef")), "stop"),
        (Request((HI,), logprobs=0), "logprobs"),
        (Request((HI,), features=(Feature.TOOL_BUILT_IN,)), "tools"),
        (Request((HI,), features=(Feature.LOGIT_BIAS,)), "logit_bias"),
        (Request((HI,), max_output=0), "max_tokens"),
    ],
)
def test_what_would_change_the_answer_is_refused(request_: Request, param: str) -> None:
    assert refused(request_).param == param
