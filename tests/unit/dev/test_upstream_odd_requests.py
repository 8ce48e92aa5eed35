"""The demo upstream answers or refuses whatever comes, and shares no code with what it tests."""

import ast
import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.upstream_client import UpstreamClient
from tests.support.upstream_dialects import ANTHROPIC, CHAT, DIALECTS, GEMINI, RESPONSES, Dialect, send
from trunkline.dev.demo import upstream as upstream_module

PLACEHOLDER = "skip_thought_signature_validator"

ODD: tuple[Any, ...] = (None, True, -1, 1e300, "", "x", [], [[]], [None], {}, {"x": {}}, [{"type": []}])

FULL: dict[Dialect, dict[str, Any]] = {
    RESPONSES: {
        "model": "demo",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "x"}]},
            {"type": "reasoning", "summary": [], "content": []},
            {"type": "function_call", "call_id": "a", "name": "weather", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "a", "output": [{"type": "input_text", "text": "x"}]},
        ],
        "tool_choice": {"type": "function", "name": "weather"},
        "text": {"format": {"type": "json_schema", "name": "a", "schema": {"type": "object", "required": ["a"]}}},
        "reasoning": {"effort": "low"},
        "include": [],
    },
    ANTHROPIC: {
        "model": "demo",
        "max_tokens": 10,
        "system": [{"type": "text", "text": "x"}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "x"}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "weather", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": []}]},
        ],
        "tool_choice": {"type": "tool", "name": "weather"},
        "thinking": {"type": "adaptive"},
        "output_config": {
            "effort": "low",
            "format": {"type": "json_schema", "schema": {"type": "object", "additionalProperties": False}},
        },
        "stop_sequences": ["x"],
    },
    GEMINI: {
        "contents": [
            {"role": "user", "parts": [{"text": "x"}]},
            {
                "role": "model",
                "parts": [{"functionCall": {"name": "f", "args": {}}, "thoughtSignature": PLACEHOLDER}],
            },
            {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {}}}]},
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["weather"]}},
        "generationConfig": {
            "stopSequences": ["x"],
            "thinkingConfig": {"thinkingBudget": 1},
            "responseMimeType": "application/json",
            "responseSchema": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}, "required": ["a"]},
        },
    },
    CHAT: {
        "model": "demo",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"required": ["a"]}}},
    },
}


def altered(value: Any) -> Iterator[Any]:
    """Yield copies of a JSON value in which one thing, at any depth, is another."""
    yield from copy.deepcopy(ODD)
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        for other in altered(item):
            shallow = copy.copy(value)
            shallow[key] = other
            yield shallow


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_odd_requests_are_answered_or_refused(dialect: Dialect) -> None:
    """An exception would come out of the request."""
    upstream = UpstreamClient()
    body = {**FULL[dialect], "tools": [dialect.tool]}
    assert send(upstream, "POST", dialect.path("gemini-3", False), body, dialect.head()).status == 200
    statuses = {
        send(upstream, "POST", dialect.path("gemini-3", False), odd, dialect.head()).status for odd in altered(body)
    }
    assert statuses <= {200, 400, 404}
    assert 400 in statuses


def test_it_shares_no_code_with_what_it_tests() -> None:
    paths = list(Path(upstream_module.__file__).parent.glob("*.py"))
    assert len(paths) > 15
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            imported += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in imported if name.startswith("trunkline.protocol")], path
