"""A stack whose channels are the vendors of `vendor_upstreams`, each set up as docs/dialects.md says."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import anthropic
import openai
import yaml
from anthropic.types import Message
from openai.types.chat import ChatCompletion

from tests.support.sdk_clients import CLIENTS, SCHEMA, TIMEOUT_S, TOOL, Client, Question, Told
from tests.support.surface import Surface, running_surface
from tests.support.vendor_base import (
    BLOCKED,
    CACHED_TOKENS,
    LIMITED,
    MAIN,
    OVERLONG,
    UNPAID,
    Vendor,
)
from tests.support.vendor_upstreams import HOST, VendorUpstreams, vendor_upstreams
from trunkline.protocol.names import ANTHROPIC, OPENAI_CHAT

PAGE = Path(__file__).parents[2] / "docs/dialects.md"
ACCOUNT = "vendors"
BOOKS = "books"
"""A vendor's good model under a second name, for a test that looks at the ledger."""

DIALECTS = (OPENAI_CHAT, ANTHROPIC)
"""Of the clients: one whose bytes are relayed, and one that is translated."""


FOREIGN_CALL = "call_0123456789abcdefghijkl"
"""As OpenAI mints them."""

FUNCTION: Any = {"type": "function", "function": {"name": TOOL, "parameters": SCHEMA}}
USABLE: Any = {"name": TOOL, "input_schema": SCHEMA}
"""The weather tool, for each SDK."""

CHAT_HISTORY: list[Any] = [
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hello!"},
    {"role": "user", "content": "What is the weather?"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": FOREIGN_CALL, "type": "function", "function": {"name": TOOL, "arguments": '{"city": "Bern"}'}}
        ],
    },
    {"role": "tool", "tool_call_id": FOREIGN_CALL, "content": "Sunny."},
]
ANTHROPIC_HISTORY: list[Any] = [
    *CHAT_HISTORY[:3],
    {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": FOREIGN_CALL, "name": TOOL, "input": {"city": "Bern"}}],
    },
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": FOREIGN_CALL, "content": "Sunny."}]},
]
"""A conversation that another vendor's model began, without any reasoning."""


class Facts(NamedTuple):
    """What a test must know of a vendor.

    Attributes:
        models: that its channel serves beside the common ones.
        thought_field: where an openai SDK finds the reasoning.
        cached: tokens of the input that the vendor reports as read from a cache.
    """

    models: tuple[str, ...] = ()
    thought_field: str = "reasoning_content"
    cached: int = 0


FACTS: dict[str, Facts] = {
    "deepseek": Facts((BLOCKED,), cached=CACHED_TOKENS),
    "qwen": Facts((BLOCKED,), cached=CACHED_TOKENS),
    "moonshot": Facts((BLOCKED,), cached=CACHED_TOKENS),
    "zhipu": Facts((BLOCKED, "sensitive"), cached=CACHED_TOKENS),
    "xai": Facts((BLOCKED,), cached=CACHED_TOKENS),
    "mistral": Facts(("full",)),
    "groq": Facts(("garbles", "garbles-once"), "reasoning"),
    "together": Facts(thought_field="reasoning"),
    "fireworks": Facts(thought_field="reasoning"),
    "openrouter": Facts((BLOCKED, "acme/main:free"), "reasoning", CACHED_TOKENS),
    "vllm": Facts(("old",), "reasoning", CACHED_TOKENS),
    "ollama": Facts(),
    "llamacpp": Facts(("overlong-as-500",)),
}


class Variant(NamedTuple):
    """A second channel of a vendor, for one of its models; the channel's name is the public model's, too.

    Attributes:
        recommended: whose recommendation it follows.
        options: beside that.
    """

    vendor: str
    model: str
    recommended: str
    options: Mapping[str, Any] = MappingProxyType({})


VARIANTS: dict[str, Variant] = {
    "deepseek-translated": Variant("deepseek", MAIN, "deepseek", {"translated": True}),
    "qwen-open": Variant("qwen", "open", "qwen-open"),
    "qwen-thinking-only": Variant("qwen", "thinking-only", "qwen-thinking-only"),
}


class Failing(NamedTuple):
    """A model on a channel of its own, since its answers set a credential aside or eject a channel."""

    vendor: str
    model: str


FAILING = (
    *(Failing(vendor, UNPAID) for vendor in ("deepseek", "qwen", "moonshot", "zhipu", "xai", "mistral", "openrouter")),
    *(Failing(vendor, LIMITED) for vendor in ("zhipu", "mistral", "groq")),
    Failing("deepseek", "exhausted"),
    Failing("zhipu", "network"),
    Failing("mistral", "broken"),
    Failing("openrouter", "fails"),
    Failing("openrouter", "fails-midway"),
    Failing("vllm", "aborts"),
    Failing("ollama", "absent"),
)


