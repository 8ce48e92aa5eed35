"""All dialects, by the names that configuration and envelopes use. The one module that knows every one of them."""

from trunkline.protocol import names
from trunkline.protocol.openai_chat.dialect import OpenAIChat

_OPENAI_CHAT = OpenAIChat()

CLIENTS: dict[str, OpenAIChat] = {names.OPENAI_CHAT: _OPENAI_CHAT}
"""The client's side, by the envelope's dialect."""

UPSTREAMS: dict[str, OpenAIChat] = {"openai": _OPENAI_CHAT}
"""The upstream's side, by a channel's ``dialect``; several may speak one dialect (its ``name``)."""

RELAYS: dict[str, OpenAIChat] = {names.OPENAI_CHAT: _OPENAI_CHAT}
"""What passes a conversation on within one dialect, by its name."""
