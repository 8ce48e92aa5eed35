"""What only one OpenAI-compatible vendor has, through a real stack with the options that docs/dialects.md names for it.

What all of them must give is in test_vendor_traits.py, which says more of how this is done.
"""

import base64
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from tests.support.sdk_clients import SCHEMA, TOOL, Question
from tests.support.vendor_base import (
    ARGUMENTS,
    ASKED_TOKENS,
    BOUND_TOKENS,
    COMPLETION_TOKENS,
    MAIN,
    OVERLONG,
    PROMPT_TOKENS,
    REASONING_TOKENS,
    TEXT,
    THOUGHT,
)
from tests.support.vendor_stack import (
    ANTHROPIC_HISTORY,
    CHAT_HISTORY,
    DIALECTS,
    FACTS,
    FOREIGN_CALL,
    FUNCTION,
    USABLE,
    VendorStack,
    vendor_stack,
)
from tests.support.vendor_upstreams import PICTURE
from trunkline.protocol.names import ANTHROPIC, OPENAI_CHAT

FAILED = {200, 502, 503, 529}
"""Statuses of an answer that failed: in the stream, at once, or since its channel is ejected by now."""

each_way = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
each_client = pytest.mark.parametrize("client", DIALECTS)


@pytest.fixture(scope="module")
def stack() -> Iterator[VendorStack]:
    with vendor_stack() as stack:
        yield stack


def go_on(stack: VendorStack, client: str, model: str, *more: Any) -> str:
    """Send a conversation that another model began, and return the answer's text."""
    if client == ANTHROPIC:
        message = stack.message_to(model, *ANTHROPIC_HISTORY, *more, tools=[USABLE])
        return "".join(block.text for block in message.content if block.type == "text")
    completion = stack.chat_with(model, *CHAT_HISTORY, *more, tools=[FUNCTION])
    return completion.choices[0].message.content or ""


# --- Several vendors -------------------------------------------------------------------------------------------------


@each_client
@pytest.mark.parametrize("model", ["deepseek-translated", f"mistral.{MAIN}", f"xai.{MAIN}", f"ollama.{MAIN}"])
def test_a_conversation_goes_on_at_another_vendor(stack: VendorStack, model: str, client: str) -> None:
    assert go_on(stack, client, model) == TEXT


@pytest.mark.parametrize("vendor", [name for name in FACTS if name != "openrouter"])
def test_an_anthropic_conversation_goes_on_at_another_vendor(stack: VendorStack, vendor: str) -> None:
    assert go_on(stack, ANTHROPIC, f"{vendor}.{MAIN}") == TEXT


def test_a_loop_moves_from_vendor_to_vendor(stack: VendorStack) -> None:
    sdk = stack.clients[OPENAI_CHAT]
    question = Question("deepseek-translated", "What is the weather?", tool=True)
    asked = sdk.ask(question, stream=True)
    results = [(asked.calls[0], "Sunny.")]
    told = sdk.ask(question._replace(model=f"mistral.{MAIN}", earlier=asked, results=results), stream=True)
    assert told.text == TEXT
    sent = stack.vendor("mistral").last["messages"]
    assert sent[1].keys() == {"role", "content", "tool_calls"}
    assert len(sent[1]["tool_calls"][0]["id"]) == 9


@pytest.mark.parametrize("vendor", ["qwen", "zhipu"])
def test_top_p_stays_within_open_bounds(stack: VendorStack, vendor: str) -> None:
    stack.chat_with(f"{vendor}.{MAIN}", top_p=1)
    assert stack.vendor(vendor).last["top_p"] == 0.99
    stack.message_to(f"{vendor}.{MAIN}", extra_body={"top_p": 0})
    assert stack.vendor(vendor).last["top_p"] == 0.01


