"""What holds for the calls of one model on one channel: the channel's rules and timeouts with its overrides.

Pure. Dispatchers make it once for each model and channel; health's probes are asked by the same rules.
"""

import msgspec

from trunkline.bus.snapshots import ChannelSnapshot, ParameterRules, Timeouts
from trunkline.policy.patterns import matches_any
from trunkline.protocol.rules import NO_RULES, RequestRules

_NO_PARAMS = ParameterRules()


class ModelTerms(msgspec.Struct, frozen=True):
    """See the module.

    Attributes:
        channel: of which they were made.
        rules: what is changed in a request.
        timeouts: of an attempt.
    """

    channel: ChannelSnapshot
    rules: RequestRules
    timeouts: Timeouts


def model_terms(channel: ChannelSnapshot, model: str) -> ModelTerms:
    """Return the terms of a model, by its public name."""
    overrides = [override for override in channel.overrides if matches_any(override.models, model)]
    timeouts = [override.timeouts for override in overrides if override.timeouts is not None]
    params = channel.params
    if not channel.stream_usage:
        params = msgspec.structs.replace(params, drop=(*params.drop, "stream_options"))
    rules: RequestRules | None = None
    for step in reversed([params, *(override.params for override in overrides)]):
        if step != _NO_PARAMS:
            rules = _request_rules(step, rules)
    return ModelTerms(channel, rules or NO_RULES, timeouts[-1] if timeouts else channel.timeouts)


def _request_rules(params: ParameterRules, then: RequestRules | None) -> RequestRules:
    return RequestRules(
        drop=params.drop,
        set={name: bytes(value) for name, value in params.set.items()},
        default={name: bytes(value) for name, value in params.default.items()},
        clamp={name: (bounds.min, bounds.max) for name, bounds in params.clamp.items()},
        rename=params.rename,
        then=then,
    )
