"""The status page for programs: JSON, and RSS that an XML parser reads."""

import datetime as dt
import xml.etree.ElementTree as ET
from email.utils import parsedate_to_datetime

import msgspec

from trunkline.policy.incidents import Incident, Level
from trunkline.policy.status import DayFigures, ModelReport, StatusReport
from trunkline.policy.status_feeds import (
    StatusDay,
    StatusDocument,
    StatusIncident,
    StatusModel,
    document,
    json_text,
    rss,
)

NOW_MS = 20_000 * 86_400_000 + 40_000_000
TODAY = dt.datetime.fromtimestamp(NOW_MS / 1000, dt.UTC).date()
URL = "https://status.example.com/status?a=1&b=2"


def at(ago_s: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(NOW_MS / 1000 - ago_s, dt.UTC)


def report() -> StatusReport:
    old, yesterday = TODAY - dt.timedelta(days=90), TODAY - dt.timedelta(days=1)
    days = {old: DayFigures(0, 0, 9), yesterday: DayFigures(80_000, 100, 20), TODAY: DayFigures(40_000, 0, 0)}
    return StatusReport(
        NOW_MS,
        (ModelReport("a <b>&\x01", Level.DOWN, days), ModelReport("new")),
        (
            Incident("a <b>&\x01", NOW_MS - 600_000, None, Level.DOWN),
            Incident("gone", NOW_MS - 600_000, NOW_MS - 500_000, Level.DEGRADED),
            Incident("new", NOW_MS - 9_000_000, NOW_MS - 8_000_000, Level.DOWN),
        ),
    )


def test_json_says_what_the_page_says() -> None:
    text = "a <b>&�: unavailable for 10 min so far"
    days = (StatusDay(TODAY - dt.timedelta(days=1), 80_000, 100, 20), StatusDay(TODAY, 40_000, 0, 0))
    expected = StatusDocument(
        made_at=at(0),
        level=Level.DOWN,
        text="No model answers.",
        models=(
            StatusModel("a <b>&\x01", Level.DOWN, 0.999833, days),
            StatusModel("new", None, None, ()),
        ),
        incidents=(
            StatusIncident(at(600), None, Level.DOWN, ("a <b>&\x01",), text),
            StatusIncident(at(600), at(500), Level.DEGRADED, ("gone",), "gone: degraded for 1 min"),
            StatusIncident(at(9000), at(8000), Level.DOWN, ("new",), "new: unavailable for 16 min"),
        ),
    )
    assert document(report()) == expected
    assert msgspec.json.decode(json_text(report()), type=StatusDocument) == expected


def test_rss_has_an_item_for_each_begin_and_each_end() -> None:
    root = ET.fromstring(rss(report(), URL))  # noqa: S314 - our own
    assert (root.tag, root.get("version")) == ("rss", "2.0")
    channel = root[0]
    for name in ("title", "link", "description"):
        assert channel.findtext(name)
    assert channel.findtext("link") == URL
    own = channel.find("{http://www.w3.org/2005/Atom}link")
    assert own is not None
    assert own.attrib == {"rel": "self", "type": "application/rss+xml", "href": f"{URL}.rss"}
    items = [
        (item.findtext("title"), item.findtext("guid"), parsedate_to_datetime(item.findtext("pubDate") or ""))
        for item in channel.iter("item")
    ]
    begins, other = NOW_MS - 600_000, NOW_MS - 9_000_000
    assert items == [
        ("gone: degraded for 1 min", f"ended-{begins}-{NOW_MS - 500_000}", at(500)),
        ("a <b>&�, gone: unavailable", f"began-{begins}", at(600)),
        ("new: unavailable for 16 min", f"ended-{other}-{NOW_MS - 8_000_000}", at(8000)),
        ("new: unavailable", f"began-{other}", at(9000)),
    ]
    assert len({guid for _, guid, _ in items}) == len(items)
    assert {item.findtext("link") for item in channel.iter("item")} == {URL}


def test_rss_is_whole_without_incidents_and_without_a_url() -> None:
    root = ET.fromstring(rss(StatusReport(NOW_MS, (), ()), ""))  # noqa: S314 - our own
    assert root[0].findtext("link") == "/status"
    assert list(root[0].iter("item")) == []
    assert root[0].find("{http://www.w3.org/2005/Atom}link") is None
