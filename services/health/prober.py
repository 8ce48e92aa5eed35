"""Probes: one cheap request per channel, in parallel, jittered, each with its own timeout.

A probe asks for the upstream's list of models, which costs nothing and needs the credential. Any HTTP answer below
500 shows that the channel is reachable; 401 and 403 are the credential's matter, which the dispatchers deal with.
"""

import asyncio
from collections.abc import Callable
from enum import StrEnum
from urllib.parse import quote

import aiohttp
import structlog

from trunkline.bus.snapshots import ChannelSnapshot, SealedCredential
from trunkline.core.clock import Clock
from trunkline.policy.vault import Vault, VaultError
from trunkline.protocol import names, registry
from trunkline.runtime.tasks import TaskSet

log = structlog.get_logger()

PROBES_AT_ONCE_MAX = 64
"""Probes under way at a time; at 100 ms each, 1,000 channels are through in 2 s."""

SUSPECT_INTERVAL_S = 1.0
"""Between probes of a channel in doubt, where the next one decides."""

JITTER = 0.2
"""Each interval is drawn within a fifth of its length, so that probes of many channels and replicas drift apart."""

PROBE_BODY_BYTES_MAX = 256 * 1024
"""What is read of an answer, so that its connection can be used again; a longer list costs a new connection."""

ANTHROPIC_VERSION = "2023-06-01"


class ProbeResult(StrEnum):
    """What came of one probe."""

    PASSED = "passed"
    CREDENTIAL = "credential"
    """The upstream answers and refuses the credential."""
    FAILED = "failed"
    """The upstream answers with a server error."""
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    UNUSABLE = "unusable"
    """The credential cannot be decrypted here or not be sent: our fault, which says nothing about the upstream."""


REACHABLE = frozenset({ProbeResult.PASSED, ProbeResult.CREDENTIAL})

OnResult = Callable[[ChannelSnapshot, ProbeResult], None]


def probe_headers(channel: ChannelSnapshot, secret: str | None) -> dict[str, str]:
    """Return the headers of a probe: exactly one credential header, as the channel's provider wants it."""
    headers = {"accept": "application/json", "user-agent": "trunkline-health"}
    if channel.dialect == names.UPSTREAM_ANTHROPIC:
        headers["anthropic-version"] = ANTHROPIC_VERSION
    if secret is not None:
        line = registry.UPSTREAMS[channel.dialect].credential_header(secret, channel.options)
        name, _, value = line.decode("latin-1").rstrip("\r\n").partition(": ")
        headers[name] = value
    return headers


def probe_path(channel: ChannelSnapshot) -> str:
    """Return the path of a channel's list of models, which costs nothing, behind its base URL."""
    if channel.dialect != names.UPSTREAM_AZURE:
        return "/models"
    version = channel.options.api_version
    return f"/openai/models?api-version={quote(version, safe='')}" if version else "/openai/v1/models"


def judged(status: int) -> ProbeResult:
    """Return what an HTTP status says of a channel. 501 means that it lacks the list, not that it fails."""
    if status in {401, 403}:
        return ProbeResult.CREDENTIAL
    return ProbeResult.PASSED if status < 500 or status == 501 else ProbeResult.FAILED


class _Slot:
    """A channel's place in the schedule: when its last probe ended, how long until the next, whose turn it is."""

    __slots__ = ("ended", "interval_s", "task", "turn")

    def __init__(self, ended: float, interval_s: float) -> None:
        self.ended = ended
        self.interval_s = interval_s
        self.turn = 0
        self.task: asyncio.Task[None] | None = None


