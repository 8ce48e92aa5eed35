"""What Google asks of a conversation, in its words. Pure; used by `dev.demo.gemini_request`.

Sources: the Gemini API's guides "Function calling" and "Thought signatures"; DIALECTS sections 2.1, 2.4, 2.5. Members
are in camel case here.
"""

import json
from typing import Any

from trunkline.dev.demo.request import RequestError, names
from trunkline.dev.demo.seal import known, matches

CALL = "call"
TEXT = "text"

PLACEHOLDER = "skip_thought_signature_validator"
"""Stands for the signature of a call that another model made."""

_DATA = names(
    "text inlineData fileData functionCall functionResponse executableCode codeExecutionResult toolCall toolResponse"
)

_Content = dict[str, Any]


def call_text(name: str, arguments: Any) -> str:
    """Return what the signature of a call with these decoded arguments seals, however they were written."""
    return f"{name} {json.dumps(arguments, sort_keys=True)}"


def check_turns(contents: list[_Content], *, signed: bool) -> None:
    """Check a conversation.

    Args:
        contents: as sent, but in camel case.
        signed: whether the model wants its signatures back.

    Raises:
        RequestError: Google would refuse it.
    """
    if not contents:
        raise RequestError("* GenerateContentRequest.contents: contents is not specified")
    for index, content in enumerate(contents):
        _check_content(content, f"GenerateContentRequest.contents[{index}]")
    _check_calls(contents)
    if contents[-1].get("role") == "model":
        raise RequestError("Please ensure that multiturn requests end with a user role or a function response.")
    if signed:
        _check_signed(contents)


def last_user_text(contents: list[_Content]) -> str:
    """Return the user's text, if that is what comes last."""
    texts = [part["text"] for part in contents[-1]["parts"] if isinstance(part.get("text"), str)]
    return texts[-1] if texts and contents[-1].get("role", "user") == "user" else ""


def _check_content(content: _Content, where: str) -> None:
    if content.get("role", "user") not in {"user", "model", "function"}:
        raise RequestError("Please use a valid role: user, model.")
    parts = content.get("parts")
    if not isinstance(parts, list) or not parts:
        raise RequestError(f"* {where}.parts: contents.parts must not be empty.")
    for number, part in enumerate(parts):
        _check_part(part, f"{where}.parts[{number}]")


def _check_part(part: _Content, where: str) -> None:
    data = _DATA & part.keys()
    if len(data) != 1:
        problem = "must have one initialized field" if not data else "may have only one initialized field"
        raise RequestError(f"* {where}.data: required oneof field 'data' {problem}")
    call, response = part.get("functionCall"), part.get("functionResponse")
    if call is not None:
        if not call.get("name"):
            raise RequestError(f"* {where}.function_call.name: Name cannot be empty.")
        if not isinstance(call.get("args", {}), dict):
            raise RequestError(f"Invalid value at '{where}.function_call.args' (google.protobuf.Struct)")
    if response is not None:
        if not response.get("name"):
            raise RequestError(f"* {where}.function_response.name: Name cannot be empty.")
        if not isinstance(response.get("response"), dict):
            raise RequestError(f"Invalid value at '{where}.function_response.response' (google.protobuf.Struct)")
    signature = part.get("thoughtSignature")
    if signature is None or signature == PLACEHOLDER:
        return
    if call is None:
        valid = bool(known(str(signature)))
    else:
        valid = matches(str(signature), CALL, call_text(call["name"], call.get("args", {})))
    if not valid:
        raise RequestError(f"* {where}.thought_signature: Thought signature is not valid.")


# --- Calls and responses -----------------------------------------------------------------------------------------


def _check_calls(contents: list[_Content]) -> None:
    """Check that each group of calls has its responses in the content right behind it, and nothing but its own."""
    for index, content in enumerate(contents):
        before = contents[index - 1] if index else {"role": "model", "parts": []}
        calls, responses = _of_kind(content, "functionCall"), _of_kind(content, "functionResponse")
        if calls and (content.get("role") != "model" or before.get("role") == "model"):
            raise RequestError(
                "Please ensure that function call turn comes immediately after a user turn or after a function "
                "response turn."
            )
        if responses and (content.get("role") == "model" or not _of_kind(before, "functionCall")):
            raise RequestError(
                "Please ensure that function response turn comes immediately after a function call turn."
            )
        if calls:
            _check_answered(calls, contents[index + 1] if index + 1 < len(contents) else {"parts": []})


def _check_answered(calls: list[_Content], content: _Content) -> None:
    responses = _of_kind(content, "functionResponse")
    if len(responses) != len(calls):
        raise RequestError(
            "Please ensure that the number of function response parts is equal to the number of function call parts "
            "of the function call turn."
        )
    if sorted(call["name"] for call in calls) != sorted(response["name"] for response in responses):
        raise RequestError("Please ensure that the function response parts have the names of the function calls.")
    ids = {call["id"] for call in calls if call.get("id")}
    for response in responses:
        if response.get("id") and response["id"] not in ids:
            raise RequestError(f"There is no function call with the id of function response '{response['id']}'.")


def _check_signed(contents: list[_Content]) -> None:
    """Check that the first call of each step of the current turn has its signature."""
    for index in range(len(contents) - 1, -1, -1):
        content = contents[index]
        if content.get("role") != "model":
            if any("functionResponse" not in part for part in content["parts"]):
                return
            continue
        for part in content["parts"]:
            if "functionCall" not in part:
                continue
            if not part.get("thoughtSignature"):
                raise RequestError(
                    "Function call is missing a thought_signature in functionCall parts. This is required for tools "
                    "to work correctly, and missing thought_signature may lead to degraded model performance. "
                    f"Additional data, function call `default_api:{part['functionCall']['name']}` , position "
                    f"{index + 1}."
                )
            break


def _of_kind(content: _Content, kind: str) -> list[Any]:
    return [part[kind] for part in content["parts"] if kind in part]
