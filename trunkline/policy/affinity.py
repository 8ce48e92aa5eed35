"""What keeps a conversation where it is: one number, worked out by the edge and followed by every dispatcher.

A provider's prompt cache belongs to an account, and encrypted reasoning can be read only in the account that made it
(DIALECTS sections 2.5 and 2.6). So the requests of a conversation go to the same channel with the same credential. No
process keeps a table of conversations: edges make the same number of each of its requests, and dispatchers draw from it
instead of from chance, so that every replica comes to the same plan.
"""

from collections.abc import Callable, Mapping

from trunkline.core.hashing import GOLDEN, digest64, fraction, mix64

CONVERSATION_HEADERS = ("session_id", "x-session-id", "x-claude-code-session-id", "conversation_id")
"""Headers in which programs name a conversation, lower case. Codex sends the first and the last, Claude Code the
third."""


def affinity_of(account: int, headers: Mapping[str, str], *, named: int, opening: int) -> int:
    """Return the number of a request's conversation, below 2⁶⁴; 0 where nothing tells it from others.

    The name in the body counts first, then one in a header, then how the conversation begins.

    Args:
        account: whose it is: two accounts never share a conversation.
        headers: of the request, names in lower case.
        named: see `protocol.dialect.ClientRequest`.
        opening: see there.
    """
    conversation = named or _named_by_header(headers) or opening
    return (mix64(conversation ^ mix64(account)) or 1) if conversation else 0


def _named_by_header(headers: Mapping[str, str]) -> int:
    for header in CONVERSATION_HEADERS:
        name = headers.get(header)
        if name:
            return digest64(name.encode())
    return 0


def draws(affinity: int) -> Callable[[], float]:
    """Return a source of uniform numbers, 0 < x < 1, the same ones for the same affinity (SplitMix64)."""
    state = affinity

    def draw() -> float:
        nonlocal state
        state += GOLDEN
        return fraction(mix64(state))

    return draw
