"""What the ops port of one process tells the doctor: whether it is ready, and what its metrics warn of."""

import datetime as dt
from collections.abc import Iterable
from typing import Any

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from trunkline.cli import http
from trunkline.cli.failure import CLIError
from trunkline.policy.admin_api import Check
from trunkline.policy.diagnosis import warning
from trunkline.runtime.clock import SystemClock

TIMEOUT_S = 5.0

CERTIFICATE_DAYS_MIN = 14
"""Whoever renews by itself does so a month before; from here on somebody has to look."""

_DAY_S = 24 * 3600
_CERTIFICATE = "trunkline_certificate_expires_timestamp_seconds"
_SPOOL = "_spool_bytes"
_CHANNELS = "trunkline_dispatcher_channels_refused_total"


class _Readiness(msgspec.Struct):
    ready: bool
    waiting_for: list[str] = []


def check_ops(url: str) -> list[Check]:
    """Return whether a process says that it is ready, and what its metrics warn of."""
    name, base = f"ops {url}", url.rstrip("/")
    try:
        answer = http.call("GET", f"{base}/readyz", timeout_s=TIMEOUT_S)
        readiness = msgspec.json.decode(answer.body, type=_Readiness)
        samples = _samples(http.call("GET", f"{base}/metrics", timeout_s=TIMEOUT_S).body.decode())
    except CLIError as error:
        return [Check(name, False, f"{error}. Is the process running?")]
    except (msgspec.MsgspecError, ValueError):
        return [Check(name, False, "This is no ops port of Trunkline.")]
    waiting = ", ".join(readiness.waiting_for)
    state = Check(name, True, "ready") if readiness.ready else Check(name, False, f"Not ready: it waits for {waiting}.")
    return [state, *metric_checks(url, samples, SystemClock().wall_ms() / 1000)]


def _samples(text: str) -> list[Any]:
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def metric_checks(url: str, samples: Iterable[Any], now_s: float) -> list[Check]:
    """Return what a process's metrics warn of.

    Args:
        url: of its ops port.
        samples: of prometheus_client.
        now_s: Unix time.
    """
    checks = []
    for sample in samples:
        if sample.name == _CERTIFICATE:
            checks += _certificate_checks(url, sample.labels.get("use", ""), sample.value, now_s)
        elif sample.name.endswith(_SPOOL) and sample.value:
            said = (
                f"{sample.value:.0f} bytes of usage wait on its disk: JetStream takes none. Look at its log and disk."
            )
            checks.append(warning(f"spool {url}", said))
        elif sample.name == _CHANNELS and sample.value:
            said = f"It has refused {sample.value:.0f} channels since it started; its log (channel_refused) says why."
            checks.append(warning(f"channels {url}", said))
    return checks


def _certificate_checks(url: str, use: str, expires_s: float, now_s: float) -> list[Check]:
    name, left_s = f"certificate {use} {url}", expires_s - now_s
    if left_s > CERTIFICATE_DAYS_MIN * _DAY_S:
        return []
    if left_s > 0:
        return [warning(name, f"It ends in {left_s / _DAY_S:.0f} days. Renew it: the process reads it by itself.")]
    ended = dt.datetime.fromtimestamp(expires_s, dt.UTC)
    return [Check(name, False, "It has ended. Renew it: the process reads it by itself.", since=ended)]