class Prober:
    """Starts the probes that are due.

    Args:
        session: shared by all probes.
        vault: opens credentials.
        clock, tasks: of the process.
        interval_s, timeout_s: see the settings.
        draw: uniform random numbers from 0 to 1.
        on_result: called once per probe.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        vault: Vault,
        *,
        clock: Clock,
        tasks: TaskSet,
        interval_s: float,
        timeout_s: float,
        draw: Callable[[], float],
        on_result: OnResult,
    ) -> None:
        self._session = session
        self._vault = vault
        self._clock = clock
        self._tasks = tasks
        self._interval_s = interval_s
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._draw = draw
        self._on_result = on_result
        self._slots: dict[int, _Slot] = {}
        self._under_way = 0

    def start_due(self, channels: list[ChannelSnapshot], suspect: Callable[[int], bool]) -> None:
        """Start the probes whose time has come; those over the bound wait for a later call.

        Args:
            channels: all that are to be probed.
            suspect: whether a channel's next probe should come soon.
        """
        now = self._clock.now()
        due: list[tuple[float, ChannelSnapshot]] = []
        for channel in channels:
            slot = self._slots.get(channel.id)
            if slot is None:
                # The first probe comes soon, but not those of all channels at once.
                soon_s = min(self._interval_s, SUSPECT_INTERVAL_S) * self._draw()
                slot = self._slots[channel.id] = _Slot(now, soon_s)
            if slot.task is None:
                soon = suspect(channel.id)
                at = slot.ended + (min(slot.interval_s, SUSPECT_INTERVAL_S) if soon else slot.interval_s)
                if at <= now:
                    due.append((at, channel))
        due.sort(key=lambda item: item[0])
        for _, channel in due[: max(0, PROBES_AT_ONCE_MAX - self._under_way)]:
            self._start(channel, self._slots[channel.id])
        if len(self._slots) > len(channels):
            self._forget_all_but({channel.id for channel in channels})

    def _start(self, channel: ChannelSnapshot, slot: _Slot) -> None:
        self._under_way += 1
        slot.turn += 1
        slot.task = self._tasks.spawn(self._run(channel, slot), name=f"probe_{channel.id}")
        # Not in the task itself: one cancelled before its first step runs none of its code.
        slot.task.add_done_callback(lambda _: self._ended(slot))

    def _ended(self, slot: _Slot) -> None:
        self._under_way -= 1
        slot.task = None
        slot.ended = self._clock.now()
        slot.interval_s = self._interval_s * (1 + JITTER * (2 * self._draw() - 1))

    def _forget_all_but(self, channels: set[int]) -> None:
        for channel in self._slots.keys() - channels:
            slot = self._slots.pop(channel)
            if slot.task is not None:
                slot.task.cancel()

    def stop(self) -> None:
        """Give up the probes under way."""
        self._forget_all_but(set())

    async def _run(self, channel: ChannelSnapshot, slot: _Slot) -> None:
        credentials = channel.credentials
        credential = credentials[slot.turn % len(credentials)] if credentials else None
        self._on_result(channel, await self._probe(channel, credential))

    async def _probe(self, channel: ChannelSnapshot, credential: SealedCredential | None) -> ProbeResult:
        try:
            secret = None if credential is None else self._vault.open(credential)
        except VaultError:
            log.warning("credential_unopened", channel=channel.name, credential=credential and credential.id)
            return ProbeResult.UNUSABLE
        try:
            async with self._session.get(
                channel.base_url + probe_path(channel),
                headers=probe_headers(channel, secret),
                timeout=self._timeout,
                allow_redirects=False,  # a credential goes to no host but the configured one
            ) as response:
                await _read_some(response)
                result = judged(response.status)
        except TimeoutError:
            return ProbeResult.TIMEOUT
        except (aiohttp.ClientError, OSError):
            return ProbeResult.UNREACHABLE
        except ValueError:
            # A secret or an address that cannot be put into an HTTP request.
            return ProbeResult.UNUSABLE
        if result is ProbeResult.CREDENTIAL:
            log.warning("credential_refused", channel=channel.name, credential=credential and credential.id)
        return result


async def _read_some(response: aiohttp.ClientResponse) -> None:
    read = 0
    async for piece in response.content.iter_any():
        read += len(piece)
        if read > PROBE_BODY_BYTES_MAX:
            return
