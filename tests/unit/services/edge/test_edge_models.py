"""Which models a key may name at an edge, and which it is shown."""

import pytest

from services.edge.models import Models
from trunkline.bus import snapshots, subjects
from trunkline.bus.snapshots import KeyPolicy, ModelSnapshot
from trunkline.core.errors import ErrorType, FaultError
from trunkline.policy.keys import CompiledKey
from trunkline.protocol import registry
from trunkline.protocol.names import OPENAI_CHAT

PRICES = {"input": 1, "output": 2}


def models(*known: ModelSnapshot) -> Models:
    found = Models()
    for model in known:
        found.changed(subjects.kv_token(model.name), snapshots.encode(model))
    return found


def key(*patterns: str, groups: tuple[str, ...] = ("vip", "default")) -> CompiledKey:
    policy = KeyPolicy(key=1, key_name="k", account=1, account_name="a", groups=groups, models=patterns or ("*",))
    return CompiledKey(policy)


KNOWN = models(
    ModelSnapshot("priced", ("default", "vip"), prices=PRICES),
    ModelSnapshot("zero", ("default",), prices={"input": 0}),
    ModelSnapshot("gift", ("default",), free=True),
    ModelSnapshot("unpriced", ("default",)),
    ModelSnapshot("unserved", (), prices=PRICES),
    ModelSnapshot("elsewhere", ("gold",), prices=PRICES),
)


@pytest.mark.parametrize("name", ["priced", "zero", "gift"])
def test_a_model_with_a_price_or_a_free_one_is_found(name: str) -> None:
    model, groups = KNOWN.find(name, key())
    assert model.name == name
    assert groups == (("vip", "default") if name == "priced" else ("default",))


@pytest.mark.parametrize(
    ("name", "allowed", "kind", "says"),
    [
        ("none", "*", ErrorType.CLIENT_MODEL_NOT_FOUND, "no model of this name"),
        ("unserved", "*", ErrorType.CLIENT_MODEL_NOT_FOUND, "no model of this name"),
        ("elsewhere", "*", ErrorType.POLICY_MODEL_NOT_ALLOWED, "Your key may not use"),
        ("priced", "gpt-*", ErrorType.POLICY_MODEL_NOT_ALLOWED, "Your key may not use"),
        ("unpriced", "gpt-*", ErrorType.POLICY_MODEL_NOT_ALLOWED, "Your key may not use"),
        ("unpriced", "*", ErrorType.POLICY_MODEL_NOT_ALLOWED, "The operator of this gateway must give it one"),
    ],
)
def test_others_are_refused_with_the_reason(name: str, allowed: str, kind: ErrorType, says: str) -> None:
    with pytest.raises(FaultError, match=says) as caught:
        KNOWN.find(name, key(allowed))
    assert (caught.value.fault.type, caught.value.fault.param) == (kind, "model")


def test_only_what_can_be_used_is_listed() -> None:
    listed = KNOWN.render(key(), "", registry.CLIENTS[OPENAI_CHAT]).decode()
    assert [name for name in ("gift", "priced", "zero") if f'"{name}"' in listed] == ["gift", "priced", "zero"]
    assert not any(f'"{name}"' in listed for name in ("unpriced", "unserved", "elsewhere"))
    with pytest.raises(FaultError):
        KNOWN.render(key(), "unpriced", registry.CLIENTS[OPENAI_CHAT])


def test_a_price_makes_a_model_usable_and_its_deletion_ends_it() -> None:
    known = models(ModelSnapshot("m", ("default",)))
    known.changed(subjects.kv_token("m"), snapshots.encode(ModelSnapshot("m", ("default",), prices=PRICES)))
    assert known.find("m", key())[0].prices == PRICES
    known.changed(subjects.kv_token("m"), None)
    assert len(known) == 0
