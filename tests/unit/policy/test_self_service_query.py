"""What a client may ask of its own use, and what it is told where it cannot be read."""

from collections.abc import Callable

import pytest

from trunkline.core.errors import ErrorType, FaultError
from trunkline.policy.self_service_query import (
    UsageQuery,
    check_billing_days,
    read_generation_id,
    read_usage_query,
)


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("", UsageQuery("", "", (), "key")),
        ("from=2030-01-01&to=2030-01-31", UsageQuery("2030-01-01", "2030-01-31", (), "key")),
        ("from=2030-01-31&to=2030-01-31", UsageQuery("2030-01-31", "2030-01-31", (), "key")),
        ("from=2030-01-01&to=2030-04-02", UsageQuery("2030-01-01", "2030-04-02", (), "key")),
        ("by=day%2Cmodel&scope=account", UsageQuery("", "", ("day", "model"), "account")),
        ("by=model&by=day", UsageQuery("", "", ("model", "day"), "key")),
        ("key=sk-tl-x&pretty=1&from=", UsageQuery("", "", (), "key")),
    ],
)
def test_usage_can_be_asked_for(query: str, asked: UsageQuery) -> None:
    assert read_usage_query(query) == asked


@pytest.mark.parametrize(
    ("read", "query", "param"),
    [
        (read_usage_query, "from=yesterday", "from"),
        (read_usage_query, "from=2030-02-30", "from"),
        (read_usage_query, "from=20300101", "from"),
        (read_usage_query, "from=2030-W01-1", "from"),
        (read_usage_query, "to=0001-01-01", "to"),
        (read_usage_query, "to=9999-12-31", "to"),
        (read_usage_query, "from=2030-01-02&to=2030-01-01", "from"),
        (read_usage_query, "from=2030-01-01&to=2030-04-03", "from"),
        (read_usage_query, "by=channel", "by"),
        (read_usage_query, "by=day,day", "by"),
        (read_usage_query, "scope=site", "scope"),
        (read_usage_query, "&".join(["x=1"] * 33), None),
        (read_generation_id, "", "id"),
        (read_generation_id, "id=+", "id"),
        (check_billing_days, "start_date=1.1.2030", "start_date"),
        (check_billing_days, "start_date=2030-01-01&end_date=2030-13-01", "end_date"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_name(
    read: Callable[[str], object], query: str, param: str | None
) -> None:
    with pytest.raises(FaultError) as caught:
        read(query)
    assert caught.value.fault.type is ErrorType.CLIENT_BAD_REQUEST
    assert caught.value.fault.param == param
    assert caught.value.fault.message.endswith(".")


def test_ids_and_billing_days_are_read() -> None:
    assert read_generation_id("id=abc&id=def") == "def"
    check_billing_days("start_date=2030-01-01&end_date=2030-01-31")
    check_billing_days("")
