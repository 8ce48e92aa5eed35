"""How offered models fare, put together from what is known of their channels. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from trunkline.bus.snapshots import ModelFigures
from trunkline.policy.admin_square import LiveFigures
from trunkline.policy.status import DayFigures, ModelReport, uptime_ppm

PPM = 1_000_000


class ChannelUptime(NamedTuple):
    """In how much of the known time a channel was not ejected, in parts per million; None if nothing is known."""

    day_ppm: int | None
    month_ppm: int | None


class Known(NamedTuple):
    """What is known.

    Attributes:
        reports: by model, of those that the status page shows.
        uptimes: by channel.
        first_tokens: number of streams and the sum of their times to the first token in ms, by channel and model.
        figures: what health said last, by channel and model.
    """

    reports: Mapping[str, ModelReport]
    uptimes: Mapping[int, ChannelUptime]
    first_tokens: Mapping[tuple[int, str], tuple[int, int]]
    figures: Mapping[tuple[int, str], ModelFigures]


def share_ppm(known_s: int, lost_s: int) -> int | None:
    """Return the part of a time that was not lost, in parts per million, rounded down."""
    return (known_s - lost_s) * PPM // known_s if known_s else None


def live_figures(model: str, channels: Sequence[int], known: Known) -> LiveFigures:
    """Return how a model fares.

    Args:
        model: public name.
        channels: ids of those that serve it.
        known: see there.
    """
    report = known.reports.get(model)
    uptimes = [known.uptimes[channel] for channel in channels if channel in known.uptimes]
    month_ppm = None if report is None else uptime_ppm(_month(report))
    streams = [known.first_tokens[channel, model] for channel in channels if (channel, model) in known.first_tokens]
    count = sum(number for number, _ in streams)
    speeds = [known.figures[channel, model].tokens_per_s for channel in channels if (channel, model) in known.figures]
    return LiveFigures(
        level=None if report is None or report.level is None else report.level.value,
        # With one channel left a model can be used: the best of them counts.
        day_uptime_ppm=_best(each.day_ppm for each in uptimes),
        month_uptime_ppm=month_ppm if month_ppm is not None else _best(each.month_ppm for each in uptimes),
        first_token_ms=round(sum(ms for _, ms in streams) / count) if count else _latest(model, channels, known),
        tokens_per_s=max((speed for speed in speeds if speed), default=None),
    )


def _month(report: ModelReport) -> Iterable[DayFigures]:
    return (report.days[day] for day in sorted(report.days)[-30:])


def _best(shares: Iterable[int | None]) -> int | None:
    return max((share for share in shares if share is not None), default=None)


def _latest(model: str, channels: Iterable[int], known: Known) -> int | None:
    found = [known.figures[channel, model].first_token_ms for channel in channels if (channel, model) in known.figures]
    return min((first_token_ms for first_token_ms in found if first_token_ms), default=None)
