"""Any course of attempts, limits and refusals: what every choice of a credential must keep to."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.support.examples import examples
from trunkline.bus.snapshots import ChannelSnapshot, CredentialLimits, CredentialOrder, SealedCredential
from trunkline.policy.credentials import Choice, CredentialStates
from trunkline.protocol.rate_limits import ProviderLimits

LIMITS = st.builds(
    CredentialLimits, jobs=st.none() | st.integers(1, 4), rpm=st.none() | st.integers(1, 12), tpm=st.none()
)
AFFINITIES = st.sampled_from([0, 0, 7, 2**63])


@st.composite
def channels(draw: DrawFn) -> ChannelSnapshot:
    return ChannelSnapshot(
        id=1,
        name="one",
        dialect="openai",
        base_url="http://one",
        credentials=tuple(
            SealedCredential(number, 1, b"n", b"c", draw(st.integers(0, 5)), draw(LIMITS))
            for number in range(1, draw(st.integers(1, 4)) + 1)
        ),
        models={"m": "m"},
        credential_order=draw(st.sampled_from(CredentialOrder)),
        limits=draw(LIMITS),
    )


@settings(max_examples=examples(1.5), deadline=None)
@given(channels(), st.data())
def test_no_choice_breaks_a_limit_or_repeats_itself(channel: ChannelSnapshot, data: st.DataObject) -> None:
    states, now = CredentialStates(), 0.0
    begun: dict[int, list[float]] = {credential.id: [] for credential in channel.credentials}
    under_way: list[SealedCredential] = []
    cooling = dict.fromkeys(begun, 0.0)
    for _ in range(data.draw(st.integers(1, 40))):
        now += data.draw(st.sampled_from([0.0, 0.3, 1.0, 7.0, 30.0]))
        tried = data.draw(st.sets(st.sampled_from(sorted(begun)), max_size=2))
        free = states.free_at(channel, now)
        choice = states.choose(channel, tried, now, data.draw(AFFINITIES))
        if choice is None:
            assert tried or free is None or free > now
        else:
            credential = choice.credential
            assert credential is not None
            assert free == now
            assert credential.id not in tried
            assert cooling[credential.id] <= now
            states.begin(channel, credential, now)
            begun[credential.id].append(now)
            under_way.append(credential)
            assert_kept(channel, credential, begun[credential.id], under_way)
        if data.draw(st.booleans()) and under_way:
            credential = under_way.pop(data.draw(st.integers(0, len(under_way) - 1)))
            states.end(channel, credential, 100, now)
            match data.draw(st.sampled_from(["taken", "limited", "told"])):
                case "limited":
                    states.cool(1, credential, now, 2000)
                    cooling[credential.id] = now + 2.0
                case "told":
                    remaining = data.draw(st.integers(1, 50))
                    states.note_limits(channel, credential, ProviderLimits(remaining, None, 50, None, 30.0), now)
                case _:
                    states.confirm(1, credential, now)


def assert_kept(
    channel: ChannelSnapshot, credential: SealedCredential, begun: list[float], under_way: list[SealedCredential]
) -> None:
    jobs = channel.limits.jobs if credential.limits.jobs is None else credential.limits.jobs
    rpm = channel.limits.rpm if credential.limits.rpm is None else credential.limits.rpm
    assert jobs is None or under_way.count(credential) <= jobs
    assert rpm is None or sum(1 for at in begun if at > begun[-1] - 60.0) <= rpm


@settings(deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=6).filter(any), st.integers(0, 20))
def test_shares_by_weight_are_exact_in_each_round(weights: list[int], before: int) -> None:
    channel = ChannelSnapshot(
        id=1,
        name="one",
        dialect="openai",
        base_url="http://one",
        credentials=tuple(SealedCredential(number, 1, b"n", b"c", weight) for number, weight in enumerate(weights, 1)),
        models={"m": "m"},
        credential_order=CredentialOrder.WEIGHTED,
    )
    states = CredentialStates()
    for _ in range(before):
        states.choose(channel, (), 0.0)
    picked = Counter(states.choose(channel, (), 0.0) for _ in range(sum(weights)))
    assert [picked[Choice(credential)] for credential in channel.credentials] == weights