@pytest.mark.parametrize(
    ("vendor", "fields"),
    [
        ("deepseek", {"seed": 7}),
        ("qwen", {"frequency_penalty": 1}),
        ("xai", {"stop": ["x"], "presence_penalty": 1, "frequency_penalty": 1, "reasoning_effort": "high"}),
        ("mistral", {"seed": 7, "reasoning_effort": "high", "prompt_cache_key": "k"}),
    ],
)
def test_what_a_vendor_refuses_is_dropped(stack: VendorStack, vendor: str, fields: dict[str, Any]) -> None:
    stack.chat_with(f"{vendor}.{MAIN}", temperature=0.5, **fields)
    sent = stack.vendor(vendor).last
    assert sent["temperature"] == 0.5
    assert not sent.keys() & fields.keys()


@pytest.mark.parametrize("vendor", ["qwen", "openrouter"])
def test_cache_marks_arrive(stack: VendorStack, vendor: str) -> None:
    text: Any = {"type": "text", "text": "Long.", "cache_control": {"type": "ephemeral"}}
    stack.message_to(f"{vendor}.{MAIN}", system=[text])
    assert stack.vendor(vendor).last["messages"][0] == {"role": "system", "content": [text]}


@each_client
@pytest.mark.parametrize("vendor", ["moonshot", "ollama"])
def test_a_picture_by_url_is_sent_inline(stack: VendorStack, vendor: str, client: str) -> None:
    url = stack.upstreams.picture_url
    if client == OPENAI_CHAT:
        picture: Any = {"type": "image_url", "image_url": {"url": url}}
        stack.chat_with(f"{vendor}.{MAIN}", {"role": "user", "content": [picture]})
    else:
        picture = {"type": "image", "source": {"type": "url", "url": url}}
        stack.message_to(f"{vendor}.{MAIN}", {"role": "user", "content": [picture]})
    (part,) = stack.vendor(vendor).last["messages"][0]["content"]
    assert part["image_url"]["url"] == f"data:image/png;base64,{base64.b64encode(PICTURE).decode()}"


@each_way
@each_client
@pytest.mark.parametrize("model", ["deepseek.exhausted", "zhipu.network", "mistral.broken", "vllm.aborts"])
def test_a_failed_finish_is_no_good_end(stack: VendorStack, model: str, client: str, *, stream: bool) -> None:
    error = stack.refusal(client, model, stream=stream)
    assert getattr(error, "status_code", 200) in FAILED


# --- DeepSeek --------------------------------------------------------------------------------------------------------


def test_deepseek_gets_its_reasoning_back_on_every_turn(stack: VendorStack) -> None:
    thought = {"type": "thinking", "thinking": THOUGHT, "signature": ""}
    said = {"role": "assistant", "content": [thought, {"type": "text", "text": "Hello!"}]}
    stack.message_to(f"deepseek.{MAIN}", CHAT_HISTORY[0], said, CHAT_HISTORY[2])
    replayed = {"role": "assistant", "content": "Hello!", "reasoning_content": THOUGHT}
    assert stack.vendor("deepseek").last["messages"][1] == replayed


@each_client
def test_deepseek_has_no_schemas_so_a_tool_stands_for_one(stack: VendorStack, client: str) -> None:
    told = stack.ask(client, "deepseek-translated", stream=True, schema=SCHEMA)
    assert (told.text, told.calls) == (ARGUMENTS, [])
    assert told.finish == ("stop" if client == OPENAI_CHAT else "end_turn")


# --- Qwen ------------------------------------------------------------------------------------------------------------


@each_client
def test_qwen_thinks_in_streams_only_and_is_put_together(stack: VendorStack, client: str) -> None:
    told = stack.ask(client, "qwen-thinking-only", stream=False)
    assert (told.text, told.reasoning) == (TEXT, THOUGHT)
    assert (told.input_tokens, told.output_tokens) == (PROMPT_TOKENS, COMPLETION_TOKENS)
    assert stack.vendor("qwen").last["stream"] is True


@each_client
def test_an_open_qwen_is_told_not_to_think(stack: VendorStack, client: str) -> None:
    told = stack.ask(client, "qwen-open", stream=False)
    assert (told.text, told.reasoning) == (TEXT, "")


