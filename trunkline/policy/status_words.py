"""The words of the status page, in each language that it speaks. Pure.

They are templates of `str.format`; what is put into them is escaped where the page is made.
"""

# ruff: noqa: RUF001 - Chinese has punctuation of its own, which looks like ours

import re
from typing import Final

import msgspec

from trunkline.policy.incidents import Level

ENGLISH: Final = "en"
CHINESE: Final = "zh"

CHOICES_MAX: Final = 20
"""Languages looked at in a request's ``accept-language``; browsers send a handful."""

_QUALITY = re.compile(r"q=([01](?:\.[0-9]{0,3})?)")


class Words(msgspec.Struct, frozen=True):
    """All texts of one language.

    Attributes:
        language: for the page's ``lang``.
        title: of page and feed.
        all_up, some_trouble, all_down, unknown: the sentence over everything; ``count`` and ``total`` are models.
        no_models: in place of a list of them.
        levels: of a model at present, by level; the one of None is not known.
        models, incidents: headings.
        uptime, no_uptime: of all days; ``percent`` is written out.
        bar: what a bar says to those who do not see it.
        first_day, today: under the bars.
        troubled_days: heading of the list of days with trouble.
        day: a line of it; ``what`` is one of the next two.
        day_down, day_degraded: for how long.
        no_incidents: in place of a list of them.
        begins, happened, happens: an incident that begins, that is over, that lasts; ``what`` is one of `events`.
        events: what happened to models, by level.
        names_joint, names_more: between names, and after the last one that is written out.
        span, till_now: of an incident that is over, of one that lasts.
        made: when the page was made.
        uptime_note: what counts as uptime.
        formats: leads to the other forms of the page.
        days, hours, minutes, no_minute: lengths of time.
    """

    language: str
    title: str
    all_up: str
    some_trouble: str
    all_down: str
    unknown: str
    no_models: str
    levels: dict[Level | None, str]
    models: str
    incidents: str
    uptime: str
    no_uptime: str
    bar: str
    first_day: str
    today: str
    troubled_days: str
    day: str
    day_down: str
    day_degraded: str
    no_incidents: str
    begins: str
    happened: str
    happens: str
    events: dict[Level, str]
    names_more: str
    names_joint: str
    span: str
    till_now: str
    made: str
    uptime_note: str
    formats: str
    days: str
    hours: str
    minutes: str
    no_minute: str


WORDS: Final = {
    ENGLISH: Words(
        language="en",
        title="Service status",
        all_up="All models answer.",
        some_trouble="Trouble with {count} of {total} models.",
        all_down="No model answers.",
        unknown="The present state is not known.",
        no_models="There are no models to show.",
        levels={Level.UP: "Works", Level.DEGRADED: "Degraded", Level.DOWN: "Unavailable", None: "Not known"},
        models="Models",
        incidents="Incidents",
        uptime="{percent} % available",
        no_uptime="No figures yet",
        bar="Last 90 days: {uptime}; {days} days with trouble.",
        first_day="90 days ago",
        today="Today",
        troubled_days="Days with trouble",
        day="{day}: {what}",
        day_down="unavailable for {time}",
        day_degraded="degraded for {time}",
        no_incidents="None in the last 90 days.",
        begins="{models}: {what}",
        happened="{models}: {what} for {time}",
        happens="{models}: {what} for {time} so far",
        events={Level.DEGRADED: "degraded", Level.DOWN: "unavailable"},
        names_more=" and {count} more",
        names_joint=", ",
        span="{began} to {ended}",
        till_now="Since {began}, not over yet",
        made="As of {moment}. Days and times are in UTC.",
        uptime_note="A model is unavailable while none of the places that serve it answers, and degraded while some "
        "of them do not; requests then go to the others.",
        formats="Also as",
        days="{count} d",
        hours="{count} h",
        minutes="{count} min",
        no_minute="less than a minute",
    ),
    CHINESE: Words(
        language="zh-CN",
        title="服务状态",
        all_up="所有模型均正常。",
        some_trouble="{total} 个模型中有 {count} 个出现问题。",
        all_down="所有模型均不可用。",
        unknown="当前状态未知。",
        no_models="没有可显示的模型。",
        levels={Level.UP: "正常", Level.DEGRADED: "部分受影响", Level.DOWN: "不可用", None: "未知"},
        models="模型",
        incidents="事件",
        uptime="可用率 {percent} %",
        no_uptime="暂无数据",
        bar="最近 90 天：{uptime}；有问题的天数：{days}。",
        first_day="90 天前",
        today="今天",
        troubled_days="有问题的日期",
        day="{day}：{what}",
        day_down="不可用 {time}",
        day_degraded="部分受影响 {time}",
        no_incidents="最近 90 天内没有事件。",
        begins="{models}：{what}",
        happened="{models}：{what} {time}",
        happens="{models}：{what}，已持续 {time}",
        events={Level.DEGRADED: "部分受影响", Level.DOWN: "不可用"},
        names_more=" 等，另有 {count} 个",
        names_joint="、",
        span="{began} 至 {ended}",
        till_now="自 {began} 起，尚未结束",
        made="截至 {moment}。日期和时间均为 UTC。",
        uptime_note="当一个模型的所有上游都无应答时，该模型为不可用；部分上游无应答时为部分受影响，请求会转到其余上游。",
        formats="其他格式",
        days="{count} 天",
        hours="{count} 小时",
        minutes="{count} 分钟",
        no_minute="不到 1 分钟",
    ),
}


def language_of(accepted: str) -> str:
    """Return the language that a reader wants most of those that there are; English if it names none of them.

    Args:
        accepted: the header ``accept-language`` (RFC 9110, section 12.5.4), as it came.
    """
    best, best_quality = ENGLISH, 0.0
    for choice in accepted.split(",", CHOICES_MAX)[:CHOICES_MAX]:
        tag, _, parameters = choice.partition(";")
        quality = _QUALITY.fullmatch(parameters.strip()) if parameters else None
        weight = float(quality[1]) if quality else float(not parameters)
        language = tag.strip().lower().partition("-")[0]
        if language in WORDS and weight > best_quality:
            best, best_quality = language, weight
    return best


def time_text(words: Words, length_s: int) -> str:
    """Return a length of time in the two largest units that it has, such as ``3 h 5 min``."""
    minutes = length_s // 60
    parts = [
        (words.days, minutes // 1440),
        (words.hours, minutes // 60 % 24),
        (words.minutes, minutes % 60),
    ]
    while parts and not parts[0][1]:
        del parts[0]
    return " ".join(text.format(count=count) for text, count in parts[:2] if count) or words.no_minute
