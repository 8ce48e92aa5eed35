"""Probes: one cheap request per channel, in parallel, jittered, each with its own timeout.

What is asked is the channel's own matter (`policy.probing`): a list of models, a token, an embedding, or a connection.
Beside that it asks for single models that a provider has denied. Redirects are never followed: a credential goes to
no host but the configured one.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import NamedTuple, Protocol

import structlog

from trunkline.bus.snapshots import ChannelSnapshot, ProbeKind, SealedCredential
from trunkline.core.clock import Clock
from trunkline.core.errors import FaultError
from trunkline.policy.probe_call import ProbeCall, probe_call, read_answer
from trunkline.policy.probing import PAID_KINDS, PaidProbes, ProbeResult, next_kind, probed_model
from trunkline.policy.vault import Vault, VaultError
from trunkline.runtime.http_client import HTTPClientPool
from trunkline.runtime.probe_http import ProbeFailedError, open_only, send_probe
from trunkline.runtime.tasks import TaskSet

log = structlog.get_logger()

PROBES_AT_ONCE_MAX = 64
"""Probes under way at a time; at 100 ms each, 1,000 channels are through in 2 s."""

SUSPECT_INTERVAL_S = 1.0
"""Between probes of a channel in doubt, where the next one decides."""

JITTER = 0.2
"""Each interval is drawn within a fifth of its length, so that probes of many channels and replicas drift apart."""

PROBE_BODY_BYTES_MAX = 256 * 1024
"""What is read of an answer, so that its connection can be used again; a longer list costs a new connection. A token
takes a hundredth of it, the longest embedding a quarter."""

ANSWER_TIMEOUT_S_MIN = 20.0
"""For an answer of a model: some are loaded only when they are asked, and all may have to wait their turn."""


class ProbeReport(NamedTuple):
    """What came of one probe.

    Attributes:
        kind: what was asked.
        model: public name of the model that was asked, empty for none.
        result: see there.
    """

    kind: ProbeKind
    model: str
    result: ProbeResult


OnReport = Callable[[ChannelSnapshot, ProbeReport], None]


class Doubts(Protocol):
    """What the schedule asks of the judge."""

    def suspect(self, channel: int) -> bool:
        """Return whether a channel's next probe may decide something, so that it should come soon."""

    def in_doubt(self, channel: int) -> bool:
        """Return whether a channel does not simply serve."""

    def due_model(self, channel: int, now: float) -> str | None:
        """Return a denied model of a channel that is to be asked now; each only once."""


class _Slot:
    """A channel's place in the schedule.

    Attributes:
        begun: it was probed.
        ended: monotonic seconds of its last probe's end.
        factor: the next interval is so many times the usual one.
        turn: number of the credential that comes next.
        paid: its paid probes.
        task: the probe under way.
    """

    __slots__ = ("begun", "ended", "factor", "paid", "task", "turn")

    def __init__(self, ended: float, factor: float) -> None:
        self.begun = False
        self.ended = ended
        self.factor = factor
        self.turn = 0
        self.paid = PaidProbes()
        self.task: asyncio.Task[None] | None = None


