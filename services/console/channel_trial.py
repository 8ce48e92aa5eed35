"""A test of a channel: one request to its provider, with one credential, and what came of it."""

import contextlib
from typing import Final

import msgspec

from trunkline.bus.snapshots import ChannelSnapshot, ProbeKind, SealedCredential
from trunkline.core.clock import Clock
from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.policy.admin_probes import ChannelTested
from trunkline.policy.probe_call import ProbeAnswer, ProbeCall, probe_call, read_answer
from trunkline.policy.probing import PAID_KINDS, ProbeResult, probed_model
from trunkline.policy.upstream_addresses import NOT_ALLOWED
from trunkline.policy.upstream_models import read_page
from trunkline.protocol.error_body import read_error_body
from trunkline.protocol.upstream_error import cleaned
from trunkline.runtime.http_client import HTTPClientPool
from trunkline.runtime.probe_http import ProbeFailedError, send_probe

LIST_TIMEOUT_S = 5.0
"""For a list of models, or a page of one."""

ANSWER_TIMEOUT_S = 20.0
"""For an answer of a model: some are loaded only when they are asked."""

ANSWER_BYTES_MAX = 256 * 1024
"""A token takes a hundredth of it, the longest embedding a quarter; of a list the status says enough."""

MESSAGE_CHARS_MAX = 300
"""Of what a provider says: enough for its sentence, and little of what it may quote."""

NO_LIST = frozenset({404, 405, 501})
"""Statuses of a provider that has no list of models: they say nothing of the credential."""

OURS: Final = {
    ProbeResult.TIMEOUT: Fault(ErrorType.UPSTREAM_TIMEOUT, "No answer came in time."),
    ProbeResult.UNREACHABLE: Fault(
        ErrorType.UPSTREAM_UNREACHABLE, "No connection, or it broke off before an answer came."
    ),
    ProbeResult.FORBIDDEN: Fault(ErrorType.UPSTREAM_ADDRESS, NOT_ALLOWED),
    ProbeResult.UNUSABLE: Fault(
        ErrorType.GATEWAY_INTERNAL, "No request can be made of the base URL and this credential. Correct them."
    ),
}
"""What is said where no answer came."""

NO_MODELS: Final = Fault(
    ErrorType.UPSTREAM_INVALID,
    "The provider answers, but not with a list of models. Look whether the base URL is right.",
)
_REDIRECTS: Final = Fault(
    ErrorType.UPSTREAM_INVALID, "The provider leads elsewhere, where no credential is sent. Correct the base URL."
)


class Trial:
    """One test of a channel.

    Args:
        channel: that is tested.
        credential: with what; None where its provider wants none.
        secret: of the credential.
        clock: of the process.
    """

    def __init__(
        self, channel: ChannelSnapshot, credential: SealedCredential | None, secret: str | None, *, clock: Clock
    ) -> None:
        self._clock = clock
        self._channel = channel
        self._credential = credential
        self._secret = secret

    async def run(self, pool: HTTPClientPool, model: str | None) -> ChannelTested:
        """Ask what costs least and says something: the list of models, or else a model."""
        if model is None:
            tested = await self._ask(pool, ProbeKind.MODELS, None)
            model = probed_model(self._channel)
            if tested.status not in NO_LIST or model is None:
                return tested
        usual = self._channel.probe.kind
        tested = await self._ask(pool, usual if usual in PAID_KINDS else ProbeKind.COMPLETION, model)
        if tested.kind is ProbeKind.COMPLETION and tested.result is ProbeResult.DENIED:
            # It may be one that gives no answers, only embeddings.
            with contextlib.suppress(FaultError):
                embedded = await self._ask(pool, ProbeKind.EMBEDDING, model)
                return embedded if embedded.result is ProbeResult.PASSED else tested
        return tested

    async def _ask(self, pool: HTTPClientPool, kind: ProbeKind, model: str | None) -> ChannelTested:
        call = probe_call(self._channel, kind, model or "", self._secret)
        timeout_s = ANSWER_TIMEOUT_S if kind in PAID_KINDS else LIST_TIMEOUT_S
        began, status = self._clock.now(), None
        fault: Fault | None
        try:
            said = await send_probe(pool, call, timeout_s=timeout_s, bytes_max=ANSWER_BYTES_MAX)
        except ProbeFailedError as error:
            result, fault = error.result, OURS[error.result]
        else:
            status = said.status
            result, fault = self._judged(call, said)
        return ChannelTested(
            channel=self._channel.name,
            credential=None if self._credential is None else self._credential.id,
            kind=kind,
            model=model,
            result=result,
            status=status,
            took_ms=round((self._clock.now() - began) * 1000),
            error=None if fault is None else fault.type,
            message="" if fault is None else fault.message,
        )

    def _judged(self, call: ProbeCall, said: ProbeAnswer) -> tuple[ProbeResult, Fault | None]:
        """Return what an answer says, more strictly than health: a base URL may be wrong, and its channel new."""
        if 300 <= said.status < 400:
            return ProbeResult.FAILED, _REDIRECTS
        reading = read_answer(self._channel, call, said, self._clock.wall_ms())
        result, fault = reading.result, reading.fault
        if call.read is None and said.status == 200 and said.whole and not is_list(self._channel.dialect, said.body):
            return ProbeResult.FAILED, NO_MODELS
        if call.read is None and said.status in NO_LIST:
            result = ProbeResult.FAILED
        # With status 200 what is wrong was found by the dialect's reader, and its words are ours.
        theirs = "" if fault is None or said.status == 200 else provider_words(said, self._secret)
        return result, msgspec.structs.replace(fault, message=theirs) if fault is not None and theirs else fault


def is_list(dialect: str, body: bytes) -> bool:
    """Return whether a body is a page of a list of models."""
    try:
        read_page(dialect, body)
    except ValueError:
        return False
    return True


def provider_words(said: ProbeAnswer, secret: str | None) -> str:
    """Return what a provider says of an error, without what looks like a secret, and cut."""
    message = read_error_body(said.body).message
    if secret:
        message = message.replace(secret, "[key]")
    return cleaned(message)[:MESSAGE_CHARS_MAX]
