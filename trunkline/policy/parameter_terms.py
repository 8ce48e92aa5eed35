"""What becomes of a chat request's parameters at the channels of a model: so that nobody is offered what has no effect.

Three things decide: the channel's rules, what a crossing to another dialect keeps, and what a model is known to
refuse. Pure.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from trunkline.bus.snapshots import ChannelSnapshot
from trunkline.policy.admin_square import ParameterTerms
from trunkline.policy.model_capabilities import Capabilities, Capability
from trunkline.policy.model_terms import model_terms
from trunkline.protocol import registry
from trunkline.protocol.anthropic.models_table import model_traits
from trunkline.protocol.fidelity import TABLE, Feature, Mark
from trunkline.protocol.names import ANTHROPIC, OPENAI_CHAT
from trunkline.protocol.rules import RequestRules

_CROSSED: Final[Mapping[str, Feature]] = {
    "frequency_penalty": Feature.PENALTIES,
    "presence_penalty": Feature.PENALTIES,
    "seed": Feature.SEED,
    "stop": Feature.STOP,
    "n": Feature.CHOICES,
    "logprobs": Feature.LOGPROBS,
    "logit_bias": Feature.LOGIT_BIAS,
    "verbosity": Feature.VERBOSITY,
}
"""Parameters of Chat Completions that not every dialect has a word for."""

_SAMPLING: Final = ("temperature", "top_p")

_SPELLINGS: Final[Mapping[str, str]] = {
    "max_completion_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "maxOutputTokens": "max_tokens",
    "stop_sequences": "stop",
    "stopSequences": "stop",
    "topP": "top_p",
    "topK": "top_k",
    "frequencyPenalty": "frequency_penalty",
    "presencePenalty": "presence_penalty",
}
"""What other dialects call them: rules have the names of the channel's own."""

_OURS: Final = frozenset({"stream_options"})
"""What is dropped for the gateway's own sake."""


class _Fate(NamedTuple):
    """What one channel makes of a parameter."""

    kept: bool = True
    refused: bool = False
    min: float | None = None
    max: float | None = None


_LEFT_OUT: Final = _Fate(kept=False)
_REFUSED: Final = _Fate(kept=False, refused=True)


def parameter_terms(model: str, channels: Sequence[ChannelSnapshot], known: Capabilities) -> tuple[ParameterTerms, ...]:
    """Return the parameters that are not simply passed on, by name.

    Args:
        model: public name.
        channels: that serve it.
        known: what is known of the model.
    """
    fates = [_fates(channel, model) for channel in channels]
    terms = [_together(name, [each.get(name, _Fate()) for each in fates]) for name in sorted(set().union(*fates))]
    if known.known and Capability.REASONING not in known.can:
        terms = [each for each in terms if each.name != "reasoning_effort"]
        terms.append(ParameterTerms("reasoning_effort", accepted=False, everywhere=False))
    return tuple(each for each in terms if not (each.everywhere and each.min is None and each.max is None))


def _together(name: str, fates: Sequence[_Fate]) -> ParameterTerms:
    kept = [fate for fate in fates if fate.kept]
    return ParameterTerms(
        name,
        accepted=bool(kept),
        everywhere=len(kept) == len(fates),
        refused=not kept and all(fate.refused for fate in fates),
        # Whichever channel answers: within the narrowest bounds.
        min=max((fate.min for fate in kept if fate.min is not None), default=None),
        max=min((fate.max for fate in kept if fate.max is not None), default=None),
    )


def _fates(channel: ChannelSnapshot, model: str) -> dict[str, _Fate]:
    upstream = registry.UPSTREAMS[channel.dialect].name
    fates: dict[str, _Fate] = {}
    if upstream != OPENAI_CHAT:
        for name, feature in _CROSSED.items():
            match TABLE[feature].marks.get(upstream):
                case Mark.HINT:
                    fates[name] = _LEFT_OUT
                case Mark.REFUSED:
                    fates[name] = _REFUSED
    if upstream == ANTHROPIC:
        fates.update(_anthropic(channel.models[model]))
    rules: RequestRules | None = model_terms(channel, model).rules
    while rules is not None:
        _rule(fates, rules)
        rules = rules.then
    return fates


def _anthropic(upstream_model: str) -> dict[str, _Fate]:
    if not model_traits(upstream_model).sampling:
        return dict.fromkeys(_SAMPLING, _LEFT_OUT)
    return {"temperature": _Fate(min=0.0, max=1.0)}


def _rule(fates: dict[str, _Fate], rules: RequestRules) -> None:
    for name in {*rules.drop, *rules.set} - _OURS:
        fates[_SPELLINGS.get(name, name)] = _LEFT_OUT
    for field, (least, most) in rules.clamp.items():
        name = _SPELLINGS.get(field, field)
        before = fates.get(name, _Fate())
        if before.kept:
            fates[name] = before._replace(
                min=least if before.min is None or least is None else max(before.min, least),
                max=most if before.max is None or most is None else min(before.max, most),
            )
