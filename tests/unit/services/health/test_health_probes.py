"""What a probe sends, what its answer means, and what the settings refuse."""

import base64

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from services.health.config import HealthSettings
from services.health.judge import Judge
from services.health.metrics import ChannelMetrics, probe_counter
from services.health.prober import REACHABLE, ProbeResult, judged, probe_headers, probe_path
from trunkline.bus.snapshots import ChannelSnapshot
from trunkline.protocol.vendor import VendorOptions
from trunkline.runtime import config

MASTER = "1:" + base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize(
    ("dialect", "header", "value"),
    [
        ("openai", "authorization", "Bearer s3cret"),
        ("openai-responses", "authorization", "Bearer s3cret"),
        ("azure", "api-key", "s3cret"),
        ("anthropic", "x-api-key", "s3cret"),
        ("gemini", "x-goog-api-key", "s3cret"),
    ],
)
def test_each_dialect_gets_exactly_one_credential_header(dialect: str, header: str, value: str) -> None:
    channel = ChannelSnapshot(1, "c", dialect, "https://provider.example", (), {})
    headers = probe_headers(channel, "s3cret")
    assert {name: text for name, text in headers.items() if "s3cret" in text} == {header: value}
    assert ("anthropic-version" in headers) is (dialect == "anthropic")
    assert header not in probe_headers(channel, None)


@pytest.mark.parametrize(
    ("dialect", "version", "path"),
    [
        ("openai", "", "/models"),
        ("gemini", "", "/models"),
        ("azure", "", "/openai/v1/models"),
        ("azure", "2024-10-21", "/openai/models?api-version=2024-10-21"),
    ],
)
def test_the_list_of_models_is_asked_for(dialect: str, version: str, path: str) -> None:
    options = VendorOptions(api_version=version)
    assert probe_path(ChannelSnapshot(1, "c", dialect, "https://provider.example", (), {}, options=options)) == path


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (200, ProbeResult.PASSED),
        (302, ProbeResult.PASSED),
        (401, ProbeResult.CREDENTIAL),
        (403, ProbeResult.CREDENTIAL),
        (404, ProbeResult.PASSED),
        (429, ProbeResult.PASSED),
        (500, ProbeResult.FAILED),
        (501, ProbeResult.PASSED),
        (503, ProbeResult.FAILED),
        (529, ProbeResult.FAILED),
    ],
)
def test_any_answer_but_a_server_error_shows_that_the_channel_is_reachable(status: int, result: ProbeResult) -> None:
    assert judged(status) is result
    assert (result in REACHABLE) is (result is not ProbeResult.FAILED)


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
    assert 'trunkline_probes_total{result="timeout"} 0.0' in text
    judge.remove(1)
    assert "main" not in generate_latest(registry).decode()
