"""What a dispatcher knows of channels: snapshots, weights, its own judgement, and how to call each of them."""

import random
from collections.abc import Mapping

import msgspec
import structlog

from services.dispatcher.header_lines import kept_lines, name_of, set_lines
from services.dispatcher.metrics import DispatcherMetrics
from trunkline.bus import snapshots
from trunkline.bus.messages import Envelope
from trunkline.bus.snapshots import ChannelSnapshot, SealedCredential, Timeouts
from trunkline.core.clock import Clock
from trunkline.core.errors import ErrorType, Fault
from trunkline.policy.breaker import Breaker, Verdict
from trunkline.policy.credentials import CredentialStates
from trunkline.policy.figures import LiveFigures
from trunkline.policy.model_terms import ModelTerms, model_terms
from trunkline.policy.routing import Candidate, Plan, RoutingTable
from trunkline.policy.vault import Vault
from trunkline.protocol import registry
from trunkline.protocol.dialect import Call
from trunkline.protocol.rate_limits import read_limits
from trunkline.protocol.rules import RequestRules
from trunkline.protocol.upstream_error import MODEL_DENIED
from trunkline.runtime.http_client import Target, parse_target

log = structlog.get_logger()

USER_AGENT = "trunkline/0.1"
_OWN_LINES = (
    f"accept: application/json, text/event-stream, */*\r\naccept-encoding: identity\r\nuser-agent: {USER_AGENT}\r\n"
).encode("ascii")


class Seat:
    """An attempt's place among those under way on its channel and credential, taken when it was chosen.

    Args:
        credentials, figures: where it counts.
        candidate: who is to be called.
        now: monotonic seconds.

    Attributes:
        underway: its part of the channel's figures.
    """

    __slots__ = ("_candidate", "_credentials", "_left", "underway")

    def __init__(self, credentials: CredentialStates, figures: LiveFigures, candidate: Candidate, now: float) -> None:
        self._credentials = credentials
        self._candidate = candidate
        self._left = False
        self.underway = figures.begin(candidate.channel.id, candidate.model)
        at = now + candidate.wait_s
        credentials.begin(candidate.channel, candidate.credential, at, candidate.upstream_model)

    def leave(self, tokens: int, now: float) -> None:
        """The attempt is over, or was not made; ``tokens`` are those that it used. Once more is fine."""
        if not self._left:
            self._left = True
            self.underway.end()
            self._credentials.end(self._candidate.channel, self._candidate.credential, tokens, now)


