"""The models list in Google's shape. The edge renders it for what a key may use."""

from collections.abc import Iterable

import msgspec

from trunkline.protocol.models import ModelCard

_METHODS = ("generateContent", "streamGenerateContent", "countTokens")


class _Model(msgspec.Struct, frozen=True, rename="camel"):
    """With the members in Google's order."""

    name: str
    display_name: str
    supported_generation_methods: tuple[str, ...] = _METHODS


class _ModelList(msgspec.Struct, frozen=True):
    models: tuple[_Model, ...]


_encode = msgspec.json.Encoder().encode


def render_models(cards: Iterable[ModelCard]) -> bytes:
    """Return the body of ``GET /v1beta/models``."""
    return _encode(_ModelList(tuple(_shown(card) for card in cards)))


def render_model(card: ModelCard) -> bytes:
    """Return the body of ``GET /v1beta/models/{model}``."""
    return _encode(_shown(card))


def _shown(card: ModelCard) -> _Model:
    return _Model(f"models/{card.id}", card.id)
