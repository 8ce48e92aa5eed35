"""The models list in OpenAI's shape, for Chat and Responses. The edge renders it for what a key may use."""

from collections.abc import Iterable

import msgspec

from trunkline.protocol.models import ModelCard


class _Model(msgspec.Struct, frozen=True):
    id: str
    created: int
    owned_by: str
    object: str = "model"


class _ModelList(msgspec.Struct, frozen=True):
    object: str
    data: tuple[_Model, ...]


_encode = msgspec.json.Encoder().encode


def render_models(cards: Iterable[ModelCard]) -> bytes:
    """Return the body of ``GET /v1/models``."""
    return _encode(_ModelList(object="list", data=tuple(_shown(card) for card in cards)))


def render_model(card: ModelCard) -> bytes:
    """Return the body of ``GET /v1/models/{model}``."""
    return _encode(_shown(card))


def _shown(card: ModelCard) -> _Model:
    return _Model(card.id, card.created, card.owned_by)
