"""Which models a key may name at an edge, and which it is shown."""

import pytest

from services.edge.models import Models
from trunkline.bus import snapshots, subjects
from trunkline.bus.snapshots import KeyPolicy, ModelAccess, ModelRouting, ModelSnapshot
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


def close(known: Models, name: str, *groups: str) -> None:
    value = snapshots.encode(ModelAccess(name, groups)) if groups else None
    known.access_changed(subjects.kv_token(name), value)


def listed(known: Models, key: CompiledKey) -> bool:
    return '"m"' in known.render(key, "", registry.CLIENTS[OPENAI_CHAT]).decode()


def test_a_closed_group_does_not_lead_to_a_model_until_it_is_open_again() -> None:
    known = models(ModelSnapshot("m", ("default", "vip"), prices=PRICES))
    poor = key(groups=("default",))
    close(known, "m", "default")
    assert (known.find("m", key())[1], listed(known, key())) == (("vip",), True)
    with pytest.raises(FaultError, match="no model of this name"):
        known.find("m", poor)
    assert not listed(known, poor)
    assert known.unserved("m", poor)
    assert not known.unserved("m", key())
    close(known, "m", "default", "vip")
    for nobody in (key(), poor):
        with pytest.raises(FaultError, match="no model of this name"):
            known.find("m", nobody)
    close(known, "m")
    assert (known.find("m", poor)[1], known.unserved("m", poor)) == (("default",), False)


def test_what_a_key_may_not_use_is_no_matter_of_what_is_closed() -> None:
    known = models(ModelSnapshot("m", ("default", "vip"), prices=PRICES))
    close(known, "m", "default")
    for stranger in (key("gpt-*", groups=("default",)), key(groups=("gold",))):
        with pytest.raises(FaultError, match="Your key may not use"):
            known.find("m", stranger)
        assert not known.unserved("m", stranger)


def test_a_model_may_change_while_it_is_closed_and_be_closed_before_it_is_there() -> None:
    known = Models()
    close(known, "m", "default")
    assert len(known) == 0
    value = snapshots.encode(ModelSnapshot("m", ("default", "vip"), prices=PRICES))
    known.changed(subjects.kv_token("m"), value)
    assert known.find("m", key())[1] == ("vip",)
    assert known.configured("m").groups == ("default", "vip")
    known.changed(subjects.kv_token("m"), None)
    close(known, "m")
    assert (len(known), known.configured("m").groups) == (0, ())


def test_fallbacks_follow_what_changes() -> None:
    routing = ModelRouting(fallbacks=("b",))
    known = models(ModelSnapshot("m", ("default",), prices=PRICES, routing=routing))

    def fallbacks() -> list[str]:
        return [fallback.model for fallback in known.fallbacks(known.find("m", key())[0], key())]

    assert fallbacks() == []
    known.changed(subjects.kv_token("b"), snapshots.encode(ModelSnapshot("b", ("default",), prices=PRICES)))
    assert fallbacks() == ["b"]
    close(known, "b", "default")
    assert fallbacks() == []
    close(known, "b")
    assert fallbacks() == ["b"]
