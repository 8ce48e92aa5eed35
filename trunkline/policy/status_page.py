"""The public status page as HTML: no scripts, nothing from elsewhere, one style sheet that its policy names by a hash.

Pure. Served by `services.console.status_api`. Names come from the configuration, but are treated as if a stranger had
written them.
"""

import base64
import datetime as dt
import hashlib
import html
from typing import Final

from trunkline.policy.incidents import Level
from trunkline.policy.status import (
    DAYS_SHOWN,
    NO_FIGURES,
    DayFigures,
    ModelReport,
    PublicEvent,
    StatusReport,
    moment,
    public_events,
    uptime_ppm,
)
from trunkline.policy.status_words import WORDS, Words, time_text

MODELS_SHOWN_MAX: Final = 300
"""A page of more is for nobody to read; the JSON beside it has them all."""

NAMES_SHOWN_MAX: Final = 10
"""Models that one incident names."""

STYLE: Final = """
:root{color-scheme:light dark;--ground:#fff;--text:#1c2024;--quiet:#5b6470;--line:#d8dde3;--up:#2e7d4f;
--degraded:#9a5b00;--down:#c0262d;--none:#c3c9d0}
@media(prefers-color-scheme:dark){:root{--ground:#14171a;--text:#e8eaed;--quiet:#a0a8b2;--line:#343a41;--up:#4caf7d;
--degraded:#e0a030;--down:#f0616a;--none:#4a525b}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--text);font:1rem/1.5 system-ui,sans-serif}
main,footer{max-width:52rem;margin:0 auto;padding:1rem}
h1{font-size:1.5rem;margin:.5rem 0}h2{font-size:1.2rem;margin:2rem 0 .5rem}h3{font-size:1rem;margin:0}
bdi{overflow-wrap:anywhere}
.all{border:2px solid var(--line);border-inline-start-width:.5rem;border-radius:.4rem;padding:.8rem 1rem}
.all.up{border-color:var(--up)}.all.degraded{border-color:var(--degraded)}.all.down{border-color:var(--down)}
ul,ol{list-style:none;margin:0;padding:0}
.models>li,.incidents>li{border-top:1px solid var(--line);padding:.8rem 0}
.head,.foot{display:flex;flex-wrap:wrap;gap:0 1rem;justify-content:space-between}
.head{flex-wrap:nowrap}.head strong{flex:none}.incidents p{margin:0}
.foot,.quiet,footer{color:var(--quiet);font-size:.875rem}
svg.lines{position:absolute;width:0;height:0}
li svg{display:block;width:100%;height:2rem;margin:.3rem 0}
rect.up{fill:var(--up)}rect.degraded{fill:var(--degraded)}rect.down{fill:var(--down)}rect.none{fill:var(--none)}
#lines{stroke:var(--ground);stroke-width:.25}
strong.up{color:var(--up)}strong.degraded{color:var(--degraded)}strong.down{color:var(--down)}
summary{cursor:pointer}a{color:inherit}a:focus-visible,summary:focus-visible{outline:2px solid currentColor}
""".strip()

POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy of the page."""

_HEIGHTS: Final = {Level.UP: 20, Level.DEGRADED: 14, Level.DOWN: 20, None: 4}
"""Bars differ in height, too: not everybody tells the colours apart. What was down has a notch."""

_NOTCH: Final = 6

_LINES_ID: Final = "lines"
_LINES: Final = (
    f'<svg class="lines" aria-hidden="true"><defs><path id="{_LINES_ID}" '
    f'd="{"".join(f"M{day} 0v20" for day in range(1, DAYS_SHOWN))}"/></defs></svg>'
)
"""What parts the days of all bars, once for the page."""

_UNPRINTABLE: Final = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0), 0xFFFE, 0xFFFF, *range(0xD800, 0xE000)], "�")


def plain(text: str) -> str:
    """Return a text without the characters that HTML and XML have no place for (XML 1.0, section 2.2)."""
    return text.translate(_UNPRINTABLE)


def _escaped(text: str) -> str:
    return html.escape(plain(text))


def _name(model: str) -> str:
    # Isolated: a name that turns the direction of writing turns only itself.
    return f"<bdi>{_escaped(model)}</bdi>"


def percent_text(ppm: int) -> str:
    """Return a share as a percentage with two digits, rounded down: 100 only if nothing is missing."""
    return f"{ppm // 10_000}.{ppm // 100 % 100:02d}"


def overall(report: StatusReport, words: Words) -> tuple[Level | None, str]:
    """Return the worst level that counts for all, and the sentence over everything."""
    levels = report.levels
    if not levels:
        return None, words.unknown if report.models else words.no_models
    troubled = sum(level is not Level.UP for level in levels)
    if not troubled:
        return Level.UP, words.all_up
    if all(level is Level.DOWN for level in levels):
        return Level.DOWN, words.all_down
    return Level.DEGRADED, words.some_trouble.format(count=troubled, total=len(report.models))


def page(report: StatusReport, language: str) -> str:
    """Return the page in a language of `WORDS`."""
    words = WORDS[language]
    level, sentence = overall(report, words)
    shown = report.models[:MODELS_SHOWN_MAX]
    dates = report.dates()
    models = "".join(_model(model, dates, words) for model in shown)
    if len(shown) < len(report.models):
        models += f'<li class="quiet">{words.names_more.format(count=len(report.models) - len(shown)).strip()}</li>'
    events = public_events(report.incidents, report.made_ms)
    incidents = "".join(_incident(event, report.made_ms, words) for event in events)
    return (
        f'<!doctype html>\n<html lang="{words.language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<title>{words.title}</title><link rel="alternate" type="application/rss+xml" href="status.rss" '
        f'title="{words.title}"><style>{STYLE}</style></head>\n<body><main><h1>{words.title}</h1>'
        f'<p class="all {level or "none"}">{sentence}</p>{_LINES}\n'
        f'<section aria-labelledby="models"><h2 id="models">{words.models}</h2><ul class="models">{models}</ul>'
        f'</section>\n<section aria-labelledby="incidents"><h2 id="incidents">{words.incidents}</h2>'
        + (f'<ol class="incidents">{incidents}</ol>' if events else f"<p>{words.no_incidents}</p>")
        + f"</section></main>\n<footer><p>{words.uptime_note}</p>"
        f"<p>{words.made.format(moment=_time(report.made_ms))}</p>"
        f'<p>{words.formats} <a href="status.json">JSON</a>, <a href="status.rss">RSS</a></p></footer></body></html>\n'
    )


def _model(model: ModelReport, dates: list[dt.date], words: Words) -> str:
    days = [model.days.get(date, NO_FIGURES) for date in dates]
    ppm = uptime_ppm(days)
    uptime = words.no_uptime if ppm is None else words.uptime.format(percent=percent_text(ppm))
    troubled = [(date, day) for date, day in zip(dates, days, strict=True) if day.level in {Level.DEGRADED, Level.DOWN}]
    label = words.bar.format(uptime=uptime, days=len(troubled))
    return (
        f'<li><div class="head"><h3>{_name(model.name)}</h3>'
        f'<strong class="{model.level or "none"}">{words.levels[model.level]}</strong></div>'
        f'<svg viewBox="0 0 {len(days)} 20" preserveAspectRatio="none" role="img" aria-label="{label}">{_bars(days)}'
        f'<use href="#{_LINES_ID}"/></svg><div class="foot" aria-hidden="true"><span>{words.first_day}</span>'
        f"<span>{uptime}</span><span>{words.today}</span></div>{_troubled(troubled, words)}</li>\n"
    )


def _bars(days: list[DayFigures]) -> str:
    """Return a rectangle for each run of days alike."""
    parts: list[str] = []
    begin = 0
    for end in range(1, len(days) + 1):
        level = days[begin].level
        if end < len(days) and days[end].level is level:
            continue
        height = _HEIGHTS[level]
        parts.append(
            f'<rect class="{level or "none"}" x="{begin}" y="{20 - height}" width="{end - begin}" height="{height}"/>'
        )
        if level is Level.DOWN:
            parts.append(f'<rect class="none" x="{begin}" width="{end - begin}" height="{_NOTCH}"/>')
        begin = end
    return "".join(parts)


def _troubled(days: list[tuple[dt.date, DayFigures]], words: Words) -> str:
    if not days:
        return ""
    lines = "".join(f"<li>{words.day.format(day=date, what=_day(day, words))}</li>" for date, day in reversed(days))
    return f'<details class="quiet"><summary>{words.troubled_days}</summary><ul>{lines}</ul></details>'


def _day(day: DayFigures, words: Words) -> str:
    parts = []
    if day.down_s:
        parts.append(words.day_down.format(time=time_text(words, day.down_s)))
    if day.degraded_s:
        parts.append(words.day_degraded.format(time=time_text(words, day.degraded_s)))
    return words.names_joint.join(parts)


def _incident(event: PublicEvent, now_ms: int, words: Words) -> str:
    span = (
        words.till_now.format(began=_time(event.began_ms))
        if event.ended_ms is None
        else words.span.format(began=_time(event.began_ms), ended=_time(event.ended_ms))
    )
    sentence = _sentence(event, [_name(model) for model in event.models[:NAMES_SHOWN_MAX]], now_ms, words)
    return f'<li><h3>{sentence}</h3><p class="quiet">{span}</p></li>\n'


def event_text(event: PublicEvent, now_ms: int, words: Words) -> str:
    """Return what happened in a sentence, as plain text; what began this very moment has no length."""
    return _sentence(event, [plain(model) for model in event.models[:NAMES_SHOWN_MAX]], now_ms, words)


def _sentence(event: PublicEvent, names: list[str], now_ms: int, words: Words) -> str:
    models = words.names_joint.join(names)
    if len(names) < len(event.models):
        models += words.names_more.format(count=len(event.models) - len(names))
    lasted_ms = (now_ms if event.ended_ms is None else event.ended_ms) - event.began_ms
    template = words.happened if event.ended_ms is not None else words.happens if lasted_ms else words.begins
    return template.format(models=models, what=words.events[event.level], time=time_text(words, lasted_ms // 1000))


def _time(at_ms: int) -> str:
    at = moment(at_ms)
    return f'<time datetime="{at:%Y-%m-%dT%H:%M:%SZ}">{at:%Y-%m-%d %H:%M}</time>'
