"""What the commands show."""

import datetime as dt

import msgspec
import pytest
from rich.console import Console, RenderableType

from trunkline.bus.snapshots import (
    ChannelOverride,
    Clamp,
    CredentialLimits,
    CredentialOrder,
    HeaderRules,
    ModelRouting,
    ParameterRules,
    Probe,
    ProbeKind,
    Strategy,
    Timeouts,
)
from trunkline.cli import render
from trunkline.policy.admin_api import ChannelView, Check, CredentialView, ModelView, UsageRow
from trunkline.policy.changes import Change, FieldChange
from trunkline.protocol.vendor import VendorOptions

MOMENT = dt.datetime(2030, 1, 31, 12, 0, tzinfo=dt.UTC)


def text(*parts: RenderableType) -> str:
    console = Console(width=200, color_system=None)
    with console.capture() as capture:
        for part in parts:
            console.print(part, markup=False, highlight=False)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


CHANNEL = ChannelView(
    id=1,
    name="main",
    dialect="openai",
    base_url="http://x",
    models={"m": "up-m"},
    groups=("default", "vip"),
    priority=0,
    weight=100,
    enabled=False,
    timeouts=Timeouts(1, 2, 3, 4),
    params=ParameterRules(),
    stream_usage=True,
    options=VendorOptions(),
    credentials=(CredentialView(7, "deadbeef", MOMENT),),
    costs={"m": {"input": 100_000_000}},
)


def test_a_channel_shows_models_costs_and_marks_of_its_credentials() -> None:
    shown = text(*render.channel(CHANNEL))
    for expected in ("disabled", "default, vip", "first_token_s 2", "up-m", "input 0.10", "deadbeef"):
        assert expected in shown


def test_a_channel_shows_its_rules_in_words() -> None:
    view = msgspec.structs.replace(
        CHANNEL,
        params=ParameterRules(
            drop=("seed",), set={"a": msgspec.Raw(b"[1]")}, clamp={"top_p": Clamp(0.01, 0.99), "n": Clamp(min=1)}
        ),
        overrides=(ChannelOverride(("m",), params=ParameterRules(rename={"x": "y"})),),
        headers=HeaderRules(("x-a",), {"x-b": "c"}),
        status_map={520: 503, 403: 429},
        probe=Probe(ProbeKind.COMPLETION, "m", 30),
        credential_order=CredentialOrder.WEIGHTED,
        limits=CredentialLimits(jobs=4, tpm=9),
        credentials=(CredentialView(7, "deadbeef", MOMENT, 3, CredentialLimits(rpm=60)),),
    )
    lines = text(*render.channel(view)).splitlines()
    assert lines[3:11] == [
        "timeouts: connect_s 1, first_token_s 2, idle_s 3, total_s 4",
        "params: drop seed; set a [1]; clamp top_p to 0.01…0.99, n to 1…",
        "overrides: [m: rename x to y]",
        "headers: drop x-a; set x-b: c",
        "status map: 403 as 429, 520 as 503",
        "probe: completion of m, every 30 s, 2000 paid a day",
        "credential order: weighted",
        "limits of each credential: jobs 4, tpm 9",
    ]
    assert lines[-1].split()[:5] == ["7", "deadbeef", "3", "rpm", "60"]


@pytest.mark.parametrize(
    ("enabled", "drained", "state"),
    [(True, False, "enabled"), (True, True, "drained"), (False, True, "disabled"), (False, False, "disabled")],
)
def test_a_channel_is_in_one_state(enabled: bool, drained: bool, state: str) -> None:
    view = msgspec.structs.replace(CHANNEL, enabled=enabled, drained=drained)
    assert text(render.channels([view])).splitlines()[1].split()[1] == state


def test_a_model_shows_its_routing() -> None:
    routing = ModelRouting(Strategy.COST, ("a", "b"), filter_fallbacks=("c",), hedge=True, continues=True)
    view = ModelView("m", "default", "me", True, {}, "free", ("main",), routing=routing)
    shown = text(*render.model(view))
    assert shown.endswith("routing: cost; fallbacks a, b; filter fallbacks c; hedged; continued")
    assert text(*render.model(msgspec.structs.replace(view, routing=ModelRouting()))).endswith("routing: none")


def test_models_show_price_and_source() -> None:
    views = [
        ModelView("m", "default", "me", False, {"input": 150_000_000}, "configuration", ("main",)),
        ModelView("f", "default", "me", True, {"input": 0}, "free", ()),
    ]
    assert [line.split()[2] for line in text(render.models(views)).splitlines()[1:]] == ["input", "free"]


def test_usage_begins_with_what_was_asked_for() -> None:
    row = UsageRow(3, 2, 100, 10, 50, 1_500_000_000, 9, model="m", day=dt.date(2030, 1, 31))
    heading, line = text(render.usage([row], ("day", "model"))).splitlines()
    assert heading.split()[:2] == ["day", "model"]
    assert line.split() == ["2030-01-31", "m", "3", "2", "100", "10", "50", "1.50", "0.000000009"]


def test_a_diff_says_what_would_be_done() -> None:
    changes = [
        Change("create", "group", "vip", (FieldChange("multiplier_ppm", "none", "1200000"),)),
        Change("update", "channel", "main", (FieldChange("weight", "100", "7"),)),
    ]
    assert text(render.changes(changes, dry_run=True)) == (
        "+ group vip\n    multiplier_ppm: 1200000\n~ channel main\n    weight: 100 → 7\n2 changes would be made."
    )
    assert text(render.changes(changes[:1], dry_run=False)).endswith("1 change made.")
    assert text(render.changes([], dry_run=False)) == "Nothing to change."


def test_names_are_neither_markup_nor_terminal_codes() -> None:
    assert text(render.table(("n",), [("[red]x[/red]\x1b[31m\x9b1m\u202e",)])).splitlines()[1] == "[red]x[/red][31m1m"
    assert render.printable("a\tb\nc\x07\x1b]0;t\x07") == "a\tb\nc]0;t"


def test_checks_are_one_line_each() -> None:
    found = [Check("nats", True, "connected"), Check("edge", False, "None is alive.")]
    assert text(render.checks(found)) == "ok    nats: connected\nFAIL  edge: None is alive."