def test_qwens_bound_on_the_context_is_told_as_one_number(stack: VendorStack) -> None:
    error = stack.refusal(ANTHROPIC, f"qwen.{OVERLONG}", stream=False)
    assert f"maximum of {BOUND_TOKENS} tokens" in error.message
    assert "> 1 maximum" not in error.message


# --- Moonshot --------------------------------------------------------------------------------------------------------


def test_moonshot_gets_schemas_of_its_own_flavour(stack: VendorStack) -> None:
    unit = {"type": "string", "anyOf": [{"enum": ["C", "F"]}, {"pattern": "K.*"}]}
    places = [{"properties": {"city": {"type": "string"}}}, {"properties": {"place": {"type": "string"}}}]
    schema: Any = {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "anyOf": places}
    stack.message_to(
        f"moonshot.{MAIN}", tools=[{"name": TOOL, "input_schema": {**schema, "properties": {"unit": unit}}}]
    )
    sent = stack.vendor("moonshot").last["tools"][0]["function"]["parameters"]
    assert sent["type"] == "object"
    assert sent["properties"] == {
        "unit": {"anyOf": [{"type": "string", "enum": ["C", "F"]}, {"type": "string", "pattern": "K.*"}]},
        "city": {"type": "string"},
        "place": {"type": "string"},
    }


def test_moonshot_wants_a_result_for_every_call(stack: VendorStack) -> None:
    with pytest.raises(openai.BadRequestError, match=FOREIGN_CALL):
        stack.chat_with(f"moonshot.{MAIN}", *CHAT_HISTORY[:4], CHAT_HISTORY[0])
    before = len(stack.vendor("moonshot").seen)
    with pytest.raises(anthropic.BadRequestError, match=FOREIGN_CALL):
        stack.message_to(f"moonshot.{MAIN}", *ANTHROPIC_HISTORY[:4], CHAT_HISTORY[0], tools=[USABLE])
    assert len(stack.vendor("moonshot").seen) == before, "what the gateway knows to be refused is not sent"


def test_moonshots_temperature_ends_at_one(stack: VendorStack) -> None:
    stack.chat_with(f"moonshot.{MAIN}", temperature=1.5)
    assert stack.vendor("moonshot").last["temperature"] == 1


# --- Zhipu -----------------------------------------------------------------------------------------------------------


def test_zhipus_tools_are_never_forced(stack: VendorStack) -> None:
    tools: list[Any] = [USABLE, {"name": "other", "input_schema": SCHEMA}]
    forced = stack.messages.messages.with_raw_response.create(
        model=f"zhipu.{MAIN}",
        max_tokens=4096,
        messages=CHAT_HISTORY[:1],
        tools=tools,
        tool_choice={"type": "tool", "name": "other"},
    )
    assert forced.headers["x-trunkline-fidelity"] == "degraded=tool_choice"
    sent = stack.vendor("zhipu").last
    assert "tool_choice" not in sent
    assert [tool["function"]["name"] for tool in sent["tools"]] == ["other"]
    stack.message_to(f"zhipu.{MAIN}", tools=tools, tool_choice={"type": "none"})
    assert not stack.vendor("zhipu").last.keys() & {"tools", "tool_choice"}


@each_client
def test_zhipus_schema_cannot_be_demanded(stack: VendorStack, client: str) -> None:
    with pytest.raises(stack.clients[client].error, match="A schema for the answer cannot be carried"):
        stack.ask(client, f"zhipu.{MAIN}", stream=False, schema=SCHEMA)


@each_way
@each_client
def test_zhipus_sensitive_end_is_a_filter(stack: VendorStack, client: str, *, stream: bool) -> None:
    told = stack.ask(client, "zhipu.sensitive", stream=stream)
    assert (told.text, told.finish) == ("", "content_filter" if client == OPENAI_CHAT else "refusal")


def test_zhipus_numbers_are_no_codes(stack: VendorStack) -> None:
    with pytest.raises(openai.BadRequestError, match="thinking") as raised:
        stack.chat_with(f"zhipu.{MAIN}", extra_body={"thinking": {"type": "odd"}})
    assert raised.value.code == "invalid_value"


# --- xAI -------------------------------------------------------------------------------------------------------------


