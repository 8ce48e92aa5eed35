"""What Anthropic asks of a conversation, in its words. Pure; used by `dev.demo.anthropic_request`.

Sources: Anthropic's API reference, "Messages", "Tool use" and "Extended thinking"; DIALECTS sections 2.1, 2.4, 2.5.
"""

import re
from typing import Any

from trunkline.dev.demo.request import RequestError, objects
from trunkline.dev.demo.seal import known, seal

SEALED_CALL = "t"
"""Ends the id of a call before which the demo upstream has thought."""

THINKING = "thinking"

_ID = re.compile(r"[a-zA-Z0-9_-]+")
_MINTED_AFTER_THINKING = re.compile(rf"toolu_demo\d+x\d+{SEALED_CALL}")
_OF_ASSISTANT = frozenset({"tool_use", "thinking", "redacted_thinking", "server_tool_use"})
_OF_USER = frozenset({"tool_result", "image", "search_result"})

_Message = dict[str, Any]


def check_turns(messages: list[_Message], *, has_tools: bool, thinking: str) -> None:
    """Check a conversation.

    Args:
        messages: as sent.
        has_tools: whether the request declares any.
        thinking: ``enabled``, ``adaptive``, or anything else.

    Raises:
        RequestError: Anthropic would refuse it.
    """
    if not messages:
        raise RequestError("messages: at least one message is required")
    for index, message in enumerate(messages):
        _check_role(messages, index)
        _check_content(message, f"messages.{index}")
    if messages[0]["role"] != "user":
        raise RequestError('messages: first message must use the "user" role')
    _check_calls(messages)
    if messages[-1]["role"] == "assistant":
        raise RequestError(
            "This model does not support assistant message prefill. The conversation must end with a user message."
        )
    if not has_tools and any(_of_type(message, "tool_use", "tool_result") for message in messages):
        raise RequestError("Requests which have `tool_use` or `tool_result` blocks must define tools.")
    if thinking in {"enabled", "adaptive"}:
        _check_thought(messages, always=thinking == "enabled")


def _check_role(messages: list[_Message], index: int) -> None:
    role = messages[index].get("role")
    if role in {"user", "assistant"}:
        return
    if role != "system":
        raise RequestError(f"messages.{index}.role: Input should be 'user' or 'assistant'")
    before = messages[index - 1].get("role") if index else None
    after = messages[index + 1].get("role") if index + 1 < len(messages) else "assistant"
    if before != "user" or after != "assistant" or _of_type(messages[index], *_OF_USER, *_OF_ASSISTANT):
        raise RequestError(
            f"messages.{index}: a 'system' message has text only, follows a 'user' message, and is the last one or "
            "followed by an 'assistant' message"
        )


# --- Content -----------------------------------------------------------------------------------------------------


def _check_content(message: _Message, where: str) -> None:
    content = message.get("content")
    if not content:
        raise RequestError(f"{where}: all messages must have non-empty content")
    if isinstance(content, str):
        _check_text(content)
        return
    for number, block in enumerate(objects(content, f"{where}.content")):
        kind = block.get("type")
        if kind in (_OF_USER if message["role"] == "assistant" else _OF_ASSISTANT):
            raise RequestError(f"{where}: `{kind}` blocks can not be in `{message['role']}` messages")
        _check_block(block, f"{where}.content.{number}")


def _check_block(block: _Message, where: str) -> None:
    match block.get("type"):
        case "text":
            _check_text(block.get("text"))
        case "tool_use":
            _check_id(block.get("id"), f"{where}.tool_use.id")
            if not isinstance(block.get("input"), dict):
                raise RequestError(f"{where}.tool_use.input: Input should be a valid dictionary")
        case "tool_result":
            _check_id(block.get("tool_use_id"), f"{where}.tool_result.tool_use_id")
            content = block.get("content")
            for inner in [] if isinstance(content, str) else objects(content, f"{where}.tool_result.content"):
                _check_block(inner, f"{where}.tool_result.content")
        case "thinking" | "redacted_thinking":
            _check_proof(block, where)
        case "image" | "document":
            if not isinstance(block.get("source"), dict):
                raise RequestError(f"{where}.{block['type']}.source: Field required")
        case str():
            pass  # one of Anthropic's own
        case _:
            raise RequestError(f"{where}.type: Field required")


