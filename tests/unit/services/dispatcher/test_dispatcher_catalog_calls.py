"""How the catalog has channels called: rules and timeouts of a model, and the head of a request."""

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from services.dispatcher import job_runner
from services.dispatcher.catalog import USER_AGENT, Catalog
from services.dispatcher.header_lines import FIXED_LINES, job_line, kept_lines, set_lines
from services.dispatcher.metrics import DispatcherMetrics
from tests.support.manual_clock import ManualClock
from trunkline.bus import snapshots
from trunkline.bus.snapshots import ChannelOverride, ChannelSnapshot, Clamp, HeaderRules, ParameterRules, Timeouts
from trunkline.core.errors import ErrorType, Fault
from trunkline.policy.model_terms import model_terms
from trunkline.policy.routing import Candidate
from trunkline.policy.vault import NONCE_BYTES, Vault
from trunkline.protocol.dialect import Call
from trunkline.protocol.rules import NO_RULES, RequestRules
from trunkline.runtime.http_client import Target

VAULT = Vault({1: b"k" * 32})
CALL = Call("/chat/completions", b"x-beta: a\r\n")
URL = "http://provider.example/v1"


def channel(**members: Any) -> ChannelSnapshot:
    credentials = (VAULT.seal(1, "sk-1", b"n" * NONCE_BYTES),)
    return ChannelSnapshot(7, "main", "openai", URL, credentials, {"small": "up", "large-1": "up"}, **members)


def candidate(of: ChannelSnapshot, model: str = "small") -> Candidate:
    return Candidate(of, of.credentials[0] if of.credentials else None, "default", "up", last_resort=False, model=model)


class Rig:
    """A catalog with one channel."""

    def __init__(self, **members: Any) -> None:
        self.catalog = Catalog(VAULT, 1, clock=ManualClock(), metrics=DispatcherMetrics(CollectorRegistry()))
        self.put(**members)

    def put(self, **members: Any) -> None:
        self.catalog.channel_changed("7", snapshots.encode(channel(**members)))

    def candidate(self, model: str = "small") -> Candidate:
        held = self.catalog._table.channel(7)
        assert held is not None
        return candidate(held, model)

    def head(self, call: Call = CALL) -> list[str]:
        chosen = self.candidate()
        target = self.catalog.target(chosen, call)
        assert target is not None
        return self.catalog.request_head(chosen, target, call).decode().removesuffix("\r\n").split("\r\n")


# --- rules and timeouts of a model -----------------------------------------------------------------------------------

PARAMS = ParameterRules(
    drop=("a",),
    set={"b": msgspec.Raw(b"1")},
    default={"c": msgspec.Raw(b'"x"')},
    clamp={"d": Clamp(max=0.99)},
    rename={"e": "f"},
)
RULES = RequestRules(drop=("a",), set={"b": b"1"}, default={"c": b'"x"'}, clamp={"d": (None, 0.99)}, rename={"e": "f"})
SLOW, SLOWER = Timeouts(first_token_s=300.0), Timeouts(first_token_s=600.0)


def test_a_channel_without_rules_changes_nothing() -> None:
    terms = model_terms(channel(), "small")
    assert terms.rules is NO_RULES
    assert terms.timeouts == Timeouts()


def test_a_channels_rules_hold_for_all_its_models() -> None:
    assert model_terms(channel(params=PARAMS, timeouts=SLOW), "small").rules == RULES
    assert model_terms(channel(params=PARAMS, timeouts=SLOW), "small").timeouts is SLOW


def test_overrides_follow_the_channels_rules_in_their_order() -> None:
    overrides = (
        ChannelOverride(("large-*", "huge"), SLOW, ParameterRules(drop=("x",))),
        ChannelOverride(("none",), SLOWER, ParameterRules(drop=("y",))),
        ChannelOverride(("*-1",), None, ParameterRules(drop=("z",))),
        ChannelOverride(("*",), params=ParameterRules()),
    )
    ruled = channel(params=PARAMS, overrides=overrides)
    last = RequestRules(drop=("z",))
    then = RequestRules(drop=("x",), then=last)
    assert model_terms(ruled, "large-1").rules == msgspec.structs.replace(RULES, then=then)
    assert model_terms(channel(overrides=overrides), "large-1").rules == then
    assert model_terms(ruled, "large-1").timeouts is SLOW
    assert model_terms(ruled, "small").rules == RULES
    assert model_terms(ruled, "small").timeouts == Timeouts()
    assert (
        model_terms(channel(overrides=(*overrides, ChannelOverride(("large-1",), SLOWER))), "large-1").timeouts
        is SLOWER
    )


def test_a_provider_without_usage_in_streams_gets_no_stream_options() -> None:
    assert model_terms(channel(stream_usage=False), "small").rules == RequestRules(drop=("stream_options",))
    silent = model_terms(channel(stream_usage=False, params=PARAMS), "small").rules
    assert silent == msgspec.structs.replace(RULES, drop=("a", "stream_options"))


def test_terms_are_made_once_and_anew_when_the_channel_changes() -> None:
    rig = Rig(params=PARAMS, overrides=(ChannelOverride(("large-*",), SLOW),))
    small, large = rig.candidate(), rig.candidate("large-1")
    assert rig.catalog.rules(small) == RULES
    assert rig.catalog.rules(small) is rig.catalog.rules(rig.candidate())
    assert rig.catalog.timeouts(large) == SLOW
    assert rig.catalog.timeouts(small) == Timeouts()
    rig.put()
    assert rig.catalog.rules(rig.candidate()) is NO_RULES
    assert rig.catalog.timeouts(rig.candidate("large-1")) == Timeouts()
    # A plan that had begun goes on with the channel as it was, and leaves nothing of it behind.
    assert rig.catalog.rules(small) == RULES
    assert rig.catalog.rules(rig.candidate()) is NO_RULES
    rig.catalog.channel_changed("7", None)
    assert rig.catalog.timeouts(large) == SLOW
    assert rig.catalog._terms == {}


