"""What every OpenAI-compatible vendor must give to every client, whole and streamed, through a real stack.

SDK, edge, NATS, dispatcher, and a server that refuses and answers as the vendor does (`support.vendor_upstreams`), each
with the options that docs/dialects.md names for it. What only one of them has is in test_vendor_quirks.py.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.sdk_clients import TOOL, Question, Told
from tests.support.stack import until
from tests.support.vendor_base import (
    ARGUMENTS,
    ASKED_TOKENS,
    BLOCKED,
    BOUND_TOKENS,
    COMPLETION_TOKENS,
    LIMITED,
    MAIN,
    OVERLONG,
    PROMPT_TOKENS,
    TEXT,
    THOUGHT,
    UNPAID,
    Body,
)
from tests.support.vendor_stack import BOOKS, DIALECTS, FACTS, FAILING, VendorStack, vendor_stack
from tests.support.vendor_upstreams import VENDORS
from trunkline.protocol.names import ANTHROPIC, OPENAI_CHAT

BOOKED_WITHIN_S = 10.0
THINKERS = [name for name in FACTS if name != "llamacpp"]
OVERFLOWING = [vendor.name for vendor in VENDORS if OVERLONG in vendor.errors]
WORDLESS = {"qwen", "zhipu", "groq"}
"""Vendors that do not say how long a prompt was."""
CENSORS = [name for name, facts in FACTS.items() if BLOCKED in facts.models]

each_way = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
each_client = pytest.mark.parametrize("client", DIALECTS)
each_vendor = pytest.mark.parametrize("vendor", FACTS)


def vendors_with(model: str) -> pytest.MarkDecorator:
    """Return a parameter for the vendors that have a failing model."""
    return pytest.mark.parametrize("vendor", [failing.vendor for failing in FAILING if failing.model == model])


@pytest.fixture(scope="module")
def stack() -> Iterator[VendorStack]:
    with vendor_stack() as stack:
        yield stack


def reasoning_of(told: Told, client: str, vendor: str) -> str:
    """Return the reasoning where this client finds it: relayed as the vendor names it, or translated."""
    if client == OPENAI_CHAT and FACTS[vendor].thought_field == "reasoning":
        return str(told.raw.choices[0].message.reasoning)
    return told.reasoning


@each_way
@each_client
@each_vendor
def test_text(stack: VendorStack, vendor: str, client: str, *, stream: bool) -> None:
    told = stack.ask(client, f"{vendor}.{MAIN}", stream=stream, system="Be brief.")
    assert told.text == TEXT
    assert told.finish == ("stop" if client == OPENAI_CHAT else "end_turn")
    assert stack.vendor(vendor).last["messages"][0]["content"] == "Be brief."


@each_way
@each_client
@each_vendor
def test_a_tool_loop_of_two_turns(stack: VendorStack, vendor: str, client: str, *, stream: bool) -> None:
    question = Question(f"{vendor}.{MAIN}", "What is the weather?", tool=True)
    sdk = stack.clients[client]
    asked = sdk.ask(question, stream=stream)
    (call,) = asked.calls
    assert (call.name, call.arguments) == (TOOL, json.loads(ARGUMENTS))
    assert asked.finish == ("tool_calls" if client == OPENAI_CHAT else "tool_use")
    told = sdk.ask(question._replace(earlier=asked, results=[(call, "Sunny.")]), stream=stream)
    assert told.text == TEXT
    sent = stack.vendor(vendor).last["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "tool"]
    (written,) = sent[1]["tool_calls"]
    assert "12345678901234567890" in written["function"]["arguments"], "a long integer lost digits"
    assert sent[2] == {"role": "tool", "tool_call_id": written["id"], "content": "Sunny."}


@each_way
@each_client
@pytest.mark.parametrize("vendor", THINKERS)
def test_reasoning(stack: VendorStack, vendor: str, client: str, *, stream: bool) -> None:
    told = stack.ask(client, f"{vendor}.{MAIN}", stream=stream)
    assert reasoning_of(told, client, vendor) == THOUGHT
    assert told.text == TEXT


@each_way
@each_client
@each_vendor
def test_usage(stack: VendorStack, vendor: str, client: str, *, stream: bool) -> None:
    told = stack.ask(client, f"{vendor}.{MAIN}", stream=stream)
    if vendor == "llamacpp" and stream:
        # Its server says nothing, so that it is counted.
        assert 0 < told.input_tokens < PROMPT_TOKENS
        assert 0 < told.output_tokens < COMPLETION_TOKENS
        return
    assert (told.input_tokens, told.output_tokens) == (PROMPT_TOKENS, COMPLETION_TOKENS)
    if client == ANTHROPIC:
        read, written = FACTS[vendor].cached, 10 if vendor == "qwen" else 0
        usage = told.raw.usage
        assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (read, written)
        assert usage.input_tokens == PROMPT_TOKENS - read - written


@each_vendor
def test_usage_is_booked_in_the_ledgers_terms(stack: VendorStack, vendor: str) -> None:
    """No usage is asked for here: the gateway must know all the same, and show none of it."""
    model = f"{vendor}.{BOOKS}"
    stack.chat_with(model)
    messages: Any = [{"role": "user", "content": "Hello"}]
    chunks = list(stack.chat.chat.completions.create(model=model, messages=messages, stream=True))
    assert not [chunk for chunk in chunks if chunk.usage and not chunk.choices]

    def booked() -> dict[str, Any] | None:
        rows: list[dict[str, Any]] = stack.surface.admin("GET", "/usage?by=model")
        return next((row for row in rows if row["model"] == model and row["answers"] == 2), None)

    row = until(booked, BOOKED_WITHIN_S, "both answers are booked")
    if vendor == "llamacpp":
        assert PROMPT_TOKENS < row["input_tokens"] < 2 * PROMPT_TOKENS
        assert COMPLETION_TOKENS < row["output_tokens"] < 2 * COMPLETION_TOKENS
    else:
        assert (row["input_tokens"], row["output_tokens"]) == (2 * PROMPT_TOKENS, 2 * COMPLETION_TOKENS)
        assert row["cache_read_tokens"] == 2 * FACTS[vendor].cached


# --- Errors ----------------------------------------------------------------------------------------------------------


@each_way
@each_client
@pytest.mark.parametrize("vendor", OVERFLOWING)
def test_a_full_context_is_told_in_the_clients_words(
    stack: VendorStack, vendor: str, client: str, *, stream: bool
) -> None:
    error = stack.refusal(client, f"{vendor}.{OVERLONG}", stream=stream)
    assert error.status_code == 400
    if client == OPENAI_CHAT:
        assert error.code == "context_length_exceeded"
        return
    sizes = "" if vendor in WORDLESS else f"{ASKED_TOKENS} tokens > {BOUND_TOKENS} maximum"
    assert error.body["error"]["message"].startswith(f"prompt is too long: {sizes}")


@each_way
@each_client
@pytest.mark.parametrize("vendor", CENSORS)
def test_blocked_content_is_the_clients_matter_and_costs_no_credential(
    stack: VendorStack, vendor: str, client: str, *, stream: bool
) -> None:
    error = stack.refusal(client, f"{vendor}.{BLOCKED}", stream=stream)
    assert error.status_code == 400
    if client == OPENAI_CHAT:
        assert error.code == "content_filter"
    assert stack.ask(client, f"{vendor}.{MAIN}", stream=stream).text == TEXT


@each_way
@each_client
@vendors_with(UNPAID)
def test_an_unpaid_account_is_not_the_clients_matter(
    stack: VendorStack, vendor: str, client: str, *, stream: bool
) -> None:
    error = stack.refusal(client, f"{vendor}.{UNPAID}", stream=stream)
    assert error.status_code == 502
    # The first one is the provider's answer, the next ones find the credential set aside.
    assert "refused the gateway's own credential" in error.message or "refuse the gateway's cred" in error.message


@each_client
@vendors_with(LIMITED)
def test_a_limit_is_told_with_its_wait(stack: VendorStack, vendor: str, client: str) -> None:
    error = stack.refusal(client, f"{vendor}.{LIMITED}", stream=False)
    assert error.status_code == 429
    wait_ms = int(error.response.headers["retry-after-ms"])
    # Groq states one, in words; the others get the gateway's own.
    assert 5000 < wait_ms <= 7660 if vendor == "groq" else wait_ms <= 5000


# --- Thinking, in each vendor's own field ----------------------------------------------------------------------------

BUDGET_TOKENS = 2048
ON: dict[str, Body] = {
    "deepseek": {"thinking": {"type": "enabled"}, "reasoning_effort": "medium"},
    "qwen": {"enable_thinking": True, "thinking_budget": BUDGET_TOKENS},
    "moonshot": {"reasoning_effort": "low"},
    "zhipu": {"thinking": {"type": "enabled"}},
    "xai": {},
    "mistral": {},
    "groq": {"reasoning_effort": "medium"},
    "openrouter": {"reasoning": {"max_tokens": BUDGET_TOKENS}},
    "vllm": {"chat_template_kwargs": {"enable_thinking": True}},
}
OFF: dict[str, Body] = {
    "deepseek": {"thinking": {"type": "disabled"}},
    "qwen": {"enable_thinking": False},
    "zhipu": {"thinking": {"type": "disabled"}},
    "openrouter": {"reasoning": {"enabled": False}},
    "vllm": {"chat_template_kwargs": {"enable_thinking": False}},
}
FIELDS = ("thinking", "enable_thinking", "thinking_budget", "reasoning", "reasoning_effort", "chat_template_kwargs")


@pytest.mark.parametrize("vendor", ON)
def test_thinking_is_asked_for(stack: VendorStack, vendor: str) -> None:
    thinking: Any = {"type": "enabled", "budget_tokens": BUDGET_TOKENS}
    told = stack.message_to(f"{vendor}.{MAIN}", thinking=thinking)
    assert [block.type for block in told.content] == ["thinking", "text"]
    sent = stack.vendor(vendor).last
    assert {name: sent[name] for name in FIELDS if name in sent} == ON[vendor]


@pytest.mark.parametrize("vendor", OFF)
def test_thinking_is_turned_off(stack: VendorStack, vendor: str) -> None:
    told = stack.message_to(f"{vendor}.{MAIN}", thinking={"type": "disabled"})
    assert [block.type for block in told.content] == ["text"]
    sent = stack.vendor(vendor).last
    assert {name: sent[name] for name in FIELDS if name in sent} == OFF[vendor]