@each_way
def test_xais_reasoning_is_part_of_the_completion_as_clients_count(stack: VendorStack, *, stream: bool) -> None:
    told = stack.ask(OPENAI_CHAT, f"xai.{MAIN}", stream=stream)
    usage = told.raw.usage
    assert (usage.completion_tokens, usage.total_tokens) == (COMPLETION_TOKENS, PROMPT_TOKENS + COMPLETION_TOKENS)
    assert usage.completion_tokens_details.reasoning_tokens == REASONING_TOKENS


# --- Mistral ---------------------------------------------------------------------------------------------------------


@each_client
def test_mistral_gets_a_word_between_results_and_the_user(stack: VendorStack, client: str) -> None:
    go_on(stack, client, f"mistral.{MAIN}", {"role": "user", "content": "Be quick."})
    assert stack.vendor("mistral").last["messages"][-2:] == [
        {"role": "assistant", "content": "OK."},
        {"role": "user", "content": "Be quick."},
    ]


def test_mistrals_word_for_a_required_call_is_any(stack: VendorStack) -> None:
    stack.chat_with(f"mistral.{MAIN}", tools=[FUNCTION], tool_choice="required")
    assert stack.vendor("mistral").last["tool_choice"] == "any"
    stack.message_to(f"mistral.{MAIN}", tools=[USABLE], tool_choice={"type": "any"})
    assert stack.vendor("mistral").last["tool_choice"] == "any"


def test_mistral_gets_its_own_fields_and_the_bound_by_its_older_name(stack: VendorStack) -> None:
    stack.chat_with(f"mistral.{MAIN}", max_completion_tokens=99, extra_body={"safe_prompt": True})
    sent = stack.vendor("mistral").last
    assert (sent["max_tokens"], sent["safe_prompt"]) == (99, True)


def test_mistrals_refusal_names_the_field_and_quotes_nothing(stack: VendorStack) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        stack.chat_with(f"mistral.{MAIN}", extra_body={"min_p": 0.1, "top_a": 1})
    assert raised.value.param == "min_p"
    words = "min_p: Extra inputs are not permitted; top_a: Extra inputs are not permitted"
    assert isinstance(raised.value.body, dict)
    assert raised.value.body["message"] == words


@each_way
@each_client
def test_mistrals_full_model_is_an_end_by_length(stack: VendorStack, client: str, *, stream: bool) -> None:
    told = stack.ask(client, "mistral.full", stream=stream)
    assert told.finish == ("length" if client == OPENAI_CHAT else "model_context_window_exceeded")


def test_mistral_is_not_asked_to_go_on_with_what_it_never_said(stack: VendorStack) -> None:
    with pytest.raises(anthropic.BadRequestError, match="messages"):
        stack.message_to(f"mistral.{MAIN}", CHAT_HISTORY[0], {"role": "assistant", "content": "It is"})


# --- Groq ------------------------------------------------------------------------------------------------------------


@each_way
@each_client
def test_groq_is_asked_once_more_where_it_could_not_read_its_own_call(
    stack: VendorStack, client: str, *, stream: bool
) -> None:
    told = stack.ask(client, "groq.garbles-once", stream=stream, tool=True)
    assert [call.name for call in told.calls] == [TOOL]


@each_client
def test_groq_is_asked_no_more_than_twice(stack: VendorStack, client: str) -> None:
    before = len(stack.vendor("groq").seen)
    error = stack.refusal(client, "groq.garbles", stream=False)
    assert error.status_code == 400
    assert "Failed to call a function" in error.message
    assert len(stack.vendor("groq").seen) == before + 2


def test_groqs_bound_on_choices_is_told(stack: VendorStack) -> None:
    with pytest.raises(openai.BadRequestError, match="number must be at most 1"):
        stack.chat_with(f"groq.{MAIN}", n=2)


# --- OpenRouter ------------------------------------------------------------------------------------------------------


