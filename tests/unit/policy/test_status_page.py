"""The status page: what it says, and that no name gets out of its place in it."""

import base64
import datetime as dt
import hashlib
import re
from html.parser import HTMLParser

import pytest

from trunkline.policy import status_page
from trunkline.policy.incidents import Incident, Level
from trunkline.policy.status import (
    DAYS_SHOWN,
    EVENTS_SHOWN_MAX,
    DayFigures,
    ModelReport,
    PublicEvent,
    StatusReport,
    public_events,
    uptime_ppm,
)
from trunkline.policy.status_page import MODELS_SHOWN_MAX, POLICY, page, percent_text
from trunkline.policy.status_words import CHINESE, ENGLISH

NOW_MS = 20_000 * 86_400_000 + 40_000_000
TODAY = dt.datetime.fromtimestamp(NOW_MS / 1000, dt.UTC).date()
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><script>",
    "{models}{0}{__class__}",
    "&lt;b&gt;",
    "a\u202ereversed\x00\x1b[31m",
    "]]>--><!--",
    "模型/一",
]
VOID = {"meta", "link", "rect", "path", "use"}


class Page(HTMLParser):
    """Reads a page strictly: each element is closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)


def day(ago: int) -> dt.date:
    return TODAY - dt.timedelta(days=ago)


def report(models: list[ModelReport], incidents: list[Incident] | None = None) -> StatusReport:
    return StatusReport(NOW_MS, tuple(models), tuple(incidents or ()))


def text_of(html: str) -> str:
    return re.sub(r"<[^>]*>", "", html.partition("</head>")[2])


def test_what_a_page_says() -> None:
    days = {day(ago): DayFigures(86_400, 0, 0) for ago in range(1, 30)}
    days[day(3)] = DayFigures(82_000, 700, 3700)
    days[day(0)] = DayFigures(0, 40_000, 0)
    incident = Incident("gpt-4o", NOW_MS - 3_600_000, None, Level.DOWN)
    html = page(report([ModelReport("gpt-4o", Level.DEGRADED, days), ModelReport("new")], [incident]), ENGLISH)
    text = text_of(html)
    Page(html)
    for words in (
        "Trouble with 1 of 2 models.",
        "gpt-4oDegraded",
        "newNot known",
        "No figures yet",
        "99.85 % available",
        f"{day(3)}: unavailable for 1 h 1 min, degraded for 11 min",
        f"{day(0)}: degraded for 11 h 6 min",
        "gpt-4o: unavailable for 1 h so far",
        "not over yet",
    ):
        assert words in text, words
    assert 'aria-label="Last 90 days: 99.85 % available; 2 days with trouble."' in html
    chinese = page(report([ModelReport("gpt-4o", Level.DOWN, days)], [incident]), CHINESE)
    assert '<html lang="zh-CN">' in chinese
    assert "所有模型均不可用。" in chinese
    said = "gpt-4o：不可用，已持续 1 小时"  # noqa: RUF001 - as Chinese is written
    assert said in text_of(chinese)
    assert not re.search("[a-z]{5}", text_of(chinese).replace("gpt-4o", ""))


@pytest.mark.parametrize(
    ("levels", "sentence"),
    [
        ([], "There are no models to show."),
        ([None], "The present state is not known."),
        ([None, Level.UP], "All models answer."),
        ([Level.DOWN, Level.DOWN], "No model answers."),
        ([Level.DOWN, Level.UP, Level.UP], "Trouble with 1 of 3 models."),
        ([Level.DEGRADED, Level.DOWN, None], "Trouble with 2 of 3 models."),
    ],
)
def test_the_sentence_over_everything(levels: list[Level | None], sentence: str) -> None:
    models = [ModelReport(str(number), level) for number, level in enumerate(levels)]
    assert sentence in page(report(models), ENGLISH)


@pytest.mark.parametrize("language", [ENGLISH, CHINESE])
def test_no_name_gets_out_of_its_place(language: str) -> None:
    harmless = [f"m{number}" for number in range(len(HOSTILE))]

    def made(names: list[str]) -> Page:
        models = [ModelReport(name, Level.DOWN, {day(1): DayFigures(0, 0, 80)}) for name in names]
        incidents = [Incident(name, NOW_MS - number * 1000, NOW_MS, Level.DOWN) for number, name in enumerate(names)]
        return Page(page(report(models, incidents), language))

    hostile, plain = made(HOSTILE), made(harmless)
    assert hostile.elements == plain.elements
    assert {tag for tag, _ in hostile.elements}.isdisjoint({"script", "img", "iframe", "object", "form", "base"})
    shown = [name.replace("\x00", "�").replace("\x1b", "�") for name in HOSTILE]
    assert [text for text in hostile.texts["bdi"] if text in shown] == [*shown, *shown]
    assert len(hostile.texts["bdi"]) == 2 * len(HOSTILE)


def test_the_policy_lets_in_the_style_sheet_and_nothing_else() -> None:
    html = page(report([ModelReport("m", Level.UP)]), ENGLISH)
    style = html.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert POLICY.split("; ")[:2] == ["default-src 'none'", f"style-src 'sha256-{digest}'"]
    for tag, attributes in Page(html).elements:
        assert not {"style", "src", "srcdoc", "action"} & set(attributes), tag
        assert not any(name.startswith("on") for name in attributes)
        assert attributes.get("href") in {None, "status.rss", "status.json", "#lines"}


def test_bars_cover_each_day_once() -> None:
    days = {day(ago): DayFigures(10, 0, 0) for ago in range(40)}
    days |= {day(5): DayFigures(10, 0, 10), day(6): DayFigures(10, 0, 10), day(9): DayFigures(0, 60, 0)}
    html = page(report([ModelReport("m", Level.UP, days)]), ENGLISH)
    bars = [each for tag, each in Page(html).elements if tag == "rect" and "y" in each]
    assert [(each["class"], each["x"], each["width"]) for each in bars] == [
        ("none", "0", "50"),
        ("up", "50", "30"),
        ("degraded", "80", "1"),
        ("up", "81", "2"),
        ("down", "83", "2"),
        ("up", "85", "5"),
    ]


def test_the_page_is_bounded() -> None:
    models = [ModelReport(f"m{number}", Level.UP) for number in range(MODELS_SHOWN_MAX + 7)]
    html = page(report(models), ENGLISH)
    assert html.count('role="img"') == MODELS_SHOWN_MAX
    assert "and 7 more" in html
    incidents = [Incident(f"m{number % 300}", NOW_MS - number * 1000, NOW_MS, Level.DOWN) for number in range(1000)]
    assert len(public_events(incidents, NOW_MS)) == EVENTS_SHOWN_MAX
    together = [Incident(f"m{number:03}", NOW_MS - 1000, NOW_MS, Level.DOWN) for number in range(300)]
    [event] = public_events(together, NOW_MS)
    assert len(event.models) == 300
    text = text_of(page(report([], together), ENGLISH))
    assert "m008, m009 and 290 more: unavailable for less than a minute" in text
    assert "m010" not in text


def test_what_begins_and_ends_together_is_one_incident() -> None:
    incidents = [
        Incident("b", 1000, 101_000, Level.DEGRADED),
        Incident("a", 1000, 101_000, Level.DOWN),
        Incident("c", 1000, None, Level.DEGRADED),
        Incident("d", 5000, 64_999, Level.DEGRADED),
        Incident("e", 5000, 65_000, Level.DEGRADED),
        Incident("f", 7000, 8000, Level.DOWN),
        Incident("g", NOW_MS - 59_999, None, Level.DEGRADED),
    ]
    assert public_events(incidents, NOW_MS) == [
        PublicEvent(1000, None, Level.DEGRADED, ("c",)),
        PublicEvent(7000, 8000, Level.DOWN, ("f",)),
        PublicEvent(5000, 65_000, Level.DEGRADED, ("e",)),
        PublicEvent(1000, 101_000, Level.DOWN, ("a", "b")),
    ]


def test_uptime_is_rounded_down() -> None:
    assert uptime_ppm([]) is None
    assert uptime_ppm([DayFigures(0, 0, 0)]) is None
    assert uptime_ppm([DayFigures(50, 50, 0)]) == 1_000_000
    assert uptime_ppm([DayFigures(90 * 86_400 - 10, 0, 10)]) == 999_998
    assert uptime_ppm([DayFigures(0, 0, 10), DayFigures(20, 0, 0)]) == 666_666
    assert [percent_text(ppm) for ppm in (0, 99, 666_666, 999_999, 1_000_000)] == [
        "0.00",
        "0.00",
        "66.66",
        "99.99",
        "100.00",
    ]


def test_ninety_days_are_shown_and_today_is_one_of_them() -> None:
    dates = report([]).dates()
    assert len(dates) == DAYS_SHOWN
    assert (dates[0], dates[-1]) == (TODAY - dt.timedelta(days=89), TODAY)


def test_texts_have_no_character_that_xml_refuses() -> None:
    assert status_page.plain("a\x00\x0b\x7f\x85\ud800\ufffeé模\u202e") == "a������é模\u202e"