class Prober:
    """Starts the probes that are due.

    Args:
        pool: connections to upstreams, with their guard.
        vault: opens credentials.
        clock, tasks: of the process.
        interval_s, timeout_s: see the settings.
        draw: uniform random numbers from 0 to 1.
        doubts: what is known of channels.
        pays: tells whether this process may make paid probes.
        on_report: called once per probe.

    Attributes:
        paid: paid probes made.
    """

    def __init__(
        self,
        pool: HTTPClientPool,
        vault: Vault,
        *,
        clock: Clock,
        tasks: TaskSet,
        interval_s: float,
        timeout_s: float,
        draw: Callable[[], float],
        doubts: Doubts,
        pays: Callable[[], bool],
        on_report: OnReport,
    ) -> None:
        self._pool = pool
        self._vault = vault
        self._clock = clock
        self._tasks = tasks
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._draw = draw
        self._doubts = doubts
        self._pays = pays
        self._on_report = on_report
        self._slots: dict[int, _Slot] = {}
        self._under_way = 0
        self.paid = 0

    def start_due(self, channels: list[ChannelSnapshot]) -> None:
        """Start the probes whose time has come; those over the bound wait for a later call.

        Args:
            channels: all that are to be probed.
        """
        now = self._clock.now()
        if self._pays():
            self._start_denied(channels, now)
        due: list[tuple[float, ChannelSnapshot]] = []
        for channel in channels:
            slot = self._slots.get(channel.id)
            if slot is None:
                slot = self._slots[channel.id] = _Slot(now, self._draw())
            if slot.task is None and (at := slot.ended + self._wait_s(channel, slot)) <= now:
                due.append((at, channel))
        due.sort(key=lambda item: item[0])
        for _, channel in due[: max(0, PROBES_AT_ONCE_MAX - self._under_way)]:
            slot = self._slots[channel.id]
            self._start(channel, slot, self._run(channel, slot))
        if len(self._slots) > len(channels):
            self._forget_all_but({channel.id for channel in channels})

    def _wait_s(self, channel: ChannelSnapshot, slot: _Slot) -> float:
        """Return the seconds from the end of a channel's last probe to the next."""
        interval_s = self._interval_s if channel.probe.interval_s is None else channel.probe.interval_s
        if not slot.begun:
            # The first probe comes soon, but not those of all channels at once.
            return min(interval_s, SUSPECT_INTERVAL_S) * slot.factor
        if self._doubts.in_doubt(channel.id):
            # However seldom it is probed in calm: it may be out until a probe passes.
            interval_s = min(interval_s, self._interval_s)
        wait_s = interval_s * slot.factor
        return min(wait_s, SUSPECT_INTERVAL_S) if self._doubts.suspect(channel.id) else wait_s

    def _start_denied(self, channels: list[ChannelSnapshot], now: float) -> None:
        """Ask for models that were denied, where the channel is not just being probed."""
        for channel in channels:
            slot = self._slots.get(channel.id)
            if slot is not None and slot.task is None and self._under_way < PROBES_AT_ONCE_MAX:
                model = self._doubts.due_model(channel.id, now)
                if model is not None and slot.paid.left(channel.probe.paid_per_day, now):
                    self._start(channel, slot, self._ask_for(channel, model, slot))

    def _start(self, channel: ChannelSnapshot, slot: _Slot, work: Coroutine[None, None, None]) -> None:
        self._under_way += 1
        slot.begun = True
        slot.task = self._tasks.spawn(work, name=f"probe_{channel.id}")
        # Not in the task itself: one cancelled before its first step runs none of its code.
        slot.task.add_done_callback(lambda _: self._ended(slot))

    def _ended(self, slot: _Slot) -> None:
        self._under_way -= 1
        slot.task = None
        slot.ended = self._clock.now()
        slot.factor = 1 + JITTER * (2 * self._draw() - 1)

    def _forget_all_but(self, channels: set[int]) -> None:
        for channel in self._slots.keys() - channels:
            slot = self._slots.pop(channel)
            if slot.task is not None:
                slot.task.cancel()

    def stop(self) -> None:
        """Give up the probes under way."""
        self._forget_all_but(set())

    # --- one probe ---------------------------------------------------------------------------------------------

    async def _run(self, channel: ChannelSnapshot, slot: _Slot) -> None:
        in_doubt, pays = self._doubts.in_doubt(channel.id), self._pays()
        kind = next_kind(channel.probe, slot.paid, in_doubt=in_doubt, pays=pays, now=self._clock.now())
        model = probed_model(channel) if kind in PAID_KINDS else None
        if kind is ProbeKind.TCP or (kind in PAID_KINDS and model is None):
            result = await self._connect(channel)
            self._on_report(channel, ProbeReport(ProbeKind.TCP, "", result))
            return
        result = await self._probe(channel, kind, model or "", slot)
        self._on_report(channel, ProbeReport(kind, model or "", result))

    async def _ask_for(self, channel: ChannelSnapshot, model: str, slot: _Slot) -> None:
        """Ask for one model: for an answer and, should it not be one that gives answers, for an embedding."""
        kind = ProbeKind.COMPLETION
        result = await self._probe(channel, kind, model, slot)
        if result is ProbeResult.DENIED and slot.paid.left(channel.probe.paid_per_day, self._clock.now()):
            embedded = await self._probe(channel, ProbeKind.EMBEDDING, model, slot)
            if embedded is ProbeResult.PASSED:
                kind, result = ProbeKind.EMBEDDING, embedded
        self._on_report(channel, ProbeReport(kind, model, result))

    async def _probe(self, channel: ChannelSnapshot, kind: ProbeKind, model: str, slot: _Slot) -> ProbeResult:
        credential = channel.credentials[slot.turn % len(channel.credentials)] if channel.credentials else None
        slot.turn += 1
        try:
            call = probe_call(channel, kind, model, self._opened(credential))
        except VaultError as error:
            log.warning(
                "credential_unopened", channel=channel.name, credential=credential and credential.id, error=str(error)
            )
            return ProbeResult.UNUSABLE
        except FaultError:
            log.warning("probe_impossible", channel=channel.name, kind=kind.value)
            return ProbeResult.UNUSABLE
        timeout_s = self._timeout_s
        if kind in PAID_KINDS:
            slot.paid.take(self._clock.now())
            self.paid += 1
            timeout_s = max(timeout_s, ANSWER_TIMEOUT_S_MIN)
        result = await self._send(channel, call, timeout_s)
        if result is ProbeResult.CREDENTIAL:
            log.warning("credential_refused", channel=channel.name, credential=credential and credential.id)
        return result

    def _opened(self, credential: SealedCredential | None) -> str | None:
        return None if credential is None else self._vault.open(credential)

    async def _send(self, channel: ChannelSnapshot, call: ProbeCall, timeout_s: float) -> ProbeResult:
        try:
            answer = await send_probe(self._pool, call, timeout_s=timeout_s, bytes_max=PROBE_BODY_BYTES_MAX)
        except ProbeFailedError as error:
            return error.result
        return read_answer(channel, call, answer, self._clock.wall_ms()).result

    async def _connect(self, channel: ChannelSnapshot) -> ProbeResult:
        """Open a connection and close it again."""
        try:
            await open_only(self._pool, channel.base_url, timeout_s=self._timeout_s)
        except ProbeFailedError as error:
            return error.result
        return ProbeResult.PASSED