class Catalog:
    """Channels, ready to be called.

    Args:
        vault: opens credentials.
        seed: for the draws among channels; different in each process.
        clock, metrics: of the process.
    """

    def __init__(self, vault: Vault, seed: int, *, clock: Clock, metrics: DispatcherMetrics) -> None:
        self._vault = vault
        self._clock = clock
        self._metrics = metrics
        self.figures = LiveFigures()
        self._table = RoutingTable(self.figures)
        self._targets: dict[int, dict[str, Target]] = {}
        self._heads: dict[tuple[int, int, str], bytes] = {}
        self._terms: dict[int, dict[str, ModelTerms]] = {}
        self._breakers: dict[int, Breaker] = {}
        self._draw = random.Random(seed).random  # noqa: S311 - spreads load; nothing secret
        self.credentials = CredentialStates()

    def __len__(self) -> int:
        return len(self._targets)

    def channel_changed(self, token: str, value: bytes | None) -> None:
        """Take a change of the bucket ``channels``; see `runtime.kv_view`."""
        channel_id = int(token)
        self._heads = {key: head for key, head in self._heads.items() if key[0] != channel_id}
        self._targets.pop(channel_id, None)
        self._terms.pop(channel_id, None)
        if value is None:
            self._table.remove(channel_id)
            self._table.clear_weight(channel_id)
            self._breakers.pop(channel_id, None)
            self.credentials.forget(channel_id)
            return
        channel = snapshots.decode_channel(value)
        url_valid = _is_url(channel.base_url)
        if not url_valid or channel.dialect not in registry.UPSTREAMS:
            self._table.remove(channel_id)
            self._metrics.channels_refused.inc()
            log.warning("channel_refused", channel=channel.name, dialect=channel.dialect, url_valid=url_valid)
            return
        self._targets[channel_id] = {}
        self._table.put(channel)

    def weight_changed(self, token: str, value: bytes | None) -> None:
        """Take a change of the bucket ``weights``."""
        if value is None:
            self._table.clear_weight(int(token))
        else:
            self._table.set_weight(snapshots.decode_weight(value))

    def plan(self, envelope: Envelope, now: float) -> Plan:
        """Return the attempts to make for a job at its model; see `policy.routing`."""
        return self._table.plan(
            envelope.model,
            envelope.groups,
            self.credentials,
            self._draw,
            envelope.affinity,
            strategy=envelope.strategy,
            stream=envelope.stream,
            now=now,
        )

    def target(self, candidate: Candidate, call: Call) -> Target | None:
        """Return where a candidate is called, None if its channel went away meanwhile."""
        targets = self._targets.get(candidate.channel.id)
        if targets is None:
            return None
        current = self._is_current(candidate)
        target = targets.get(call.path) if current else None
        if target is None:
            target = parse_target(candidate.channel.base_url + call.path)
            if current:
                # One for each model and form of answer at the most: what a configuration names, never what a client
                # does.
                targets[call.path] = target
        return target

    def _is_current(self, candidate: Candidate) -> bool:
        """Return whether a candidate is of the channel as it is: else nothing that is made for one holds for the other.

        A plan may have begun before its channel changed, and what was a provider's secret must not reach another one.
        """
        return self._table.channel(candidate.channel.id) is candidate.channel

    def rules(self, candidate: Candidate) -> RequestRules:
        """Return what is changed in a candidate's request."""
        return self._terms_of(candidate).rules

    def timeouts(self, candidate: Candidate) -> Timeouts:
        """Return what a candidate may take for each part of its answer."""
        return self._terms_of(candidate).timeouts

    def _terms_of(self, candidate: Candidate) -> ModelTerms:
        channel, model = candidate.channel, candidate.model
        known = self._terms.get(channel.id)
        terms = None if known is None else known.get(model)
        if terms is None or terms.channel is not channel:
            terms = model_terms(channel, model)
            if self._is_current(candidate):
                # One for each of the channel's models: plans have no others.
                self._terms.setdefault(channel.id, {})[model] = terms
        return terms

    def request_head(self, candidate: Candidate, target: Target, call: Call) -> bytes:
        """Return the fixed head of a candidate's requests, up to where the length belongs.

        Raises:
            VaultError: its credential cannot be opened here.
        """
        credential = candidate.credential
        key = (candidate.channel.id, 0 if credential is None else credential.id, call.path)
        current = self._is_current(candidate)
        head = self._heads.get(key) if current else None
        if head is None:
            head = self._build_head(candidate.channel, credential, target, call)
            if current:
                self._heads[key] = head
        return head

    def _build_head(
        self, channel: ChannelSnapshot, credential: SealedCredential | None, target: Target, call: Call
    ) -> bytes:
        authorization = b""
        if credential is not None:
            upstream = registry.UPSTREAMS[channel.dialect]
            authorization = upstream.credential_header(self._vault.open(credential), channel.options)
        request = f"POST {target.path} HTTP/1.1\r\nhost: {target.host}\r\n".encode("latin-1")
        rules = channel.headers
        lines = kept_lines(_OWN_LINES, rules) + authorization + kept_lines(call.headers, rules)
        return request + lines + set_lines(rules, name_of(authorization))

    def without_secret(self, candidate: Candidate, fault: Fault) -> Fault:
        """Return a fault in a provider's words without the credential, should the provider repeat it."""
        if candidate.credential is None:
            return fault
        secret = self._vault.open(candidate.credential)
        return msgspec.structs.replace(
            fault,
            message=fault.message.replace(secret, "[key]"),
            param=None if fault.param is None or secret in fault.param else fault.param,
            code=None if fault.code is None or secret in fault.code else fault.code,
        )

    def live(self, candidate: Candidate) -> bool:
        """Return whether a candidate that was chosen for later may still be called."""
        return candidate.last_resort or self._table.effective_weight(candidate.channel.id) > 0

    def seat(self, candidate: Candidate, now: float) -> Seat:
        """Return a candidate's seat; to be left in every case."""
        return Seat(self.credentials, self.figures, candidate, now)

    def hear(self, candidate: Candidate, headers: Mapping[str, str]) -> None:
        """An answer has begun: what does it say of its provider's limits?"""
        limits = read_limits(headers, self._clock.wall_ms())
        if limits is not None:
            self.credentials.note_limits(
                candidate.channel, candidate.credential, limits, self._clock.now(), candidate.upstream_model
            )

    def learn(
        self, candidate: Candidate, fault: Fault | None, cool_ms: int | None, *, began: float, now: float
    ) -> None:
        """Let the outcome of an attempt steer the next plans.

        Args:
            candidate: who was called.
            fault: None for a good answer.
            cool_ms: how long the provider wants its credential left alone, None if it did not say.
            began: when the attempt did, in monotonic seconds.
            now: monotonic seconds.
        """
        channel, credential = candidate.channel.id, candidate.credential
        if channel not in self._targets:
            return  # it was deleted meanwhile, and nothing would let go of what is remembered
        if fault is None:
            self.credentials.confirm(channel, credential, began)
        elif fault.type is ErrorType.UPSTREAM_CREDENTIAL:
            self.credentials.set_aside(channel, credential, "refused by the provider", now)
            log.warning(
                "credential_set_aside",
                channel=candidate.channel.name,
                credential=0 if credential is None else credential.id,
            )
        elif fault.type is ErrorType.UPSTREAM_RATE_LIMITED:
            self.credentials.cool(channel, credential, now, cool_ms, began=began, draw=self._draw())
        elif fault.code == MODEL_DENIED:
            # The channel's other models may be fine.
            self._table.deny(channel, candidate.model, now)
            return
        error = None if fault is None else fault.type
        self._table.learn(channel, error, now)
        self._judge(channel, error, now)

    def _judge(self, channel_id: int, error: ErrorType | None, now: float) -> None:
        """Let an attempt's outcome count in this dispatcher's own judgement, beside health's."""
        breaker = self._breakers.get(channel_id)
        if breaker is None:
            breaker = self._breakers[channel_id] = Breaker(now)
        self._apply(channel_id, breaker.receive_outcome(error, now))

    def tick(self) -> None:
        """Let ejections end by time. Called about once a second."""
        now = self._clock.now()
        for channel_id, breaker in self._breakers.items():
            self._apply(channel_id, breaker.tick(now))

    def _apply(self, channel_id: int, verdict: Verdict | None) -> None:
        if verdict is not None:
            self._table.set_own_weight(channel_id, verdict.weight)


def _is_url(base_url: str) -> bool:
    try:
        parse_target(base_url)
    except ValueError:
        return False
    return True
