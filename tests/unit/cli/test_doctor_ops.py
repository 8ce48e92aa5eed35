"""What a process's metrics warn of."""

import datetime as dt

from prometheus_client.parser import text_string_to_metric_families

from trunkline.cli.doctor import merged
from trunkline.cli.doctor_ops import CERTIFICATE_DAYS_MIN, metric_checks
from trunkline.policy.admin_api import Check
from trunkline.policy.diagnosis import warning

URL = "http://edge:9101"
NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
DAY_S = 24 * 3600


def found(*lines: str) -> list[Check]:
    families = text_string_to_metric_families("\n".join(lines) + "\n")
    samples = [sample for family in families for sample in family.samples]
    return metric_checks(URL, samples, NOW.timestamp())


def certificate(seconds: float) -> str:
    return f'trunkline_certificate_expires_timestamp_seconds{{use="nats"}} {NOW.timestamp() + seconds}'


def test_nothing() -> None:
    well = certificate((CERTIFICATE_DAYS_MIN + 1) * DAY_S)
    assert found(well, "trunkline_edge_spool_bytes 0", "trunkline_dispatcher_channels_refused_total 0") == []


def test_certificates() -> None:
    (soon,) = found(certificate(3 * DAY_S))
    assert soon == warning(f"certificate nats {URL}", "It ends in 3 days. Renew it: the process reads it by itself.")
    (over,) = found(certificate(-1))
    assert over == Check(
        f"certificate nats {URL}",
        False,
        "It has ended. Renew it: the process reads it by itself.",
        since=NOW - dt.timedelta(seconds=1),
    )


def test_usage_on_disk_and_channels_that_are_refused() -> None:
    spool, channels = found("trunkline_edge_spool_bytes 12", "trunkline_dispatcher_channels_refused_total 2")
    assert spool.warning
    assert spool.message.startswith("12 bytes of usage wait on its disk")
    assert channels.warning
    assert channels.message.startswith("It has refused 2 channels since it started")


def test_of_two_that_see_the_same_the_one_that_finds_it_broken_is_shown() -> None:
    well, warns, broken = Check("nats", True, "a"), warning("nats", "b"), Check("nats", False, "c")
    other = Check("postgres", True, "d")
    assert merged([well, other, broken]) == [broken, other]
    assert merged([broken, well, warns]) == [broken]
    assert merged([well, warns]) == [warns]
    assert merged([warns, well]) == [warns]
