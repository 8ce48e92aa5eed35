"""The models an edge knows, from the ``models`` snapshot: may this key name it, and which are there to list?"""

from trunkline.bus import snapshots, subjects
from trunkline.bus.snapshots import ModelSnapshot
from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.policy.keys import CompiledKey
from trunkline.policy.pricing import ModelRates
from trunkline.protocol.dialect import ClientDialect
from trunkline.protocol.models import ModelCard


class Models:
    """The models that an enabled channel serves."""

    def __init__(self) -> None:
        self._models: dict[str, ModelSnapshot] = {}
        self._rates: dict[str, ModelRates] = {}

    def __len__(self) -> int:
        return len(self._models)

    def changed(self, token: str, value: bytes | None) -> None:
        """Take a change of the bucket; see `runtime.kv_view`."""
        if value is None:
            name = subjects.kv_name(token)
            self._models.pop(name, None)
            self._rates.pop(name, None)
        else:
            model = snapshots.decode_model(value)
            self._models[model.name] = model
            self._rates[model.name] = ModelRates(model)

    def rates(self, name: str) -> ModelRates:
        """Return what a model costs; nothing for one that has been taken away since a job of it began."""
        return self._rates.get(name, _NO_RATES)

    def find(self, name: str, key: CompiledKey) -> tuple[ModelSnapshot, tuple[str, ...]]:
        """Return a model and the groups through which the key reaches it, in the key's order.

        Raises:
            FaultError: there is no such model, no channel serves it now, it is not for this key, or it has no price.
        """
        model = self._models.get(name)
        # Without a group no enabled channel serves it: that is no matter of what a key may do.
        if model is None or not model.groups:
            raise FaultError(
                Fault(
                    ErrorType.CLIENT_MODEL_NOT_FOUND,
                    "There is no model of this name here. GET /v1/models lists those that your key may use.",
                    param="model",
                )
            )
        groups = _shared_groups(model, key)
        if not groups or not key.allows_model(name):
            raise FaultError(
                Fault(
                    ErrorType.POLICY_MODEL_NOT_ALLOWED,
                    "Your key may not use this model. GET /v1/models lists those that it may.",
                    param="model",
                )
            )
        if not _priced(model):
            raise FaultError(
                Fault(
                    ErrorType.POLICY_MODEL_NOT_ALLOWED,
                    "This model cannot be used: it has no price. The operator of this gateway must give it one, or "
                    "mark it as free.",
                    param="model",
                )
            )
        return model, groups

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


_NO_RATES = ModelRates(ModelSnapshot("", ()))


def _shared_groups(model: ModelSnapshot, key: CompiledKey) -> tuple[str, ...]:
    return tuple(group for group in key.policy.groups if group in model.groups)


def _priced(model: ModelSnapshot) -> bool:
    # What has no price would be served for nothing, and nobody has said that it may.
    return model.free or bool(model.prices)


def _card(model: ModelSnapshot) -> ModelCard:
    return ModelCard(model.name, model.created, model.owned_by)
