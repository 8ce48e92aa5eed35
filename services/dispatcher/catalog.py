"""What a dispatcher knows of channels: snapshots, weights, its own judgement, and how to call each of them."""

import random

import msgspec
import structlog

from services.dispatcher.metrics import DispatcherMetrics
from trunkline.bus import snapshots
from trunkline.bus.snapshots import ChannelSnapshot, SealedCredential
from trunkline.core.clock import Clock
from trunkline.core.errors import ErrorType, Fault
from trunkline.policy.breaker import Breaker, Verdict
from trunkline.policy.credentials import CredentialStates
from trunkline.policy.routing import Candidate, Plan, RoutingTable
from trunkline.policy.vault import Vault
from trunkline.protocol import registry
from trunkline.protocol.dialect import Call
from trunkline.protocol.rules import RequestRules
from trunkline.runtime.http_client import Target, parse_target

log = structlog.get_logger()

USER_AGENT = "trunkline/0.1"
_NO_RULES = RequestRules()


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
        self._table = RoutingTable()
        self._targets: dict[int, dict[str, Target]] = {}
        self._heads: dict[tuple[int, int, str], bytes] = {}
        self._rules: dict[int, RequestRules] = {}
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
        self._rules.pop(channel_id, None)
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
        self._rules[channel_id] = RequestRules(
            channel.params.drop,
            {name: bytes(json) for name, json in channel.params.set.items()},
            {name: (bounds.min, bounds.max) for name, bounds in channel.params.clamp.items()},
        )
        self._table.put(channel)

    def weight_changed(self, token: str, value: bytes | None) -> None:
        """Take a change of the bucket ``weights``."""
        if value is None:
            self._table.clear_weight(int(token))
        else:
            self._table.set_weight(snapshots.decode_weight(value))

    def plan(self, model: str, groups: tuple[str, ...], affinity: int) -> Plan:
        """Return the attempts to make for a job; see `policy.routing`."""
        return self._table.plan(model, groups, self.credentials, self._draw, affinity)

    def target(self, candidate: Candidate, call: Call) -> Target | None:
        """Return where a candidate is called, None if its channel went away meanwhile."""
        targets = self._targets.get(candidate.channel.id)
        if targets is None:
            return None
        target = targets.get(call.path)
        if target is None:
            # One for each model and form of answer at the most: what a configuration names, never what a client does.
            target = targets[call.path] = parse_target(candidate.channel.base_url + call.path)
        return target

    def rules(self, candidate: Candidate) -> RequestRules:
        """Return what a candidate's channel changes in a request."""
        return self._rules.get(candidate.channel.id, _NO_RULES)

    def request_head(self, candidate: Candidate, target: Target, call: Call) -> bytes:
        """Return the fixed head of a candidate's requests, up to where the length belongs.

        Raises:
            VaultError: its credential cannot be opened here.
        """
        credential = candidate.credential
        key = (candidate.channel.id, 0 if credential is None else credential.id, call.path)
        head = self._heads.get(key)
        if head is None:
            head = self._heads[key] = self._build_head(candidate.channel, credential, target, call)
        return head

    def _build_head(
        self, channel: ChannelSnapshot, credential: SealedCredential | None, target: Target, call: Call
    ) -> bytes:
        authorization = b""
        if credential is not None:
            upstream = registry.UPSTREAMS[channel.dialect]
            authorization = upstream.credential_header(self._vault.open(credential), channel.options)
        lines = (
            f"POST {target.path} HTTP/1.1\r\nhost: {target.host}\r\n"
            f"accept: application/json, text/event-stream, */*\r\n"
            f"accept-encoding: identity\r\nuser-agent: {USER_AGENT}\r\n"
        ).encode("latin-1")
        return lines + authorization + call.headers

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

    def judge(self, channel_id: int, error: ErrorType | None) -> None:
        """Let an attempt's outcome count in this dispatcher's own judgement, beside health's."""
        now = self._clock.now()
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