def test_openrouters_own_fields_arrive_and_its_cost_comes_back(stack: VendorStack) -> None:
    own = {"provider": {"order": ["acme"]}, "reasoning": {"effort": "low"}}
    told = stack.chat_with("openrouter.acme/main:free", extra_body=own)
    sent = stack.vendor("openrouter").last
    assert {name: sent[name] for name in ("model", *own)} == {"model": "acme/main:free", **own}
    assert told.usage is not None
    assert told.usage.model_extra == {"cost": 0.00042, "is_byok": False}


@each_way
@each_client
def test_openrouters_error_inside_a_200_is_one(stack: VendorStack, client: str, *, stream: bool) -> None:
    error = stack.refusal(client, "openrouter.fails", stream=stream)
    assert error.status_code in FAILED - {200}, "an error that could have been known came behind a 200"


@each_client
def test_openrouters_error_behind_words_is_no_end(stack: VendorStack, client: str) -> None:
    error = stack.refusal(client, "openrouter.fails-midway", stream=True)
    assert getattr(error, "status_code", 200) in FAILED


# --- vLLM, Ollama, llama.cpp -----------------------------------------------------------------------------------------


@each_way
@each_client
def test_vllms_older_name_for_reasoning_is_read_too(stack: VendorStack, client: str, *, stream: bool) -> None:
    assert stack.ask(client, "vllm.old", stream=stream).reasoning == THOUGHT


def test_vllm_gets_its_reasoning_back_under_its_own_name(stack: VendorStack) -> None:
    question = Question(f"vllm.{MAIN}", tool=True)
    asked = stack.clients[ANTHROPIC].ask(question, stream=True)
    stack.clients[ANTHROPIC].ask(question._replace(earlier=asked, results=[(asked.calls[0], "Sunny.")]), stream=True)
    assert stack.vendor("vllm").last["messages"][1]["reasoning"] == THOUGHT


def test_instructions_midway_do_not_break_vllms_template(stack: VendorStack) -> None:
    midway = {"role": "system", "content": "Answer in French."}
    stack.message_to(f"vllm.{MAIN}", *CHAT_HISTORY[:3], midway, CHAT_HISTORY[1], CHAT_HISTORY[0])
    marked = {"role": "user", "content": "<system>\nAnswer in French.\n</system>"}
    assert stack.vendor("vllm").last["messages"][3] == marked


def test_vllms_usage_on_every_chunk_counts_at_its_last(stack: VendorStack) -> None:
    options: Any = {"include_usage": True, "continuous_usage_stats": True}
    chunks = list(
        stack.chat.chat.completions.create(
            model=f"vllm.{MAIN}", messages=CHAT_HISTORY[:1], stream=True, stream_options=options
        )
    )
    assert [chunk.usage.completion_tokens if chunk.usage else 0 for chunk in chunks] == [
        *[1] * (len(chunks) - 1),
        COMPLETION_TOKENS,
    ]


@each_way
@each_client
def test_ollamas_calls_get_ids_of_their_own(stack: VendorStack, client: str, *, stream: bool) -> None:
    ids = set()
    for city in ("Bern", "Basel"):
        told = stack.ask(client, f"ollama.{MAIN}", stream=stream, tool=True, text=f"What is the weather in {city}?")
        ids |= {call.id for call in told.calls}
    assert len(ids) == 2
    assert all(identity.startswith("call_") for identity in ids)


@each_client
def test_a_model_that_ollama_has_not_pulled_is_the_operators_matter(stack: VendorStack, client: str) -> None:
    assert stack.refusal(client, "ollama.absent", stream=False).status_code in FAILED - {200}


@each_client
def test_llamacpps_sizes_are_told_even_with_the_status_of_a_failure(stack: VendorStack, client: str) -> None:
    error = stack.refusal(client, "llamacpp.overlong-as-500", stream=False)
    assert error.status_code == 400
    assert str(ASKED_TOKENS) in error.message
    assert str(BOUND_TOKENS) in error.message


def test_llamacpps_timings_reach_chat_clients(stack: VendorStack) -> None:
    told = stack.chat_with(f"llamacpp.{MAIN}")
    assert told.model_extra is not None
    assert told.model_extra["timings"]["prompt_n"] == 120
