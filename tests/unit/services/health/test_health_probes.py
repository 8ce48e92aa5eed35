"""What health's settings refuse, and what its metrics show of probes."""

import base64

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from services.health.config import HealthSettings
from services.health.judge import Judge
from services.health.metrics import ChannelMetrics, probe_counter
from trunkline.bus.snapshots import ChannelSnapshot
from trunkline.runtime import config

MASTER = "1:" + base64.b64encode(bytes(32)).decode()


def test_settings_have_defaults_but_for_the_master_keys() -> None:
    settings = config.load(HealthSettings, {"TRUNKLINE_MASTER_KEYS": MASTER})
    assert (settings.probe_interval_s, settings.probe_timeout_s) == (5.0, 3.0)
    with pytest.raises(config.SettingsError) as caught:
        config.load(HealthSettings, {"TRUNKLINE_PROBE_INTERVAL_S": "0", "TRUNKLINE_PROBE_TIMEOUT_S": "soon"})
    assert len(caught.value.faults) == 3


@pytest.mark.parametrize("text", ["", "1", "1:c2hvcnQ=", "x:" + MASTER[2:], "1:%%%"])
def test_bad_master_keys_are_refused_without_being_shown(text: str) -> None:
    with pytest.raises(config.SettingsError) as caught:
        config.load(HealthSettings, {"TRUNKLINE_MASTER_KEYS": text})
    (fault,) = caught.value.faults
    assert fault.startswith("TRUNKLINE_MASTER_KEYS ")
    assert len(text) < 3 or text[2:] not in fault


def test_metrics_name_configured_channels_only_while_they_are_there() -> None:
    registry = CollectorRegistry()
    judge = Judge({}, lambda _channel: None)
    registry.register(ChannelMetrics(judge))
    probe_counter(registry)
    channel = ChannelSnapshot(
        id=1, name="main", dialect="openai", base_url="http://test", credentials=(), models={"m": "m"}
    )
    judge.put(channel, 0.0)
    for _ in range(3):
        judge.receive_probe(1, passed=False, now=1.0)
    text = generate_latest(registry).decode()
    assert 'trunkline_channel_state{channel="main",state="ejected"} 1.0' in text
    assert 'trunkline_channel_state{channel="main",state="serving"} 0.0' in text
    assert 'trunkline_channel_weight{channel="main"} 0.0' in text
    assert 'trunkline_channel_ejections_total{channel="main"} 1.0' in text
    assert 'trunkline_channel_spared{channel="main"} 0.0' in text
    assert 'trunkline_channel_refused_models{channel="main"} 0.0' in text
    assert 'trunkline_probes_total{result="timeout"} 0.0' in text
    judge.remove(1)
    assert "main" not in generate_latest(registry).decode()
