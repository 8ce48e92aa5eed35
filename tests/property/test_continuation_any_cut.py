"""Wherever a text is cut and however the rest comes, the two together are the text."""

import itertools

from hypothesis import assume, given
from hypothesis import strategies as st

from trunkline.core.usage import Units
from trunkline.protocol.continuation import AnswerSoFar, Joint
from trunkline.protocol.events import Event, Finish, FinishReason, MessageEnd, MessageStart, TextDelta, UsageReport

LETTERS = st.text(alphabet="ab \n1é", min_size=1, max_size=80)
FREE = st.text(min_size=1, max_size=80)


def pieces(text: str, cuts: list[int]) -> list[Event]:
    """Return a text in pieces, some of them empty."""
    places = sorted(cut % (len(text) + 1) for cut in cuts)
    borders = [0, *places, len(text)]
    return [TextDelta(text[start:end]) for start, end in itertools.pairwise(borders)]


@given(st.one_of(LETTERS, FREE), st.integers(0, 79), st.lists(st.integers(0, 200), max_size=6), st.booleans())
def test_a_text_cut_anywhere_and_gone_on_with_is_the_text(text: str, cut: int, cuts: list[int], repeated: bool) -> None:
    begun = text[: cut % (len(text) + 1)]
    prefix = begun.rstrip()
    rest = text[len(prefix) :]
    # Two that nobody could tell apart: one who says again what he was given, and a text that says the same twice.
    assume(prefix)
    assume(repeated or not rest.startswith(prefix))
    joint, so_far = Joint(begun, Units(input=1, output=2)), AnswerSoFar()
    for event in pieces(begun, cuts):
        so_far.take(event)
    assert so_far.text == begun
    said = pieces(prefix + rest if repeated else rest, cuts)
    written: list[Event] = []
    for event in (MessageStart(), *said, Finish(FinishReason.STOP), MessageEnd()):
        for made in joint.take(event):
            so_far.take(made)
            written.append(made)
    texts = [event.text for event in written if isinstance(event, TextDelta)]
    assert begun + "".join(texts) == text
    assert all(texts)
    assert written[-3:] == [Finish(FinishReason.STOP), UsageReport(joint.billed), MessageEnd()]
    assert joint.billed.input == 1
    assert (joint.joined_output > 0) is bool(texts)
