"""Messages requests as the demo upstream reads them, and what it refuses as Anthropic does.

Pure; used by `dev.demo.anthropic`. What a conversation must look like is in `dev.demo.anthropic_turns`.
"""

import re
from collections.abc import Mapping
from typing import Any

from trunkline.dev.demo.anthropic_turns import check_turns
from trunkline.dev.demo.request import (
    ANY_TOOL,
    NO_TOOLS,
    Asked,
    RequestError,
    SpeechMaker,
    names,
    objects,
    parsed,
    words,
)

_COUNTED = names(
    "cache_control context_management mcp_servers messages model output_config output_format speed system thinking "
    "tool_choice tools"
)
_ALONE = names(
    "container diagnostics fallbacks inference_geo max_tokens metadata service_tier stop_sequences stream temperature "
    "top_k top_p"
)
"""Members that a request to count tokens does not have."""

_SAMPLING = ("temperature", "top_p", "top_k")
_STRICT_VERSION = "2026-10-21"
"""From this version on, models take no sampling parameters (DIALECTS section 2.3)."""

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_EFFORTS = frozenset({"low", "medium", "high", "xhigh", "max"})
_THINKING_BUDGET_MIN = 1024
_SCHEMA_UNSUPPORTED = names(
    "minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength maxItems uniqueItems pattern not "
    "oneOf patternProperties propertyNames"
)


def read(body_bytes: bytes, version: str, speech: SpeechMaker, *, counting: bool) -> Asked:
    """Return what a request asks for.

    Args:
        body_bytes: the request's.
        version: of the header ``anthropic-version``.
        speech: writes the answer.
        counting: the request asks for its tokens to be counted.

    Raises:
        RequestError: Anthropic would refuse it.
    """
    body = parsed(body_bytes)
    _check_members(body, counting=counting)
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise RequestError("model: Field required")
    _check_sampling(body, version)
    tools, choice = _tools(body)
    _check_thinking(body, choice)
    messages = objects(body.get("messages"), "messages")
    check_turns(messages, has_tools=bool(body.get("tools")), thinking=_thinking_type(body))
    prompt = _system_words(body.get("system")) + sum(_message_words(message) for message in messages)
    return Asked(
        model,
        speech,
        prompt,
        stream=body.get("stream") is True,
        limit=body.get("max_tokens"),
        tools=tools,
        choice=choice,
        said=_said(messages[-1]),
        schema=_schema(body),
        token_count=b'{"input_tokens":%d}' % prompt if counting else None,
    )


def _check_members(body: Mapping[str, Any], *, counting: bool) -> None:
    for name in body:
        if name not in _COUNTED and (counting or name not in _ALONE):
            raise RequestError(f"{name}: Extra inputs are not permitted")
    limit = body.get("max_tokens")
    if counting:
        return
    if limit is None:
        raise RequestError("max_tokens: Field required")
    if not isinstance(limit, int) or limit < 0:
        raise RequestError("max_tokens: Input should be greater than or equal to 0")


def _check_sampling(body: Mapping[str, Any], version: str) -> None:
    given = [name for name in _SAMPLING if body.get(name) is not None]
    if given and version >= _STRICT_VERSION:
        raise RequestError(f"`{given[0]}` is not supported by this model.")
    temperature = body.get("temperature")
    if temperature is not None and not (isinstance(temperature, int | float) and 0 <= temperature <= 1):
        raise RequestError("temperature: range: 0..1")
    if "temperature" in given and "top_p" in given:
        raise RequestError("`temperature` and `top_p` cannot both be specified for this model. Please use only one.")
    stops = body.get("stop_sequences")
    if stops is not None and not (isinstance(stops, list) and all(isinstance(stop, str) and stop for stop in stops)):
        raise RequestError("stop_sequences: each stop sequence must be a non-empty string")


# --- Tools -------------------------------------------------------------------------------------------------------