def _check_proof(block: _Message, where: str) -> None:
    if block["type"] == "thinking" and block.get("signature") != seal(THINKING, str(block.get("thinking"))):
        raise RequestError(f"{where}: Invalid `signature` in `thinking` block")
    if block["type"] == "redacted_thinking" and known(str(block.get("data"))) != THINKING:
        raise RequestError(f"{where}: Invalid `data` in `redacted_thinking` block")


def _check_text(text: Any) -> None:
    if not isinstance(text, str) or not text:
        raise RequestError("messages: text content blocks must be non-empty")
    if not text.strip():
        raise RequestError("messages: text content blocks must contain non-whitespace text")


def _check_id(value: Any, where: str) -> None:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise RequestError(f"{where}: String should match pattern '^[a-zA-Z0-9_-]+$'")


# --- Calls and results -------------------------------------------------------------------------------------------


def _check_calls(messages: list[_Message]) -> None:
    """Check that all results of a turn's calls open the next message, and that no result lacks its call."""
    seen: set[str] = set()
    open_calls: list[str] = []
    for index, message in enumerate(messages):
        answered = _leading_results(message)
        for number, block in enumerate(_of_type(message, "tool_result")):
            if block["tool_use_id"] not in open_calls:
                raise RequestError(
                    f"messages.{index}.content.{number}: unexpected `tool_use_id` found in `tool_result` blocks: "
                    f"{block['tool_use_id']}. Each `tool_result` block must have a corresponding `tool_use` block in "
                    "the previous message."
                )
        _check_answered([call for call in open_calls if call not in answered], index - 1)
        open_calls = [block["id"] for block in _of_type(message, "tool_use")]
        if len(set(open_calls)) < len(open_calls) or seen & set(open_calls):
            raise RequestError(f"messages.{index}: `tool_use` ids must be unique")
        seen.update(open_calls)
    _check_answered(open_calls, len(messages) - 1)


def _check_answered(missing: list[str], index: int) -> None:
    if missing:
        raise RequestError(
            f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately after: "
            f"{', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` block in the next "
            "message."
        )


def _leading_results(message: _Message) -> set[str]:
    """Return the ids of the results before anything else."""
    found: set[str] = set()
    for block in _blocks(message):
        if block.get("type") != "tool_result":
            break
        found.add(block["tool_use_id"])
    return found


def _check_thought(messages: list[_Message], *, always: bool) -> None:
    """Check that the thinking of the tool loop under way is there.

    Args:
        messages: the conversation.
        always: even where the demo upstream did not think before the call.
    """
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if message["role"] == "user" and not _of_type(message, "tool_result"):
            return
        blocks = _blocks(message)
        for number, block in enumerate(blocks):
            if block.get("type") in {"thinking", "redacted_thinking"}:
                break
            if block.get("type") == "tool_use" and (always or _MINTED_AFTER_THINKING.fullmatch(block["id"])):
                raise RequestError(
                    f"messages.{index}.content.{number}.type: Expected `thinking` or `redacted_thinking`, but found "
                    "`tool_use`. When `thinking` is enabled, a final `assistant` message must start with a thinking "
                    "block (preceeding the lastmost set of `tool_use` and `tool_result` blocks)."
                )


def _blocks(message: _Message) -> list[_Message]:
    content = message.get("content")
    return [] if isinstance(content, str) else list(content or ())


def _of_type(message: _Message, *kinds: str) -> list[_Message]:
    return [block for block in _blocks(message) if block.get("type") in kinds]
