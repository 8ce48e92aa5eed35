"""All dialects and endpoints, by the names that configuration and envelopes use. The only module to know all."""

from collections.abc import Callable

from trunkline.protocol import names
from trunkline.protocol.anthropic import links as anthropic_links
from trunkline.protocol.anthropic.dialect import Anthropic
from trunkline.protocol.dialect import ClientDialect, Conversant, RelayDialect, TokenCounter, UpstreamDialect
from trunkline.protocol.endpoint import Endpoint
from trunkline.protocol.endpoints.completion_crossing import CompletionsAsConversation
from trunkline.protocol.endpoints.completions import LegacyCompletions
from trunkline.protocol.endpoints.embeddings import OpenAIEmbeddings
from trunkline.protocol.endpoints.gemini_embeddings import GeminiBatchEmbedContents, GeminiEmbedContent
from trunkline.protocol.endpoints.images import ImageEdits, ImageGenerations, ImageVariations
from trunkline.protocol.endpoints.moderations import Moderations
from trunkline.protocol.endpoints.rerank import Rerank, RerankV2
from trunkline.protocol.endpoints.speech import Speech
from trunkline.protocol.endpoints.transcriptions import Transcriptions, Translations
from trunkline.protocol.gemini import links as gemini_links
from trunkline.protocol.gemini.dialect import Gemini
from trunkline.protocol.links import Link
from trunkline.protocol.openai_chat import links as chat_links
from trunkline.protocol.openai_chat.azure import AzureOpenAI
from trunkline.protocol.openai_chat.dialect import OpenAIChat
from trunkline.protocol.openai_responses import links as responses_links
from trunkline.protocol.openai_responses.dialect import OpenAIResponses

_CHAT, _AZURE, _RESPONSES, _ANTHROPIC, _GEMINI = OpenAIChat(), AzureOpenAI(), OpenAIResponses(), Anthropic(), Gemini()

CLIENTS: dict[str, ClientDialect] = {
    names.OPENAI_CHAT: _CHAT,
    names.OPENAI_RESPONSES: _RESPONSES,
    names.ANTHROPIC: _ANTHROPIC,
    names.GEMINI: _GEMINI,
}
"""The client's side, by the envelope's dialect."""

UPSTREAMS: dict[str, UpstreamDialect] = {
    names.UPSTREAM_OPENAI: _CHAT,
    names.UPSTREAM_AZURE: _AZURE,
    names.UPSTREAM_RESPONSES: _RESPONSES,
    names.UPSTREAM_ANTHROPIC: _ANTHROPIC,
    names.UPSTREAM_GEMINI: _GEMINI,
}
"""The upstream's side, by a channel's ``dialect``; several may speak one dialect (its ``name``)."""

RELAYS: dict[str, RelayDialect] = {
    names.OPENAI_CHAT: _CHAT,
    names.OPENAI_RESPONSES: _RESPONSES,
    names.ANTHROPIC: _ANTHROPIC,
    names.GEMINI: _GEMINI,
}
"""What passes a conversation on within one dialect, by its name."""

COUNTERS: dict[str, TokenCounter] = {
    names.OPENAI_RESPONSES: _RESPONSES,
    names.ANTHROPIC: _ANTHROPIC,
    names.GEMINI: _GEMINI,
}
"""Who answers questions for token counts, by the envelope's dialect."""

LINKS: dict[str, Callable[[bytes], list[Link]]] = {
    names.OPENAI_CHAT: chat_links.find_links,
    names.OPENAI_RESPONSES: responses_links.find_links,
    names.ANTHROPIC: anthropic_links.find_links,
    names.GEMINI: gemini_links.find_links,
}
"""What finds the pictures and documents that a request names by URL, by the envelope's dialect."""

_ENDPOINTS: tuple[Endpoint, ...] = (
    OpenAIEmbeddings(),
    GeminiEmbedContent(),
    GeminiBatchEmbedContents(),
    LegacyCompletions(),
    Moderations(),
    Rerank(),
    RerankV2(),
    ImageGenerations(),
    ImageEdits(),
    ImageVariations(),
    Speech(),
    Transcriptions(),
    Translations(),
)

CONVERSANTS: dict[str, Conversant] = {
    LegacyCompletions.name: CompletionsAsConversation(LegacyCompletions().count_input),
}
"""Endpoints that can be carried to a provider which only knows conversations, by their name."""

ENDPOINTS: dict[str, Endpoint] = {endpoint.name: endpoint for endpoint in _ENDPOINTS}
"""The endpoints beside conversations, by the name that stands in the envelope where a dialect would."""
