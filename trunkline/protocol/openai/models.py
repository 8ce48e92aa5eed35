"""The models list in OpenAI's shape. The edge renders it for what a key may use."""

from collections.abc import Iterable

import msgspec


class ModelCard(msgspec.Struct, frozen=True):
    """One model as a client sees it, with the members in OpenAI's order.

    Attributes:
        id: public model name.
        created: Unix time in seconds.
        owned_by: who offers it.
        object: always ``model``.
    """

    id: str
    created: int
    owned_by: str
    object: str = "model"


class _ModelList(msgspec.Struct, frozen=True):
    object: str
    data: tuple[ModelCard, ...]


_encode = msgspec.json.Encoder().encode


def render_models(cards: Iterable[ModelCard]) -> bytes:
    """Return the body of ``GET /v1/models``."""
    return _encode(_ModelList(object="list", data=tuple(cards)))


def render_model(card: ModelCard) -> bytes:
    """Return the body of ``GET /v1/models/{model}``."""
    return _encode(card)
