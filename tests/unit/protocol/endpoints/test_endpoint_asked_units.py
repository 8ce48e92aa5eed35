"""What a request asks for beside tokens of text, counted high."""

import pytest

from trunkline.core.usage import Units
from trunkline.protocol.endpoints.asked_units import (
    INPUT_IMAGE_TOKENS_MAX,
    UNITS_MAX,
    asked_images,
    asked_ranking,
    asked_speech,
    asked_transcript,
)

WAV_HEADER = (
    b"RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x40\x1f\x00\x00\x01\x00\x08\x00"
)


@pytest.mark.parametrize(
    ("size", "quality", "tokens"),
    [
        (None, None, 6240),
        ("auto", "auto", 6240),
        ("1024x1024", "low", 408),
        ("1536X1024", "Medium", 1584),
        ("1024x1536", "high", 6240),
        ("2048x2048", "high", 3 * 6240),
        ("9999x9999", "low", 64 * 408),
        ("0x0", "hd", 6240),
        ("1024x1024x", "standard", 6240),
    ],
)
def test_an_image_takes_as_many_tokens_as_the_best_of_its_size(size: str, quality: str, tokens: int) -> None:
    assert asked_images(2, size, quality) == Units(images=2, output_image=2 * tokens)


def test_given_and_partial_images_and_the_prompt_of_a_form_count_as_well() -> None:
    found = asked_images(1, None, "low", partial=3, inputs=2, prompt_bytes=100)
    assert found == Units(images=1, output_image=708, input_image=2 * INPUT_IMAGE_TOKENS_MAX, input=34)


def test_a_sound_of_known_length_takes_that_and_another_one_what_its_size_may_hold() -> None:
    data = WAV_HEADER + b"data\x00\x00\x00\x00" + bytes(80_000)  # ten seconds at 8 kHz
    body = b"--before" + data + b"after--"
    assert asked_transcript(body, 8, 8 + len(data)).seconds == 11
    assert asked_transcript(bytes(len(data)), 0, len(data)).seconds == -(-len(data) // 1_500) + 1
    assert asked_transcript(b"x" * 9, 0, 9, prompt_bytes=4) == Units(seconds=2, input=2, input_audio=64, output=16)


@pytest.mark.parametrize("reported", [False, True])
def test_speech_takes_its_characters_or_what_they_sound_like(*, reported: bool) -> None:
    assert asked_speech(100, reported=reported) == Units(characters=100, output_audio=500 if reported else 0)


@pytest.mark.parametrize(
    ("documents", "documents_bytes", "query_bytes", "units"),
    [
        (1, 10, 30, Units(searches=1)),
        (100, 100, 31, Units(searches=1, input=99 * 11)),
        (101, 100, 30, Units(searches=2, input=100 * 10)),
        (2, 240_000, 30, Units(searches=3, input=10)),  # two long ones are some hundred chunks each
        (10**7, 10**7, 10**7, Units(searches=100_084, input=UNITS_MAX)),
    ],
)
def test_ranking_reads_the_query_with_each_document_and_long_ones_in_parts(
    documents: int, documents_bytes: int, query_bytes: int, units: Units
) -> None:
    assert asked_ranking(documents, documents_bytes, query_bytes) == units