class VendorStack(NamedTuple):
    """The running stack.

    Attributes:
        surface: itself.
        upstreams: the vendors.
        clients: SDKs with one face, by dialect.
        chat, messages: the SDKs themselves.
    """

    surface: Surface
    upstreams: VendorUpstreams
    clients: dict[str, Client]
    chat: openai.OpenAI
    messages: anthropic.Anthropic

    def vendor(self, name: str) -> Vendor:
        """Return a vendor."""
        return self.upstreams.vendors[name]

    def ask(self, client: str, model: str, *, stream: bool, **question: Any) -> Told:
        """Ask through an SDK with the common face; ``question`` as in `sdk_clients.Question`."""
        return self.clients[client].ask(Question(model, **question), stream=stream)

    def refusal(self, client: str, model: str, *, stream: bool) -> Any:
        """Return the error that an SDK raises."""
        try:
            told = self.ask(client, model, stream=stream, tool=True)
        except self.clients[client].error as error:
            return error
        raise AssertionError(f"{model} answered: {told}")

    def chat_with(self, model: str, *messages: Any, **fields: Any) -> ChatCompletion:
        """Return a whole answer to the openai SDK; without messages to a greeting."""
        completion: ChatCompletion = self.chat.chat.completions.create(
            model=model, messages=list(messages) or CHAT_HISTORY[:1], **fields
        )
        return completion

    def message_to(self, model: str, *messages: Any, **fields: Any) -> Message:
        """Return a whole answer to the anthropic SDK; without messages to a greeting."""
        message: Message = self.messages.messages.create(
            model=model, max_tokens=4096, messages=list(messages) or CHAT_HISTORY[:1], **fields
        )
        return message


def recommended() -> dict[str, Any]:
    """Return what the page says of a channel for each vendor."""
    block = PAGE.read_text().split("## Vendors behind OpenAI's chat")[1].split("```yaml")[1].split("```")[0]
    vendors: dict[str, Any] = yaml.safe_load(block)
    return vendors


def configuration(upstreams: VendorUpstreams) -> dict[str, object]:
    """Return a channel for each vendor, those of the variants, and one for each failing model."""
    said, channels = recommended(), []
    for vendor, facts in FACTS.items():
        overlong = (OVERLONG,) if OVERLONG in upstreams.vendors[vendor].errors else ()
        models = {f"{vendor}.{model}": model for model in (MAIN, *overlong, *facts.models)}
        channels.append(_channel(upstreams, vendor, vendor, models | {f"{vendor}.{BOOKS}": MAIN}, said[vendor]))
    for name, variant in VARIANTS.items():
        entry = said[variant.recommended]
        entry = {**entry, "options": {**entry["options"], **variant.options}}
        channels.append(_channel(upstreams, name, variant.vendor, {name: variant.model}, entry))
    for vendor, model in FAILING:
        models = {f"{vendor}.{model}": model}
        channels.append(_channel(upstreams, f"{vendor}-{model}", vendor, models, said[vendor]))
    names = [public for channel in channels for public in channel["models"]]
    return {
        "channels": channels,
        "models": [{"name": name, "price": {"input": "0.1", "output": "0.4"}} for name in names],
        "accounts": [{"name": ACCOUNT, "credit": "100"}],
    }


def _channel(
    upstreams: VendorUpstreams, name: str, vendor: str, models: dict[str, str], entry: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        **entry,
        "name": name,
        "dialect": "openai",
        "base_url": upstreams.base_url(vendor),
        "credentials": [f"sk-{name}-0123456789"],
        "models": models,
    }


@contextlib.contextmanager
def vendor_stack() -> Iterator[VendorStack]:
    """Run vendors, stack and SDKs for the length of the block."""
    with contextlib.ExitStack() as running:
        upstreams = running.enter_context(vendor_upstreams())
        # Pictures that clients name may be fetched from here, too.
        settings = {"TRUNKLINE_FETCH_ALLOW": f"{HOST}/32", "TRUNKLINE_FETCH_PORTS": str(upstreams.port)}
        surface = running.enter_context(running_surface(settings=settings))
        surface.admin("POST", "/apply", configuration(upstreams))
        key = surface.new_key(ACCOUNT, ACCOUNT)
        last = FAILING[-1]
        surface.wait_for_status(key, 200, f"/v1/models/{last.vendor}.{last.model}")
        url = surface.ready.base_url
        clients = {dialect: CLIENTS[dialect](url, key) for dialect in DIALECTS}
        with (
            openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=TIMEOUT_S) as chat,
            anthropic.Anthropic(base_url=url, api_key=key, max_retries=0, timeout=TIMEOUT_S) as messages,
        ):
            yield VendorStack(surface, upstreams, clients, chat, messages)
        for client in clients.values():
            client.close()
