"""One event for each change: a credential is refused, or serves again."""

import pytest

from trunkline.bus.messages import AttemptOutcome, CredentialEvent
from trunkline.bus.snapshots import ChannelSnapshot, SealedCredential
from trunkline.core.errors import ErrorType
from trunkline.policy.credential_watch import CredentialWatch


def channel(*nonces: bytes) -> ChannelSnapshot:
    credentials = tuple(SealedCredential(number, 1, nonce, b"sealed") for number, nonce in enumerate(nonces, 1))
    return ChannelSnapshot(7, "c", "openai", "http://test", credentials, {"m": "m"})


def outcome(credential: int, error: ErrorType | None = ErrorType.UPSTREAM_CREDENTIAL) -> AttemptOutcome:
    return AttemptOutcome(7, credential, "m", error, 401 if error else 200, 0, 0, 10)


def test_a_refusal_is_told_once_and_its_end_once() -> None:
    watch, known = CredentialWatch(), channel(b"a", b"b")
    assert watch.receive(known, outcome(1, None), 1) is None
    assert watch.receive(known, outcome(1), 2) == CredentialEvent(7, 1, 2, refused=True, status=401)
    assert watch.receive(known, outcome(1), 3) is None
    assert watch.receive(known, outcome(2), 4) == CredentialEvent(7, 2, 4, refused=True, status=401)
    assert watch.refused(7) == 2
    assert watch.receive(known, outcome(1, ErrorType.UPSTREAM_RATE_LIMITED), 5) is None
    assert watch.receive(known, outcome(1, None), 6) == CredentialEvent(7, 1, 6, refused=False)
    assert watch.receive(known, outcome(1, None), 7) is None
    assert watch.refused(7) == 1


@pytest.mark.parametrize("unknown", [0, 9])
def test_what_the_channel_does_not_have_is_not_told(unknown: int) -> None:
    assert CredentialWatch().receive(channel(b"a"), outcome(unknown), 1) is None


def test_a_credential_that_goes_or_is_replaced_is_refused_no_more() -> None:
    watch = CredentialWatch()
    for credential in (1, 2, 3):
        watch.receive(channel(b"a", b"b", b"c"), outcome(credential), 1)
    assert watch.put(channel(b"a", b"new"), 2) == [
        CredentialEvent(7, 2, 2, refused=False),
        CredentialEvent(7, 3, 2, refused=False),
    ]
    assert watch.put(channel(b"a", b"new"), 3) == []
    assert watch.remove(7, 4) == [CredentialEvent(7, 1, 4, refused=False)]
    assert watch.remove(7, 5) == []
    assert watch.channels() == set()


def test_a_restart_tells_nothing_twice() -> None:
    last = [CredentialEvent(7, 1, 1, refused=True, status=401), CredentialEvent(7, 2, 1, refused=False)]
    watch = CredentialWatch(last)
    assert watch.put(channel(b"a", b"b"), 2) == []
    assert watch.receive(channel(b"a", b"b"), outcome(1), 3) is None
    assert watch.receive(channel(b"a", b"b"), outcome(2), 3) == CredentialEvent(7, 2, 3, refused=True, status=401)
    assert watch.put(channel(b"x", b"b"), 4) == [CredentialEvent(7, 1, 4, refused=False)]


def test_what_went_while_nobody_watched_is_found() -> None:
    watch = CredentialWatch([CredentialEvent(7, 1, 1, refused=True)])
    assert watch.channels() == {7}
    assert watch.remove(7, 2) == [CredentialEvent(7, 1, 2, refused=False)]
