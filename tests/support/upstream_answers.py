"""Answers of the demo upstream, read: enough of each dialect to compare it with the others.

It works on decoded JSON and knows nothing of the gateway's readers.
"""

import json
from typing import Any, NamedTuple

from tests.support.upstream_client import Client


class Said(NamedTuple):
    """What an answer says.

    Attributes:
        text, reasoning, refusal: all of each.
        calls: name and source text of the arguments.
        finish: in the dialect's word.
    """

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    finish: str = ""


def events(answer: Client) -> list[dict[str, Any]]:
    """Return the decoded data of a stream's events, without ``[DONE]``."""
    lines = answer.body.decode().splitlines()
    data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    return [json.loads(event) for event in data if event != "[DONE]"]


def _chat_said(choice: dict[str, Any], message: dict[str, Any]) -> Said:
    calls = tuple((call["function"]["name"], call["function"]["arguments"]) for call in message.get("tool_calls") or ())
    text, reasoning, refusal = (message.get(name) or "" for name in ("content", "reasoning_content", "refusal"))
    return Said(text, reasoning, refusal, calls, choice["finish_reason"])


def chat_read(body: dict[str, Any]) -> Said:
    """Return what a whole answer says."""
    return _chat_said(body["choices"][0], body["choices"][0]["message"])


def chat_read_stream(chunks: list[dict[str, Any]]) -> Said:
    """Return what a stream says."""
    message: dict[str, Any] = {"tool_calls": []}
    for delta in [choice["delta"] for chunk in chunks for choice in chunk["choices"]]:
        for name in ("content", "reasoning_content", "refusal"):
            message[name] = message.get(name, "") + (delta.get(name) or "")
        for piece in delta.get("tool_calls") or ():
            if "id" in piece:
                assert piece["index"] == len(message["tool_calls"])
                message["tool_calls"].append(piece)
            else:
                message["tool_calls"][piece["index"]]["function"]["arguments"] += piece["function"]["arguments"]
    return _chat_said([choice for chunk in chunks for choice in chunk["choices"]][-1], message)


def responses_read(response: dict[str, Any]) -> Said:
    """Return what a response says."""
    found = Said(finish=(response["incomplete_details"] or {}).get("reason", response["status"]))
    for item in response["output"]:
        if item["type"] == "reasoning":
            found = found._replace(reasoning=item["summary"][0]["text"])
        elif item["type"] == "function_call":
            found = found._replace(calls=(*found.calls, (item["name"], item["arguments"])))
        elif item["content"][0]["type"] == "refusal":
            found = found._replace(refusal=item["content"][0]["refusal"])
        else:
            found = found._replace(text=item["content"][0]["text"])
    return found


def responses_read_stream(stream: list[dict[str, Any]]) -> Said:
    """Return what the last event says, which is also what the deltas say."""
    assert [event["sequence_number"] for event in stream] == list(range(len(stream)))
    found = responses_read(stream[-1]["response"])

    def told(kind: str) -> str:
        return "".join(event["delta"] for event in stream if event["type"] == f"response.{kind}.delta")

    assert told("output_text").rstrip() == found.text.rstrip()
    assert (told("reasoning_summary_text"), told("refusal")) == (found.reasoning, found.refusal)
    assert told("function_call_arguments") == "".join(arguments for _, arguments in found.calls)
    return found


def anthropic_read(message: dict[str, Any]) -> Said:
    """Return what a message says."""
    found = Said(finish=message["stop_reason"], refusal=(message.get("stop_details") or {}).get("explanation") or "")
    for block in message["content"]:
        if block["type"] == "thinking":
            found = found._replace(reasoning=block["thinking"])
        elif block["type"] == "tool_use":
            source = block["input"] if isinstance(block["input"], str) else json.dumps(block["input"])
            found = found._replace(calls=(*found.calls, (block["name"], source)))
        else:
            found = found._replace(text=block["text"])
    return found


def anthropic_message(stream: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the message that a stream makes; a call's input is its source text."""
    message: dict[str, Any] = {}
    for event in stream:
        match event["type"]:
            case "message_start":
                message = event["message"]
            case "content_block_start":
                assert event["index"] == len(message["content"])
                message["content"].append(event["content_block"])
                if event["content_block"]["type"] == "tool_use":
                    assert event["content_block"]["input"] == {}
                    event["content_block"]["input"] = ""
            case "content_block_delta":
                block, delta = message["content"][event["index"]], event["delta"]
                if delta["type"] == "input_json_delta":
                    block["input"] += delta["partial_json"]
                else:
                    name = delta["type"].removesuffix("_delta")
                    block[name] += delta[name]
            case "message_delta":
                message |= event["delta"]
                message["usage"] |= event["usage"]
    return message


def gemini_parts(frames: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return all parts of a stream."""
    return [part for frame in frames for part in frame["candidates"][0].get("content", {"parts": []})["parts"]]


def gemini_read_stream(frames: list[dict[str, Any]]) -> Said:
    """Return what a stream says, or a whole answer as the only frame."""
    found = Said()
    for part in gemini_parts(frames):
        if "functionCall" in part:
            call = part["functionCall"]
            found = found._replace(calls=(*found.calls, (call["name"], json.dumps(call["args"]))))
        elif part.get("thought"):
            found = found._replace(reasoning=found.reasoning + part["text"])
        else:
            found = found._replace(text=found.text + part["text"])
    last = frames[-1]["candidates"][0]
    return found._replace(finish=last["finishReason"], refusal=last.get("finishMessage", ""))
