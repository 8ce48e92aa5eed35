"""What logs say of an exception."""

import sys

from trunkline.runtime.logging import frames_of


def fail(words: str) -> None:
    try:
        raise KeyError(words)
    except KeyError as error:
        raise ValueError(words) from error


def test_frames_and_types_are_shown_and_no_message() -> None:
    try:
        fail("secret words")
    except ValueError:
        exc_info = sys.exc_info()
    assert exc_info[0] is not None
    shown = frames_of((exc_info[0], exc_info[1], exc_info[2]))  # type: ignore[arg-type]  # both are set
    assert "secret words" not in shown.replace('fail("secret words")', "")
    assert "in fail" in shown
    assert shown.index("ValueError") < shown.index("caused by") < shown.index("KeyError")
