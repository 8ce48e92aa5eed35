"""The models an edge knows, from the buckets ``models`` and ``access``: may this key name it, which are there to list?

A group through which no provider lets the gateway use a model is as if no channel of it served the model.
"""

import contextlib
from typing import Final

import msgspec

from trunkline.bus import snapshots, subjects
from trunkline.bus.messages import Fallback, FallbackOn
from trunkline.bus.snapshots import ModelSnapshot
from trunkline.core import limits
from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.policy.keys import CompiledKey
from trunkline.policy.pricing import ModelRates
from trunkline.protocol.dialect import ClientDialect
from trunkline.protocol.models import ModelCard

FALLBACKS_KEPT_MAX = 10_000
"""Fallbacks that are remembered by model and what a key may use; past it they are worked out anew. Operators give them
to some models, and keys have a few sets of groups and patterns."""

_NOT_FOUND: Final = Fault(
    ErrorType.CLIENT_MODEL_NOT_FOUND,
    "There is no model of this name here. GET /v1/models lists those that your key may use.",
    param="model",
)
_NOT_ALLOWED: Final = Fault(
    ErrorType.POLICY_MODEL_NOT_ALLOWED,
    "Your key may not use this model. GET /v1/models lists those that it may.",
    param="model",
)
_UNPRICED: Final = Fault(
    ErrorType.POLICY_MODEL_NOT_ALLOWED,
    "This model cannot be used: it has no price. The operator of this gateway must give it one, or mark it as free.",
    param="model",
)


class Models:
    """The models that an enabled channel serves."""

    def __init__(self) -> None:
        self._models: dict[str, ModelSnapshot] = {}
        self._configured: dict[str, ModelSnapshot] = {}
        self._closed: dict[str, tuple[str, ...]] = {}
        self._rates: dict[str, ModelRates] = {}
        self._fallbacks: dict[tuple[str, tuple[str, ...], tuple[str, ...]], tuple[Fallback, ...]] = {}

    def __len__(self) -> int:
        return len(self._models)

    def changed(self, token: str, value: bytes | None) -> None:
        """Take a change of the bucket ``models``; see `runtime.kv_view`."""
        name = subjects.kv_name(token)
        if value is None:
            self._configured.pop(name, None)
            self._rates.pop(name, None)
        else:
            model = self._configured[name] = snapshots.decode_model(value)
            self._rates[name] = ModelRates(model)
        self._offer(name)

    def access_changed(self, token: str, value: bytes | None) -> None:
        """Take a change of the bucket ``access``; see `runtime.kv_view`."""
        name = subjects.kv_name(token)
        if value is None:
            self._closed.pop(name, None)
        else:
            self._closed[name] = snapshots.decode_access(value).closed
        self._offer(name)

    def _offer(self, name: str) -> None:
        self._fallbacks.clear()
        model, closed = self._configured.get(name), self._closed.get(name)
        if model is None:
            self._models.pop(name, None)
        elif closed:
            open_groups = tuple(group for group in model.groups if group not in closed)
            self._models[name] = msgspec.structs.replace(model, groups=open_groups)
        else:
            self._models[name] = model

    def rates(self, name: str) -> ModelRates:
        """Return what a model costs; nothing for one that has been taken away since a job of it began."""
        return self._rates.get(name, _NO_RATES)

    def configured(self, name: str) -> ModelSnapshot:
        """Return a model as it is configured; an empty one for what has been taken away since a job of it began."""
        return self._configured.get(name, _NO_MODEL)

    def find(self, name: str, key: CompiledKey) -> tuple[ModelSnapshot, tuple[str, ...]]:
        """Return a model and the groups through which the key reaches it, in the key's order.

        Raises:
            FaultError: there is no such model, no channel serves it now, it is not for this key, or it has no price.
        """
        model = self._models.get(name)
        # Without a group no enabled channel serves it: that is no matter of what a key may do.
        if model is None or not model.groups:
            raise FaultError(_NOT_FOUND)
        groups = _shared_groups(model, key)
        if not groups or not key.allows_model(name):
            raise FaultError(_NOT_FOUND if self.unserved(name, key) else _NOT_ALLOWED)
        if not _priced(model):
            raise FaultError(_UNPRICED)
        return model, groups

    def unserved(self, name: str, key: CompiledKey) -> bool:
        """Return whether a model is configured, and a key that may use it finds no channel that serves it for now."""
        model = self._configured.get(name)
        if model is None or not key.allows_model(name) or _shared_groups(self._models[name], key):
            return False
        return not model.groups or bool(_shared_groups(model, key))

    def fallbacks(self, model: ModelSnapshot, key: CompiledKey) -> tuple[Fallback, ...]:
        """Return what takes over from a model as its operator has it: of the models named, those that the key may use.

        Returns:
            Each model once, with all occasions on which it takes over; at most `limits.FALLBACKS_MAX`.
        """
        routing = model.routing
        if not (routing.fallbacks or routing.context_fallbacks or routing.filter_fallbacks):
            return ()
        place = (model.name, key.policy.groups, key.policy.models)
        found = self._fallbacks.get(place)
        if found is None:
            if len(self._fallbacks) >= FALLBACKS_KEPT_MAX:
                self._fallbacks.clear()
            found = self._fallbacks[place] = self._reached(model, key)
        return found

    def _reached(self, model: ModelSnapshot, key: CompiledKey) -> tuple[Fallback, ...]:
        occasions: dict[str, list[FallbackOn]] = {}
        for on, names in (
            (FallbackOn.FAILURE, model.routing.fallbacks),
            (FallbackOn.CONTEXT, model.routing.context_fallbacks),
            (FallbackOn.FILTER, model.routing.filter_fallbacks),
        ):
            for name in dict.fromkeys(names):
                occasions.setdefault(name, []).append(on)
        occasions.pop(model.name, None)
        found = []
        for name, on_all in occasions.items():
            with contextlib.suppress(FaultError):
                found.append(Fallback(name, self.find(name, key)[1], tuple(on_all)))
        return tuple(found[: limits.FALLBACKS_MAX])

    def render(self, key: CompiledKey, name: str, dialect: ClientDialect) -> bytes:
        """Return the models list of a key as JSON, or one model if ``name`` is not empty.

        Raises:
            FaultError: as `find`.
        """
        if name:
            model, _ = self.find(name, key)
            return dialect.render_model(_card(model))
        return dialect.render_models(
            _card(model)
            for model in sorted(self._models.values(), key=lambda model: model.name)
            if _shared_groups(model, key) and key.allows_model(model.name) and _priced(model)
        )


_NO_MODEL = ModelSnapshot("", ())
_NO_RATES = ModelRates(_NO_MODEL)


def _shared_groups(model: ModelSnapshot, key: CompiledKey) -> tuple[str, ...]:
    return tuple(group for group in key.policy.groups if group in model.groups)


def _priced(model: ModelSnapshot) -> bool:
    # What has no price would be served for nothing, and nobody has said that it may.
    return model.free or bool(model.prices)


def _card(model: ModelSnapshot) -> ModelCard:
    return ModelCard(model.name, model.created, model.owned_by)