def _tools(body: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """Return the functions' schemas by name, and the choice among them."""
    found: dict[str, Any] = {}
    for index, tool in enumerate(objects(body.get("tools"), "tools")):
        if tool.get("type", "custom") != "custom":
            continue  # one of Anthropic's own
        name, schema = tool.get("name"), tool.get("input_schema")
        where = f"tools.{index}.custom"
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise RequestError(f"{where}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
        if name in found:
            raise RequestError("tools: Tool names must be unique.")
        if not isinstance(schema, dict) or schema.get("type") != "object":
            raise RequestError(f"{where}.input_schema.type: Input should be 'object'")
        for member in tool:
            if member in {"parameters", "function"}:
                raise RequestError(f"{where}.{member}: Extra inputs are not permitted")
        found[name] = schema
    return _chosen(body, found)


def _chosen(body: Mapping[str, Any], found: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    choice = body.get("tool_choice")
    if choice is None:
        return found, ""
    if not body.get("tools"):
        raise RequestError("tool_choice: may only be specified while providing tools")
    kind = choice.get("type") if isinstance(choice, dict) else None
    match kind:
        case "auto":
            return found, ""
        case "none":
            return NO_TOOLS, ""
        case "any":
            return found, ANY_TOOL
        case "tool" if choice.get("name") in found:
            return found, choice["name"]
        case "tool":
            raise RequestError(f"Tool '{choice.get('name')}' not found in provided tools")
    raise RequestError("tool_choice: Input tag does not match any of the expected tags: 'auto', 'any', 'tool', 'none'")


# --- Thinking and form -------------------------------------------------------------------------------------------


def _thinking_type(body: Mapping[str, Any]) -> str:
    thinking = body.get("thinking")
    return str(thinking.get("type")) if isinstance(thinking, dict) else ""


def _check_thinking(body: Mapping[str, Any], choice: str) -> None:
    config = body.get("output_config")
    effort = config.get("effort") if isinstance(config, dict) else None
    if effort is not None and effort not in _EFFORTS:
        raise RequestError(f"output_config.effort: Input should be one of {sorted(_EFFORTS)}")
    kind = _thinking_type(body)
    if body.get("thinking") is not None and kind not in {"enabled", "disabled", "adaptive"}:
        raise RequestError("thinking: Input tag does not match any of the expected tags")
    if kind not in {"enabled", "adaptive"}:
        return
    if body.get("temperature", 1) != 1:
        raise RequestError("`temperature` may only be set to 1 when thinking is enabled.")
    if body.get("top_k") is not None:
        raise RequestError("`top_k` must be unset when thinking is enabled.")
    if kind == "adaptive":
        return
    if choice:
        raise RequestError("Thinking may not be enabled when tool_choice forces tool use.")
    budget = body["thinking"].get("budget_tokens")
    if not isinstance(budget, int) or budget < _THINKING_BUDGET_MIN:
        raise RequestError("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
    if budget >= body.get("max_tokens", budget + 1):
        raise RequestError("`max_tokens` must be greater than `thinking.budget_tokens`.")


def _schema(body: Mapping[str, Any]) -> Any:
    config = body.get("output_config")
    form = config.get("format") if isinstance(config, dict) else body.get("output_format")
    if form is None:
        return None
    if not isinstance(form, dict) or form.get("type") != "json_schema" or not isinstance(form.get("schema"), dict):
        raise RequestError("output_config.format: Input should be a json_schema with a schema")
    _check_schema(form["schema"])
    return form["schema"]


def _check_schema(schema: Any) -> None:
    """Check what Anthropic asks of a schema of the answer's form (DIALECTS section 2.6), at every depth."""
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        raise RequestError(
            "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false"
        )
    unsupported = sorted(_SCHEMA_UNSUPPORTED & schema.keys())
    if unsupported or schema.get("minItems", 0) not in {0, 1}:
        raise RequestError(
            f"output_config.format.schema: For '{schema.get('type')}' type, properties "
            f"{', '.join(unsupported or ['minItems'])} are not supported"
        )
    for group in ("properties", "$defs", "definitions"):
        for inner in (schema.get(group) or {}).values():
            _check_schema(inner)
    for inner in (schema.get("items"), *(schema.get("anyOf") or ()), *(schema.get("allOf") or ())):
        _check_schema(inner)


# --- Words -------------------------------------------------------------------------------------------------------


def _system_words(system: Any) -> int:
    if system is None or isinstance(system, str):
        return words(system)
    for block in objects(system, "system"):
        if block.get("type") != "text" or not block.get("text"):
            raise RequestError("system: text content blocks must be non-empty")
    return sum(words(block["text"]) for block in system)


def _message_words(message: Mapping[str, Any]) -> int:
    return sum(_block_words(block) for block in _blocks(message.get("content")))


def _block_words(block: Mapping[str, Any]) -> int:
    if block.get("type") == "tool_result":
        return sum(_block_words(inner) for inner in _blocks(block.get("content")))
    return words(block.get("text"))


def _blocks(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())


def _said(message: Mapping[str, Any]) -> str:
    texts = [block["text"] for block in _blocks(message.get("content")) if block.get("type") == "text"]
    return texts[-1] if texts and message.get("role") == "user" else ""