# --- the head of a request -------------------------------------------------------------------------------------------

START = ["POST /v1/chat/completions HTTP/1.1", "host: provider.example"]
ACCEPT = "accept: application/json, text/event-stream, */*"
IDENTITY, AGENT, SECRET, BETA = (
    "accept-encoding: identity",
    f"user-agent: {USER_AGENT}",
    "authorization: Bearer sk-1",
    "x-beta: a",
)


def test_without_rules_the_head_is_the_dialects() -> None:
    assert Rig().head() == [*START, ACCEPT, IDENTITY, AGENT, SECRET, BETA]


def test_lines_are_dropped_and_set() -> None:
    rules = HeaderRules(("user-agent", "x-other"), {"x-beta": "b, c", "x-title": "Team: 1"})
    assert Rig(headers=rules).head() == [*START, ACCEPT, IDENTITY, SECRET, "x-beta: b, c", "x-title: Team: 1"]


def test_the_credential_and_what_the_connection_needs_are_never_touched() -> None:
    fixed = dict.fromkeys(sorted(FIXED_LINES), "x")
    for rules in (
        HeaderRules(tuple(fixed), {}),
        HeaderRules((), fixed),
        HeaderRules(("authorization",), {}),
        HeaderRules((), {"authorization": "x"}),
    ):
        assert Rig(headers=rules).head() == [*START, ACCEPT, IDENTITY, AGENT, SECRET, BETA]


@pytest.mark.parametrize(
    ("name", "value"),
    [("x-a", "1\r\nx-b: 2"), ("x-a", "1\n"), ("x-a\r\nx-b", "1"), ("x a", "1"), ("x-a:", "1"), ("", "1"), ("x-a", "é")],
)
def test_no_line_can_bring_another_one(name: str, value: str) -> None:
    assert set_lines(HeaderRules((), {name: value, "x-good": "1"}), "authorization") == b"x-good: 1\r\n"


def test_a_clients_lines_are_dropped_and_make_way() -> None:
    lines = b"anthropic-version: 1\r\nAnthropic-Beta: a,b\r\n"
    assert kept_lines(lines, HeaderRules()) is lines
    assert kept_lines(lines, HeaderRules(("anthropic-beta",))) == b"anthropic-version: 1\r\n"
    assert kept_lines(lines, HeaderRules((), {"anthropic-version": "2"})) == b"Anthropic-Beta: a,b\r\n"


def test_heads_and_addresses_are_made_anew_when_the_channel_changes() -> None:
    rig = Rig(headers=HeaderRules((), {"x-title": "a"}))
    before = rig.candidate()
    assert rig.head()[-1] == "x-title: a"
    rig.put(headers=HeaderRules((), {"x-title": "b"}))
    stale = rig.catalog.request_head(before, Target(endpoint(rig), "provider.example", "/v1"), CALL)
    assert stale.endswith(b"x-title: a\r\n")
    assert rig.head()[-1] == "x-title: b"


def test_a_job_that_was_planned_before_a_channel_moved_goes_where_its_secret_belongs() -> None:
    rig = Rig()
    before = rig.candidate()
    moved = msgspec.structs.replace(channel(), base_url="http://elsewhere.example/v1")
    rig.catalog.channel_changed("7", snapshots.encode(moved))
    assert endpoint(rig).host == "elsewhere.example"
    rig.head()
    target = rig.catalog.target(before, CALL)
    assert target is not None
    assert target.endpoint.host == "provider.example"
    assert b"host: provider.example" in rig.catalog.request_head(before, target, CALL)


def test_a_channel_that_was_deleted_meanwhile_leaves_nothing_behind() -> None:
    rig = Rig()
    before = rig.candidate()
    rig.catalog.channel_changed("7", None)
    for fault in (Fault(ErrorType.UPSTREAM_CREDENTIAL, "x"), Fault(ErrorType.UPSTREAM_ERROR, "x")):
        rig.catalog.learn(before, fault, None, began=0.0, now=0.0)
    assert not rig.catalog.credentials.troubles(0.0)
    assert not rig.catalog._breakers


def endpoint(rig: Rig) -> Any:
    target = rig.catalog.target(rig.candidate(), CALL)
    assert target is not None
    return target.endpoint


def test_no_value_of_a_job_ends_its_line() -> None:
    """An edge that was taken over says what it likes; a provider reads one request with its credential all the same."""
    smuggled = "1\r\ncontent-length: 0\r\n\r\nDELETE /v1/files HTTP/1.1\nx: \0y"
    written = "1content-length: 0DELETE /v1/files HTTP/1.1x: y"
    passage = SimpleNamespace(body=b"{}", carried=b"", body_type=smuggled)
    wire = job_runner._request(smuggled, passage, b"POST / HTTP/1.1\r\n")  # type: ignore[arg-type]  # all that is read
    assert wire.decode() == (
        f"POST / HTTP/1.1\r\ntraceparent: {written}\r\ncontent-type: {written}\r\ncontent-length: 2\r\n\r\n{{}}"
    )
    assert job_line("content-type", "a/b; x=\xe9\u4e2d\tz") == b"content-type: a/b; x=\xe9?\tz\r\n"
