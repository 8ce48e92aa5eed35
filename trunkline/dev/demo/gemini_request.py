"""generateContent requests as the demo upstream reads them, and what it refuses as Google does.

Pure; used by `dev.demo.gemini`. What a conversation must look like is in `dev.demo.gemini_turns`. Members may be
written in camel case or in snake case, also mixed; what is not known is refused, at every depth. Source: the Gemini API
reference, "Generating content".
"""

import re
from collections.abc import Mapping
from typing import Any

from trunkline.dev.demo.gemini_schema import camel, check_schema
from trunkline.dev.demo.gemini_turns import check_turns, last_user_text
from trunkline.dev.demo.request import (
    ANY_TOOL,
    NO_TOOLS,
    Asked,
    RequestError,
    SpeechMaker,
    objects,
    parsed,
    words,
    words_within,
)

Shape = Mapping[str, "Shape | None"]


def _opaque(names: str) -> dict[str, Shape | None]:
    return dict.fromkeys(names.split())


_MEDIA = {"inlineData": _opaque("data displayName mimeType"), "fileData": _opaque("displayName fileUri mimeType")}
_PART: Shape = {
    **_opaque(
        "text thought thoughtSignature executableCode codeExecutionResult toolCall toolResponse videoMetadata "
        "mediaResolution partMetadata"
    ),
    **_MEDIA,
    "functionCall": _opaque("id name args"),
    "functionResponse": {**_opaque("id name response scheduling willContinue"), "parts": _MEDIA},
}
CONTENT: Shape = {"role": None, "parts": _PART}
_DECLARATION = _opaque("name description parameters parametersJsonSchema response responseJsonSchema behavior")
_REQUEST: Shape = {
    **_opaque("cachedContent model safetySettings serviceTier store"),
    "contents": CONTENT,
    "systemInstruction": CONTENT,
    "tools": {
        **_opaque("codeExecution computerUse fileSearch googleMaps googleSearch googleSearchRetrieval urlContext"),
        "functionDeclarations": _DECLARATION,
    },
    "toolConfig": {
        **_opaque("includeServerSideToolInvocations retrievalConfig"),
        "functionCallingConfig": _opaque("mode allowedFunctionNames"),
    },
    "generationConfig": {
        **_opaque(
            "candidateCount enableEnhancedCivicAnswers frequencyPenalty imageConfig logprobs maxOutputTokens "
            "mediaResolution presencePenalty responseFormat responseJsonSchema responseLogprobs responseMimeType "
            "responseModalities responseSchema seed speechConfig stopSequences temperature topK topP"
        ),
        "thinkingConfig": _opaque("includeThoughts thinkingBudget thinkingLevel"),
    },
}
_COUNT: Shape = {"contents": CONTENT, "generateContentRequest": _REQUEST}

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}")
_STOPS_MAX = 5


def read(body_bytes: bytes, model: str, speech: SpeechMaker, *, stream: bool) -> Asked:
    """Return what a request for an answer asks for.

    Args:
        body_bytes: the request's.
        model: of the path.
        speech: writes the answer.
        stream: whether the path asks for a stream.

    Raises:
        RequestError: Google would refuse it.
    """
    return _asked(normal(parsed(body_bytes), _REQUEST, ""), model, speech, stream=stream)


def read_count(body_bytes: bytes, model: str, speech: SpeechMaker) -> Asked:
    """Return what a request to count tokens asks for; arguments and errors as for `read`."""
    body = normal(parsed(body_bytes), _COUNT, "")
    inner = body.get("generateContentRequest")
    if inner is None:
        inner = body
    elif "contents" in body:
        raise RequestError("Only one of contents and generate_content_request may be set.")
    elif not str(inner.get("model", "")).startswith("models/"):
        raise RequestError("* CountTokensRequest.generate_content_request.model: unexpected model name format")
    asked = _asked(inner, model, speech, stream=False)
    count = b'{"totalTokens":%d,"promptTokensDetails":[{"modality":"TEXT","tokenCount":%d}]}'
    return asked._replace(token_count=count % (asked.prompt_tokens, asked.prompt_tokens))


