"""Reading a generateContent request into a neutral one: tools, settings, the rest."""

import json

import pytest

from tests.unit.protocol.gemini.gemini_requests import HI, read, refused
from trunkline.core.errors import FaultError
from trunkline.protocol.fidelity import Feature
from trunkline.protocol.gemini.request_reader import read_request
from trunkline.protocol.model import (
    Effort,
    Format,
    OutputFormat,
    Sampling,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolMode,
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
