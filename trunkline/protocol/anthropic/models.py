"""The models list in Anthropic's shape. The edge renders it for what a key may use."""

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from trunkline.protocol.models import ModelCard


class _Model(msgspec.Struct, frozen=True):
    """With the members in Anthropic's order."""

    type: str
    id: str
    display_name: str
    created_at: str


class _ModelList(msgspec.Struct, frozen=True):
    data: tuple[_Model, ...]
    has_more: bool
    first_id: str | None
    last_id: str | None


_encode = msgspec.json.Encoder().encode


def render_models(cards: Iterable[ModelCard]) -> bytes:
    """Return the body of ``GET /v1/models``: always one page, whatever limit the client asks for."""
    shown = tuple(_shown(card) for card in cards)
    first, last = (shown[0].id, shown[-1].id) if shown else (None, None)
    return _encode(_ModelList(shown, has_more=False, first_id=first, last_id=last))


def render_model(card: ModelCard) -> bytes:
    """Return the body of ``GET /v1/models/{model}``."""
    return _encode(_shown(card))


def _shown(card: ModelCard) -> _Model:
    created = datetime.fromtimestamp(card.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return _Model("model", card.id, card.id, created)
