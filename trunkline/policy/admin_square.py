"""What the admin API says of models to those who call them: the model square. Prices are nano-USD."""

import datetime as dt

import msgspec

from trunkline.policy.entities import Prices


class GroupTerms(msgspec.Struct, frozen=True):
    """What a model costs through a group.

    Attributes:
        name: of the group.
        multiplier_ppm: in parts per million; in the prices already.
        prices: nano-USD per million units, by kind.
    """

    name: str
    multiplier_ppm: int
    prices: Prices


class DialectUse(msgspec.Struct, frozen=True):
    """A dialect in which a model can be called.

    Attributes:
        name: one of `protocol.names.CONVERSATIONAL`.
        native: whether a provider of it speaks that dialect; else requests are translated.
    """

    name: str
    native: bool


class ParameterTerms(msgspec.Struct, frozen=True, omit_defaults=True):
    """What becomes of a request's parameter.

    Attributes:
        name: as clients of Chat Completions call it.
        accepted: whether it has an effect at one of the providers, at least.
        everywhere: whether it has one at all of them.
        refused: whether a request with it is refused; else it is left out.
        min, max: bounds that a value is brought within.
    """

    name: str
    accepted: bool
    everywhere: bool
    refused: bool = False
    min: float | None = None
    max: float | None = None


class LiveFigures(msgspec.Struct, frozen=True):
    """How a model fares; None where nothing is known.

    Attributes:
        level: ``up``, ``degraded`` or ``down``.
        day_uptime_ppm, month_uptime_ppm: in how much of the last 24 hours, and 30 days, it could be used.
        first_token_ms: mean of the last 24 hours' streams.
        tokens_per_s: of output, of late.
    """

    level: str | None = None
    day_uptime_ppm: int | None = None
    month_uptime_ppm: int | None = None
    first_token_ms: int | None = None
    tokens_per_s: int | None = None


class OfferedModel(msgspec.Struct, frozen=True):
    """A model that can be called.

    Attributes:
        name: public.
        owned_by: for the models list.
        kind: what it makes: see `policy.model_capabilities.Kind`.
        capabilities: what it can do, as far as is known; see `policy.model_capabilities.Capability`.
        capabilities_known: whether one that is missing is known to be missing.
        endpoints: labels of the edge's routes that take it.
        dialects: for conversations; empty for what makes something else.
        free: costs nothing.
        groups: through which it can be called, in the caller's order.
        list_prices: those of its makers' list, where ours were set by hand; None where they are the list's, or on none.
        context_tokens: the most that a conversation with it may have; None if that is not known.
        output_tokens_max: the most that an answer may have; None if that is not known.
        parameters: those that are not simply passed on.
        created_at: since when it is here.
        live: see there.
    """

    name: str
    owned_by: str
    kind: str
    capabilities: tuple[str, ...]
    capabilities_known: bool
    endpoints: tuple[str, ...]
    dialects: tuple[DialectUse, ...]
    free: bool
    groups: tuple[GroupTerms, ...]
    list_prices: Prices | None
    context_tokens: int | None
    output_tokens_max: int | None
    parameters: tuple[ParameterTerms, ...]
    created_at: dt.datetime
    live: LiveFigures


class ModelSquare(msgspec.Struct, frozen=True):
    """The models that some groups can call.

    Attributes:
        base_url: of the gateway, as clients are given it; without a trailing slash.
        groups: whose models these are.
        models: by name.
    """

    base_url: str
    groups: tuple[str, ...]
    models: tuple[OfferedModel, ...]
