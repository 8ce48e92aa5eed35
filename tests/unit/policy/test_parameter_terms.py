"""What becomes of a request's parameters at the channels of a model."""

import msgspec

from trunkline.bus.snapshots import ChannelOverride, ChannelSnapshot, Clamp, ParameterRules
from trunkline.policy.admin_square import ParameterTerms
from trunkline.policy.model_capabilities import Capabilities, Kind
from trunkline.policy.parameter_terms import parameter_terms

UNKNOWN = Capabilities(Kind.CHAT, known=False)
NO_RULES = ParameterRules()
RAW = msgspec.Raw(b"1")


def channel(
    dialect: str = "openai", *, upstream: str = "m", params: ParameterRules = NO_RULES, **options: object
) -> ChannelSnapshot:
    found = ChannelSnapshot(1, "c", dialect, "http://x.example", (), {"m": upstream}, params=params)
    return msgspec.structs.replace(found, **options)


def terms(*channels: ChannelSnapshot, known: Capabilities = UNKNOWN) -> dict[str, ParameterTerms]:
    return {each.name: each for each in parameter_terms("m", channels, known)}


def test_without_rules_all_reaches_a_provider_of_chat() -> None:
    assert terms(channel()) == {}


def test_what_rules_drop_set_and_clamp() -> None:
    rules = ParameterRules(
        drop=("seed",), set={"n": RAW}, clamp={"top_p": Clamp(0.01, 0.99), "temperature": Clamp(max=1)}
    )
    assert terms(channel(params=rules)) == {
        "n": ParameterTerms("n", accepted=False, everywhere=False),
        "seed": ParameterTerms("seed", accepted=False, everywhere=False),
        "temperature": ParameterTerms("temperature", accepted=True, everywhere=True, max=1),
        "top_p": ParameterTerms("top_p", accepted=True, everywhere=True, min=0.01, max=0.99),
    }


def test_rules_for_some_models_count_for_those_alone() -> None:
    def override(pattern: str) -> ChannelOverride:
        return ChannelOverride((pattern,), params=ParameterRules(drop=("stop",)))

    assert terms(channel(overrides=(override("other-*"),))) == {}
    assert terms(channel(overrides=(override("m"),)))["stop"].accepted is False


def test_with_several_channels_the_narrowest_bounds_count() -> None:
    wide = channel(params=ParameterRules(clamp={"temperature": Clamp(0, 1.5)}))
    narrow = channel(params=ParameterRules(clamp={"temperature": Clamp(0.1, 1)}, drop=("seed",)))
    found = terms(wide, narrow, channel())
    assert found["temperature"] == ParameterTerms("temperature", accepted=True, everywhere=True, min=0.1, max=1)
    assert found["seed"] == ParameterTerms("seed", accepted=True, everywhere=False)


def test_what_a_translation_cannot_carry() -> None:
    found = terms(channel("anthropic", upstream="claude-3-5-sonnet"))
    assert found["frequency_penalty"] == ParameterTerms("frequency_penalty", accepted=False, everywhere=False)
    assert found["logprobs"] == ParameterTerms("logprobs", accepted=False, everywhere=False, refused=True)
    assert found["temperature"] == ParameterTerms("temperature", accepted=True, everywhere=True, min=0, max=1)
    assert "stop" not in found
    assert terms(channel("openai-responses"))["stop"].refused is True


def test_models_that_take_no_sampling() -> None:
    found = terms(channel("anthropic", upstream="claude-opus-5"))
    assert found["top_p"].accepted is found["temperature"].accepted is False


def test_rules_have_the_names_of_the_channels_dialect() -> None:
    rules = ParameterRules(drop=("stop_sequences",), clamp={"max_completion_tokens": Clamp(max=100)})
    found = terms(channel("anthropic", upstream="claude-3-5-sonnet", params=rules))
    assert found["stop"].accepted is False
    assert found["max_tokens"].max == 100


def test_what_the_gateway_drops_for_itself_is_not_told() -> None:
    assert terms(channel(stream_usage=False)) == {}


def test_a_model_that_is_known_not_to_think_takes_no_effort() -> None:
    assert terms(channel(), known=Capabilities(Kind.CHAT))["reasoning_effort"].accepted is False
