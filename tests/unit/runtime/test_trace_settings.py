"""What may be said of a collector, and that nothing of OpenTelemetry is loaded where none is named."""

import subprocess
import sys

import pytest

from services.edge.config import EdgeSettings
from trunkline.runtime import config
from trunkline.runtime.tracing import TraceSettings, parse_headers

PEPPER = {"TRUNKLINE_KEY_PEPPER": "p" * 16}


@pytest.mark.parametrize("url", ["collector:4318", "grpc://collector:4317", "http://", "/v1/traces"])
def test_a_url_must_be_one(url: str) -> None:
    with pytest.raises(config.SettingsError) as refused:
        config.load(TraceSettings, {"TRUNKLINE_TRACE_URL": url})
    assert refused.value.faults == ["TRUNKLINE_TRACE_URL must begin with http:// or https:// and name a host"]


def test_secrets_have_a_place_of_their_own() -> None:
    with pytest.raises(config.SettingsError) as refused:
        config.load(TraceSettings, {"TRUNKLINE_TRACE_URL": "https://user:hidden@collector"})
    assert "TRUNKLINE_TRACE_HEADERS" in str(refused.value)
    assert "hidden" not in str(refused.value)


def test_headers() -> None:
    assert parse_headers("") == {}
    assert parse_headers("Authorization=Basic%20YWJj, x-key=a=b,") == {"authorization": "Basic YWJj", "x-key": "a=b"}


@pytest.mark.parametrize("text", ["hidden", "hidden=", "=hidden", "a b=hidden", "a=hidden%0d%0ab: c", "a=hidd%C3%A9n"])
def test_headers_must_be_such(text: str) -> None:
    with pytest.raises(config.SettingsError) as refused:
        config.load(TraceSettings, {"TRUNKLINE_TRACE_HEADERS": text})
    assert refused.value.faults == ["TRUNKLINE_TRACE_HEADERS must be name=value, several separated by commas"]


@pytest.mark.parametrize("ratio", ["-0.1", "1.1", "nan"])
def test_a_ratio_is_a_share(ratio: str) -> None:
    with pytest.raises(config.SettingsError, match=r"TRUNKLINE_TRACE_RATIO must be from 0 to 1"):
        config.load(EdgeSettings, {**PEPPER, "TRUNKLINE_TRACE_RATIO": ratio})


def test_by_default_no_client_decides() -> None:
    settings = config.load(EdgeSettings, PEPPER)
    assert (settings.trace_url, settings.trace_ratio, settings.trace_trust) == ("", 0.01, False)


def test_packages_that_are_missing_are_told_of() -> None:
    program = """
import asyncio, sys
from types import SimpleNamespace
from trunkline.runtime.tracing import open_tracer
async def run():
    async with open_tracer(None, SimpleNamespace(trace_url="http://collector")):
        pass
sys.modules["opentelemetry"] = None  # as if it were not installed
asyncio.run(run())
"""
    done = subprocess.run([sys.executable, "-c", program], check=False, timeout=60, capture_output=True, text=True)  # noqa: S603 - our own
    assert (done.returncode, done.stdout) == (config.EXIT_USAGE, "")
    [told] = done.stderr.splitlines()
    assert told.startswith("configuration: TRUNKLINE_TRACE_URL needs the extra trunkline[tracing]: opentelemetry")


def test_a_process_without_a_collector_loads_nothing_for_one() -> None:
    program = (
        "import sys, services.edge.app, services.dispatcher.app, services.metering.app;"
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0  # noqa: S603 - our own
