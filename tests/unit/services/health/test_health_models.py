"""How many channels take jobs of each model, as health's metrics tell it."""

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from services.health.judge import Judge
from services.health.metrics import ChannelMetrics
from trunkline.bus.messages import AttemptOutcome, OutcomeBatch
from trunkline.bus.snapshots import ChannelSnapshot
from trunkline.core.errors import ErrorType
from trunkline.policy import breaker


def channel(number: int, *models: str, **fields: object) -> ChannelSnapshot:
    made = ChannelSnapshot(
        id=number,
        name=f"channel-{number}",
        dialect="openai",
        base_url="http://one.test",
        credentials=(),
        models={model: model for model in models},
    )
    return msgspec.structs.replace(made, **fields)


def judge_of(*channels: ChannelSnapshot) -> Judge:
    judge = Judge({}, lambda _: None)
    for each in channels:
        judge.put(each, 0.0)
    return judge


def test_each_model_has_as_many_as_serve_it() -> None:
    judge = judge_of(channel(1, "small", "large"), channel(2, "small"))
    assert judge.channels_of_models() == {"small": 2, "large": 1}


@pytest.mark.parametrize("out", [{"drained": True}, {"weight": 0}])
def test_one_that_takes_no_new_jobs_does_not_count(out: dict[str, object]) -> None:
    judge = judge_of(channel(1, "small", **out), channel(2, "large"))
    assert judge.channels_of_models() == {"small": 0, "large": 1}


def test_one_that_is_ejected_does_not_count() -> None:
    judge = judge_of(channel(1, "small"), channel(2, "small"))
    failed = AttemptOutcome(1, 1, "small", ErrorType.UPSTREAM_UNREACHABLE, 0, 0, 0, 10)
    judge.receive_outcomes(OutcomeBatch("dispatcher-1", (failed,) * breaker.FAST_VOLUME_MIN), 1.0)
    assert judge.channels_of_models() == {"small": 1}


def test_a_model_that_the_provider_refuses_is_not_served_there() -> None:
    judge = judge_of(channel(1, "small", "large"))
    for now in range(20):
        judge.receive_model(1, "small", allowed=False, now=float(now))
    assert judge.refused(1) == ("small",)
    assert judge.channels_of_models() == {"small": 0, "large": 1}


def test_it_is_a_metric() -> None:
    registry = CollectorRegistry()
    registry.register(ChannelMetrics(judge_of(channel(1, "small"))))
    assert registry.get_sample_value("trunkline_model_channels", {"model": "small"}) == 1
