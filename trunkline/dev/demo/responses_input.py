"""What OpenAI's Responses ask of their input, in their words. Pure; used by `dev.demo.responses_request`.

Sources: OpenAI's API reference, "Responses", and its guide to reasoning models; DIALECTS sections 2.1, 2.4, 2.5.
"""

import re
from typing import Any

from trunkline.dev.demo.request import RequestError, objects, words
from trunkline.dev.demo.seal import known

SEALED_CALL = "r"
"""Ends the item id of a call before which the demo upstream has thought."""

REASONING = "reasoning"

CALL_ID_CHARACTERS_MAX = 64

_CALLS = {"function_call": "function_call_output", "custom_tool_call": "custom_tool_call_output"}
_OUTPUTS = {output: call for call, output in _CALLS.items()}
_ID_PREFIXES = {"message": "msg", "reasoning": "rs", "function_call": "fc", "custom_tool_call": "ctc"}
_MINTED_AFTER_REASONING = re.compile(rf"fc_demo\d+x\d+{SEALED_CALL}")
_USER_PARTS = frozenset({"input_text", "input_image", "input_file"})
_ASSISTANT_PARTS = frozenset({"output_text", "refusal"})

_Item = dict[str, Any]


def check_input(value: Any) -> list[_Item]:
    """Return an input as items.

    Raises:
        RequestError: OpenAI would refuse it.
    """
    if value is None:
        raise RequestError("Missing required parameter: 'input'.", param="input", code="missing_required_parameter")
    if isinstance(value, str):
        return [{"type": "message", "role": "user", "content": value}]
    items = [{"type": "message", **item} if "role" in item else item for item in objects(value, "input")]
    for index, item in enumerate(items):
        _check_item(item, f"input[{index}]")
    _check_calls(items)
    _check_reasoning(items)
    return items


def _check_item(item: _Item, where: str) -> None:
    kind = item.get("type")
    prefix = _ID_PREFIXES.get(str(kind))
    identity = item.get("id")
    if prefix and identity is not None and not str(identity).startswith(prefix):
        raise _invalid(f"{where}.id", f"'{identity}'. Expected an ID that begins with '{prefix}'.")
    match kind:
        case "message":
            _check_message(item, where)
        case "function_call" | "custom_tool_call":
            _need(item, where, "name", "call_id", "arguments" if kind == "function_call" else "input")
        case "function_call_output" | "custom_tool_call_output":
            _need(item, where, "call_id")
            if not isinstance(item.get("output"), str):
                _check_parts(item.get("output"), f"{where}.output", _USER_PARTS)
        case "reasoning":
            if not isinstance(item.get("summary"), list):
                raise _missing(f"{where}.summary")
            encrypted = item.get("encrypted_content")
            if encrypted is not None and known(str(encrypted)) != REASONING:
                raise RequestError(
                    f"The encrypted content for item {identity} could not be verified.",
                    code="invalid_encrypted_content",
                )
        case "item_reference":
            raise RequestError(f"Item with id '{identity}' not found.", status=404, param="input")
        case str():
            pass  # of one of OpenAI's own tools
        case _:
            raise _missing(f"{where}.type")


def _check_message(item: _Item, where: str) -> None:
    role, content = item.get("role"), item.get("content")
    if role not in {"user", "system", "developer", "assistant"}:
        raise _invalid(f"{where}.role", f"'{role}'. Supported values are: 'assistant', 'system', 'developer', 'user'.")
    if not isinstance(content, str):
        _check_parts(content, f"{where}.content", _ASSISTANT_PARTS if role == "assistant" else _USER_PARTS)


def _check_parts(parts: Any, where: str, kinds: frozenset[str]) -> None:
    if not isinstance(parts, list):
        raise _missing(where)
    for number, part in enumerate(objects(parts, where)):
        if part.get("type") not in kinds:
            supported = ", ".join(f"'{kind}'" for kind in sorted(kinds))
            raise _invalid(f"{where}[{number}].type", f"'{part.get('type')}'. Supported values are: {supported}.")


def _need(item: _Item, where: str, *names: str) -> None:
    for name in names:
        if not isinstance(item.get(name), str):
            raise _missing(f"{where}.{name}")
    if len(item["call_id"]) > CALL_ID_CHARACTERS_MAX:
        raise _invalid(f"{where}.call_id", "string too long. Expected a string with maximum length 64.")


def _check_calls(items: list[_Item]) -> None:
    """Check that calls and outputs have each other, and that a group of calls has all its outputs right behind it."""
    open_calls: dict[str, str] = {}
    answering = False
    for index, item in enumerate(items):
        kind = str(item.get("type"))
        if kind in _OUTPUTS:
            if open_calls.pop(item["call_id"], None) != _OUTPUTS[kind]:
                raise RequestError(
                    f"No tool call found for function call output with call_id {item['call_id']}.",
                    param=f"input[{index}]",
                )
            answering = True
        elif open_calls and (answering or not _of_assistant(item)):
            raise _unanswered(open_calls)
        else:
            answering = False
        if kind in _CALLS:
            open_calls[item["call_id"]] = kind
    if open_calls:
        raise _unanswered(open_calls)


def _check_reasoning(items: list[_Item]) -> None:
    """Check that reasoning stands before what it led to, and that a call for which there was some has it."""
    thought = False
    for index, item in enumerate(items):
        if item.get("type") == "reasoning":
            thought = True
            if index + 1 == len(items) or not _of_assistant(items[index + 1]):
                raise RequestError(
                    f"Item '{item.get('id')}' of type 'reasoning' was provided without its required following item.",
                    param="input",
                )
        elif not _of_assistant(item):
            thought = False
        elif not thought and _MINTED_AFTER_REASONING.fullmatch(str(item.get("id"))):
            raise RequestError(
                f"Item '{item['id']}' of type 'function_call' was provided without its required 'reasoning' item.",
                param="input",
            )


def _of_assistant(item: _Item) -> bool:
    return item.get("role", "assistant") == "assistant" and item.get("type") not in _OUTPUTS


def _unanswered(calls: dict[str, str]) -> RequestError:
    return RequestError(f"No tool output found for function call {', '.join(calls)}.", param="input")


def _missing(param: str) -> RequestError:
    return RequestError(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")


def _invalid(param: str, message: str) -> RequestError:
    return RequestError(f"Invalid '{param}': {message}", param=param, code="invalid_value")


# --- Words -------------------------------------------------------------------------------------------------------


def input_words(items: list[_Item]) -> int:
    """Return how many words the texts of an input have."""
    return sum(words(text) for item in items for text in _texts(item))


def last_user_text(items: list[_Item]) -> str:
    """Return the user's text, if that is what comes last."""
    if not items or items[-1].get("role") != "user":
        return ""
    return "".join(_texts(items[-1])[-1:])


def _texts(item: _Item) -> list[str]:
    value = item.get("output") if item.get("type") in _OUTPUTS else item.get("content")
    if item.get("type") == "reasoning" or value is None:
        return []
    if isinstance(value, str):
        return [value]
    return [part["text"] for part in value if isinstance(part, dict) and isinstance(part.get("text"), str)]
