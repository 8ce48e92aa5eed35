"""The model square: which models some groups can call, how, and for how much. Made from the configuration. Pure.

The console reads rows and live figures, and asks `offers` for what people see. A model that no provider lets the
gateway use is as if it were not there, as it is for `GET /v1/models` at an edge.
"""

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from trunkline.bus.snapshots import ChannelSnapshot
from trunkline.core.money import PARTS_PER_MILLION
from trunkline.policy import list_prices
from trunkline.policy.admin_square import DialectUse, GroupTerms, LiveFigures, OfferedModel
from trunkline.policy.entities import Model, Prices
from trunkline.policy.list_prices import Listed, Serving
from trunkline.policy.model_capabilities import Kind, capabilities
from trunkline.policy.parameter_terms import parameter_terms
from trunkline.protocol import registry
from trunkline.protocol.names import ANTHROPIC, CONVERSATIONAL, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES

_BY_DIALECT: Final[Mapping[str, tuple[str, ...]]] = {
    OPENAI_CHAT: ("chat_completions", "completions"),
    OPENAI_RESPONSES: ("responses",),
    ANTHROPIC: ("messages",),
    GEMINI: ("generate_content", "stream_generate_content"),
}
_BY_KIND: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.CHAT: (*(label for name in CONVERSATIONAL for label in _BY_DIALECT[name]), "count_tokens"),
    Kind.EMBEDDINGS: ("embeddings", "embed_content", "batch_embed_contents"),
    Kind.IMAGES: ("images_generations", "images_edits", "images_variations"),
    Kind.SPEECH: ("audio_speech",),
    Kind.TRANSCRIPTS: ("audio_transcriptions", "audio_translations"),
    Kind.RERANK: ("rerank", "rerank_v2"),
    Kind.MODERATION: ("moderations",),
}
"""Labels of the edge's routes that take a model of a kind."""


class ConfiguredModel(NamedTuple):
    """A model, and since when it is here."""

    model: Model
    created_at: dt.datetime


class Source(NamedTuple):
    """All that the square is made of, but for live figures.

    Attributes:
        models: all, in any order.
        channels: all, without their credentials.
        refused: by channel, the models that its provider does not let the gateway use.
        multipliers_ppm: by group.
    """

    models: Sequence[ConfiguredModel]
    channels: Sequence[ChannelSnapshot]
    refused: Mapping[int, Collection[str]]
    multipliers_ppm: Mapping[str, int]


FindListed = Callable[[str, tuple[Serving, ...]], Listed]
"""Looks a model up in the lists of prices; see `policy.list_prices.listed`."""


def serving_channels(source: Source, groups: Sequence[str]) -> dict[str, list[ChannelSnapshot]]:
    """Return, by model, the channels through which some groups reach it now."""
    wanted = set(groups)
    found: dict[str, list[ChannelSnapshot]] = {}
    for channel in source.channels:
        takes = channel.enabled and not channel.drained and channel.weight > 0
        if not takes or not wanted.intersection(channel.groups):
            continue
        for model in channel.models.keys() - set(source.refused.get(channel.id, ())):
            found.setdefault(model, []).append(channel)
    return found


def offers(
    source: Source, groups: Sequence[str], live: Mapping[str, LiveFigures], find_listed: FindListed
) -> tuple[OfferedModel, ...]:
    """Return the models that some groups can call, by name.

    Args:
        source: see there.
        groups: in the order in which the caller would use them.
        live: by model.
        find_listed: see there.
    """
    serving = serving_channels(source, groups)
    found = []
    for configured in sorted(source.models, key=lambda each: each.model.name):
        model = configured.model
        channels = serving.get(model.name)
        if channels and (model.free or model.prices):
            listed = find_listed(model.name, _servings(model.name, channels))
            terms = tuple(_terms(name, model, source) for name in groups if _reaches(name, channels))
            found.append(_offer(configured, channels, terms, listed, live.get(model.name, LiveFigures())))
    return tuple(found)


def _offer(
    configured: ConfiguredModel,
    channels: Sequence[ChannelSnapshot],
    terms: tuple[GroupTerms, ...],
    listed: Listed,
    live: LiveFigures,
) -> OfferedModel:
    model = configured.model
    known = capabilities([model.name, *sorted({channel.models[model.name] for channel in channels})])
    by_hand = model.price_source != list_prices.SOURCE or bool(model.overrides)
    return OfferedModel(
        name=model.name,
        owned_by=model.owned_by,
        kind=known.kind,
        capabilities=known.can,
        capabilities_known=known.known,
        endpoints=_BY_KIND[known.kind],
        dialects=_dialects(channels) if known.kind is Kind.CHAT else (),
        free=model.free,
        groups=terms,
        list_prices=listed.prices if by_hand and not model.free and listed.prices != model.prices else None,
        context_tokens=listed.context_tokens,
        output_tokens_max=_output_max(channels) or known.output_tokens_max,
        parameters=parameter_terms(model.name, channels, known) if known.kind is Kind.CHAT else (),
        created_at=configured.created_at,
        live=live,
    )


def _servings(model: str, channels: Iterable[ChannelSnapshot]) -> tuple[Serving, ...]:
    return tuple(Serving(channel.dialect, channel.base_url, channel.models[model]) for channel in channels)


def _reaches(group: str, channels: Iterable[ChannelSnapshot]) -> bool:
    return any(group in channel.groups for channel in channels)


def _terms(group: str, model: Model, source: Source) -> GroupTerms:
    multiplier_ppm = source.multipliers_ppm.get(group, PARTS_PER_MILLION)
    return GroupTerms(group, multiplier_ppm, _multiplied(model.prices, multiplier_ppm))


def _multiplied(prices: Prices, multiplier_ppm: int) -> Prices:
    return {kind: price * multiplier_ppm // PARTS_PER_MILLION for kind, price in prices.items()}


def _dialects(channels: Iterable[ChannelSnapshot]) -> tuple[DialectUse, ...]:
    spoken = {registry.UPSTREAMS[channel.dialect].name for channel in channels}
    return tuple(DialectUse(name, name in spoken) for name in CONVERSATIONAL)


def _output_max(channels: Iterable[ChannelSnapshot]) -> int | None:
    """Return what the channels' options say; the least, since nobody knows which one answers."""
    return min((channel.options.max_output for channel in channels if channel.options.max_output), default=None)
