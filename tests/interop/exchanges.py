"""Requests, streams and answers for tests of single cases: built in a line, and put through readers and writers."""

import json
from typing import Any

from tests.interop.event_laws import said
from tests.interop.golden_files import TARGETS, golden, read_request, write_answer
from trunkline.protocol.events import Event
from trunkline.protocol.fidelity import Crossing
from trunkline.protocol.names import ANTHROPIC, OPENAI_CHAT, OPENAI_RESPONSES
from trunkline.protocol.registry import UPSTREAMS
from trunkline.protocol.vendor import DEFAULTS, VendorOptions


def sse(*trees: object) -> bytes:
    """Return events; those that have a type are named after it."""
    return b"".join(_event(tree) for tree in trees)


def _event(tree: object) -> bytes:
    data = tree if isinstance(tree, str) else json.dumps(tree, ensure_ascii=False, separators=(",", ":"))
    name = f"event: {tree['type']}\n" if isinstance(tree, dict) and "type" in tree else ""
    return f"{name}data: {data}\n\n".encode()


def deltas(*found: dict[str, Any], finish: str = "stop", **more: Any) -> bytes:
    """Return a chat provider's stream."""
    choices = [{"index": 0, "delta": delta} for delta in found] + [{"index": 0, "delta": {}, "finish_reason": finish}]
    return sse(
        *[{"id": "c", "choices": [choice]} for choice in choices], *[{"choices": [], **more}] * bool(more), "[DONE]"
    )


def call(index: int | None = 0, name: str = "", arguments: object = "", **members: Any) -> dict[str, Any]:
    """Return a delta with a piece of a call."""
    function = {**({"name": name} if name else {}), "arguments": arguments}
    return {"tool_calls": [{**({} if index is None else {"index": index}), **members, "function": function}]}


def data_of(stream: bytes) -> list[dict[str, Any]]:
    """Return the decoded data of a stream's events, without ``[DONE]``."""
    lines = [line.removeprefix("data: ") for line in stream.decode().split("\n") if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def put(
    client: str, upstream: str, body: object, *, model: str = "", options: VendorOptions = DEFAULTS
) -> tuple[dict[str, Any], str]:
    """Return a client's request in the provider's words, and the fidelity header."""
    request = read_request(client, json.dumps(body).encode())
    crossing = Crossing(client, upstream)
    target = TARGETS[upstream]
    written = UPSTREAMS[target.upstream].write_request(request, crossing, model or target.model, options)
    tree = json.loads(written.body)
    assert isinstance(tree, dict)
    return tree, crossing.header()


def whole(client: str, events: list[Event]) -> dict[str, Any]:
    """Return the whole answer that a client gets."""
    tree = json.loads(write_answer(client, events))
    assert isinstance(tree, dict)
    return tree


def calls_of(events: list[Event]) -> list[tuple[str, str, str]]:
    return list(said(events).calls)


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def asked(client: str, *messages: object, **more: Any) -> dict[str, Any]:
    """Return a chat or Messages request."""
    return {"model": "m", "messages": list(messages), **({"max_tokens": 99} if client == ANTHROPIC else {}), **more}


def replayed(client: str, answer: dict[str, Any]) -> dict[str, Any]:
    """Return the request that follows on an answer with one call: the answer as it came, and the call's result."""
    tools = {"tools": json.loads(golden(client, "reasoning_tool_loop").request)["tools"]}
    if client == OPENAI_CHAT:
        message = answer["choices"][0]["message"]
        result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "rain"}
        return asked(client, user("Weather?"), message, result, **tools)
    if client == OPENAI_RESPONSES:
        output = {"type": "function_call_output", "call_id": answer["output"][-1]["call_id"], "output": "rain"}
        return {"model": "m", "input": [user("Weather?"), *answer["output"], output], **tools}
    if client == ANTHROPIC:
        block = {"type": "tool_result", "tool_use_id": answer["content"][-1]["id"], "content": "rain"}
        turn = {"role": "assistant", "content": answer["content"]}
        return asked(client, user("Weather?"), turn, {"role": "user", "content": [block]}, **tools)
    content = answer["candidates"][0]["content"]
    name = next(part["functionCall"]["name"] for part in content["parts"] if "functionCall" in part)
    response = {"functionResponse": {"name": name, "response": {"output": "rain"}}}
    question = {"role": "user", "parts": [{"text": "Weather?"}]}
    return {"contents": [question, content, {"role": "user", "parts": [response]}], **tools}