def _asked(body: dict[str, Any], model: str, speech: SpeechMaker, *, stream: bool) -> Asked:
    contents = objects(body.get("contents"), "contents")
    config = body.get("generationConfig") or {}
    tools, choice = _tools(body)
    check_turns(contents, signed=model.partition("?")[0].startswith("gemini-3"))
    _check_config(config)
    schema = _schema(config)
    if schema is not None and tools and model.startswith("gemini-2"):
        raise RequestError("Function calling with a response mime type: 'application/json' is unsupported")
    return Asked(
        model,
        speech,
        _words([body.get("systemInstruction") or {}, *contents]),
        stream=stream,
        limit=config.get("maxOutputTokens"),
        tools=tools,
        choice=choice,
        said=last_user_text(contents),
        schema=schema,
    )


def normal(value: Any, shape: Shape | None, where: str) -> Any:
    """Return a JSON value with the names of members in camel case.

    Raises:
        RequestError: a member is not known.
    """
    if shape is None:
        return value
    if isinstance(value, list):
        return [normal(item, shape, f"{where}[{index}]") for index, item in enumerate(value)]
    if not isinstance(value, dict):
        raise RequestError(f"Invalid value at '{where}': a message is an object")
    found: dict[str, Any] = {}
    for written, member in value.items():
        name = camel(written)
        if name not in shape:
            at = f" at '{where}'" if where else ""
            raise RequestError(f'Invalid JSON payload received. Unknown name "{written}"{at}: Cannot find field.')
        found[name] = normal(member, shape[name], f"{where}.{name}".lstrip("."))
    return found


def _check_config(config: Mapping[str, Any]) -> None:
    thinking = config.get("thinkingConfig") or {}
    if "thinkingLevel" in thinking and "thinkingBudget" in thinking:
        raise RequestError("You can only set only one of thinking budget and thinking level.")
    if len(config.get("stopSequences") or ()) > _STOPS_MAX:
        raise RequestError(f"The number of stop sequences must be at most {_STOPS_MAX}.")
    limit = config.get("maxOutputTokens")
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        raise RequestError("max_output_tokens must be positive.")


# --- Tools and form ----------------------------------------------------------------------------------------------


def _tools(body: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """Return the functions' schemas by name, and the choice among them."""
    found: dict[str, Any] = {}
    for index, tool in enumerate(objects(body.get("tools"), "tools")):
        for number, function in enumerate(tool.get("functionDeclarations") or ()):
            where = f"tools[{index}].function_declarations[{number}]"
            name = function.get("name")
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise RequestError(
                    f"* GenerateContentRequest.{where}.name: Invalid function name. Must start with a letter or an "
                    "underscore."
                )
            if name in found:
                raise RequestError(f"Duplicate function declaration found: {name}")
            found[name] = _parameters(function, where)
    config = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    mode, allowed = str(config.get("mode", "AUTO")).upper(), config.get("allowedFunctionNames") or []
    if allowed and mode not in {"ANY", "VALIDATED"}:
        raise RequestError("Allowed function names should only be set when function calling mode is ANY or VALIDATED.")
    for name in allowed:
        if name not in found:
            raise RequestError(f"Allowed function name '{name}' is not among the function declarations.")
    if mode == "NONE":
        return NO_TOOLS, ""
    offered = {name: found[name] for name in allowed} if allowed else found
    return offered, ANY_TOOL if mode == "ANY" and offered else ""


def _parameters(function: Mapping[str, Any], where: str) -> Any:
    if "parameters" in function and "parametersJsonSchema" in function:
        raise RequestError(f"{where}: only one of parameters and parameters_json_schema may be set.")
    if "parameters" in function:
        check_schema(function["parameters"], f"{where}.parameters")
        return function["parameters"]
    return function.get("parametersJsonSchema") or {}


def _schema(config: Mapping[str, Any]) -> Any:
    schemas = [name for name in ("responseSchema", "responseJsonSchema") if config.get(name) is not None]
    if config.get("responseMimeType") != "application/json":
        if schemas:
            raise RequestError("Response schema is only supported with response mime type 'application/json'.")
        return None
    if len(schemas) > 1:
        raise RequestError("Only one of response_schema and response_json_schema may be set.")
    if "responseSchema" in schemas:
        check_schema(config["responseSchema"], "generation_config.response_schema")
    return config[schemas[0]] if schemas else {}


def _words(contents: list[dict[str, Any]]) -> int:
    count = 0
    for part in [part for content in contents for part in content.get("parts") or ()]:
        if not part.get("thought"):
            count += words(part.get("text"))
        count += words_within((part.get("functionResponse") or {}).get("response"))
    return count
