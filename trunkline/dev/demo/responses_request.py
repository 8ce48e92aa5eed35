"""Responses requests as the demo upstream reads them, and what it refuses as OpenAI does.

Pure; used by `dev.demo.responses`. What an input must look like is in `dev.demo.responses_input`.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from trunkline.dev.demo import openai
from trunkline.dev.demo.completion import Plan
from trunkline.dev.demo.request import ANY_TOOL, NO_TOOLS, Asked, RequestError, Speech, names, objects, parsed, words
from trunkline.dev.demo.responses_input import check_input, input_words, last_user_text

_MEMBERS = names(
    "background context_management conversation include input instructions max_output_tokens max_tool_calls metadata "
    "model moderation parallel_tool_calls previous_response_id prompt prompt_cache_key prompt_cache_options "
    "prompt_cache_retention reasoning safety_identifier service_tier store stream stream_options temperature text "
    "tool_choice tools top_logprobs top_p truncation user"
)
_ENCRYPTED = "reasoning.encrypted_content"


class Echo(NamedTuple):
    """What a response repeats of its request.

    Attributes:
        members: inside of a JSON object.
        encrypted: whether reasoning comes with its encrypted content.
    """

    members: bytes
    encrypted: bool


def read(body_bytes: bytes, speech: Callable[[Plan, Echo], Speech], *, counting: bool) -> Asked:
    """Return what a request asks for.

    Args:
        body_bytes: the request's.
        speech: makes the answer's writer.
        counting: the request asks for its tokens to be counted.

    Raises:
        RequestError: OpenAI would refuse it.
    """
    body = parsed(body_bytes)
    _check_members(body)
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise RequestError("Missing required parameter: 'model'.", param="model", code="missing_required_parameter")
    tools, choice = _tools(body)
    items = check_input(body.get("input"))
    prompt = words(body.get("instructions")) + input_words(items)
    echo = _echo(body)
    count = b'{"object":"response.input_tokens","input_tokens":%d}' % prompt
    return Asked(
        model,
        lambda plan: speech(plan, echo),
        prompt,
        stream=body.get("stream") is True,
        limit=body.get("max_output_tokens"),
        tools=tools,
        choice=choice,
        said=last_user_text(items),
        schema=_schema(body),
        token_count=count if counting else None,
    )


def _check_members(body: Mapping[str, Any]) -> None:
    if "messages" in body:
        raise RequestError(
            "Unsupported parameter: 'messages'. In the Responses API, this parameter has moved to 'input'. Try again "
            "with the new parameter.",
            param="messages",
            code="unsupported_parameter",
        )
    for name in body:
        if name not in _MEMBERS:
            raise RequestError(f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
    if (previous := body.get("previous_response_id")) is not None:
        raise RequestError(
            f"Previous response with id '{previous}' not found.",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    limit = body.get("max_output_tokens")
    if limit is not None and not isinstance(limit, int):
        raise RequestError(
            "Invalid type for 'max_output_tokens': expected an integer.",
            param="max_output_tokens",
            code="invalid_type",
        )


def _tools(body: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """Return the functions' schemas by name, and the choice among them."""
    found: dict[str, Any] = {}
    for index, tool in enumerate(objects(body.get("tools"), "tools")):
        if tool.get("type") not in {"function", "custom"}:
            continue  # one of OpenAI's own
        name, param = tool.get("name"), f"tools[{index}].name"
        if not isinstance(name, str):
            raise RequestError(
                f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
            )
        openai.check_name(name, param)
        if tool["type"] == "custom":
            continue
        schema = tool.get("parameters")
        if "parameters" not in tool:
            param = f"tools[{index}].parameters"
            raise RequestError(
                f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
            )
        if tool.get("strict") is True:
            openai.check_strict(schema, name)
        found[name] = schema or {}
    choice = body.get("tool_choice")
    if choice == "none":
        return NO_TOOLS, ""
    if choice == "required":
        return found, ANY_TOOL if found else ""
    if isinstance(choice, dict) and choice.get("type") == "function":
        if choice.get("name") not in found:
            raise RequestError(
                f"Tool choice '{choice.get('name')}' not found in 'tools' parameter.", param="tool_choice"
            )
        return found, choice["name"]
    return found, ""


def _schema(body: Mapping[str, Any]) -> Any:
    text = body.get("text")
    form = text.get("format") if isinstance(text, dict) else None
    if not isinstance(form, dict) or form.get("type") == "text":
        return None
    if form.get("type") == "json_object":
        if "json" not in json.dumps([body.get("instructions"), body.get("input")]).lower():
            raise RequestError(
                "Response input messages must contain the word 'json' in some form to use 'text.format' of type "
                "'json_object'.",
                param="input",
            )
        return {}
    if not isinstance(form.get("schema"), dict) or not isinstance(form.get("name"), str):
        missing = "schema" if isinstance(form.get("name"), str) else "name"
        param = f"text.format.{missing}"
        raise RequestError(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")
    if form.get("strict") is True:
        openai.check_strict(form["schema"], form["name"])
    return form["schema"]


def _echo(body: Mapping[str, Any]) -> Echo:
    include = body.get("include") or []
    members = {
        "background": False,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "metadata": body.get("metadata") or {},
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None, **(body.get("reasoning") or {})},
        "store": body.get("store", True),
        "temperature": body.get("temperature", 1.0),
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools") or [],
        "top_p": body.get("top_p", 1.0),
        "truncation": body.get("truncation", "disabled"),
    }
    text = json.dumps(members, ensure_ascii=False, separators=(",", ":"))
    return Echo(text[1:-1].encode(errors="replace"), _ENCRYPTED in include)
