"""The status page for programs: JSON with all models and days, RSS 2.0 with incidents. Pure; in English."""

import datetime as dt
import email.utils
from typing import Final
from xml.sax.saxutils import escape, quoteattr

import msgspec

from trunkline.policy.incidents import Level, worse
from trunkline.policy.status import PublicEvent, StatusReport, moment, public_events, uptime_ppm
from trunkline.policy.status_page import event_text, overall
from trunkline.policy.status_words import ENGLISH, WORDS

FEED_MINUTES: Final = 5
"""How often readers are asked to look again."""

_WORDS: Final = WORDS[ENGLISH]

_encode = msgspec.json.Encoder().encode


class StatusDay(msgspec.Struct, frozen=True):
    """A model's day; days of which nothing is known are left out.

    Attributes:
        day: in UTC.
        up_s, degraded_s, down_s: how long it was at each level; what is missing of the day is not known.
    """

    day: dt.date
    up_s: int
    degraded_s: int
    down_s: int


class StatusModel(msgspec.Struct, frozen=True):
    """A public model.

    Attributes:
        name: public.
        level: at present: up, degraded or down; None if not known.
        uptime: share of the known time in which it was not down, rounded down to parts per million; None without any.
        days: the oldest first.
    """

    name: str
    level: Level | None
    uptime: float | None
    days: tuple[StatusDay, ...]


class StatusIncident(msgspec.Struct, frozen=True):
    """Models that were in trouble together.

    Attributes:
        began_at, ended_at: in UTC; None while it lasts.
        level: the worst that it came to.
        models: which.
        text: the same in a sentence.
    """

    began_at: dt.datetime
    ended_at: dt.datetime | None
    level: Level
    models: tuple[str, ...]
    text: str


class StatusDocument(msgspec.Struct, frozen=True):
    """All of ``/status.json``.

    Attributes:
        made_at: when, in UTC.
        level: of all models together; None if not known.
        text: the same in a sentence.
        models: in the order of their names.
        incidents: what lasts first, then the newest first.
    """

    made_at: dt.datetime
    level: Level | None
    text: str
    models: tuple[StatusModel, ...]
    incidents: tuple[StatusIncident, ...]


def document(report: StatusReport) -> StatusDocument:
    """Return what ``/status.json`` says."""
    level, text = overall(report, _WORDS)
    models = []
    dates = report.dates()
    for model in report.models:
        known = [(date, model.days[date]) for date in dates if date in model.days]
        ppm = uptime_ppm(day for _, day in known)
        days = tuple(StatusDay(date, *day) for date, day in known)
        models.append(StatusModel(model.name, model.level, None if ppm is None else ppm / 1_000_000, days))
    incidents = tuple(
        StatusIncident(
            began_at=moment(event.began_ms),
            ended_at=None if event.ended_ms is None else moment(event.ended_ms),
            level=event.level,
            models=event.models,
            text=event_text(event, report.made_ms, _WORDS),
        )
        for event in public_events(report.incidents, report.made_ms)
    )
    return StatusDocument(moment(report.made_ms), level, text, tuple(models), incidents)


def json_text(report: StatusReport) -> bytes:
    """Return `document` as JSON."""
    return _encode(document(report))


def rss(report: StatusReport, url: str) -> str:
    """Return incidents as RSS 2.0 (https://www.rssboard.org/rss-specification).

    That one begins and that it ends are two items, since readers show an item once.

    Args:
        report: see there.
        url: of the status page as readers reach it; empty if the settings do not say.
    """
    link = url or "/status"
    items: list[tuple[int, str]] = []
    begun: dict[int, PublicEvent] = {}
    for event in public_events(report.incidents, report.made_ms):
        if event.ended_ms is not None:
            items.append((event.ended_ms, _item(event, event.ended_ms, link)))
        # What began together may end one by one, but began once.
        others = begun.get(event.began_ms, event)
        models = tuple(sorted({*others.models, *event.models}))
        begun[event.began_ms] = PublicEvent(event.began_ms, None, worse(others.level, event.level), models)
    items += [(event.began_ms, _item(event, event.began_ms, link)) for event in begun.values()]
    body = "".join(text for _, text in sorted(items, key=lambda item: -item[0]))
    own = f'<atom:link rel="self" type="application/rss+xml" href={quoteattr(f"{url}.rss")}/>' if url else ""
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom"><channel>'
        f"<title>{_WORDS.title}</title><link>{escape(link)}</link>"
        f"<description>{_WORDS.incidents}</description><language>{_WORDS.language}</language>{own}"
        f"<ttl>{FEED_MINUTES}</ttl>\n{body}</channel></rss>\n"
    )


def _item(event: PublicEvent, at_ms: int, link: str) -> str:
    guid = f"began-{event.began_ms}" if event.ended_ms is None else f"ended-{event.began_ms}-{event.ended_ms}"
    text = escape(event_text(event, at_ms, _WORDS))
    return (
        f'<item><title>{text}</title><link>{escape(link)}</link><guid isPermaLink="false">{guid}</guid>'
        f"<pubDate>{email.utils.format_datetime(moment(at_ms), usegmt=True)}</pubDate></item>\n"
    )
