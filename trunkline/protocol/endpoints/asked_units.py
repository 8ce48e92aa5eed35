"""What a request asks for beside tokens of text: images, sound, searches. Counted high, for the hold before its job.

What is charged in the end is what the answer reports; whether that is pieces or tokens depends on the provider, so both
are stated, and the dearer of the two is held (`policy.pricing.ModelRates.worst_case`).
"""

import re

from trunkline.core.usage import Units
from trunkline.protocol.endpoints.sound_length import wav_seconds

BYTES_PER_TOKEN_MIN = 3
"""Of text in a request: nearly all have more, so that a count by it is high. An exact one takes a hundred times as long
as all the rest of a hold."""

UNITS_MAX = 10**9
"""Of a kind in one request. No provider takes a thousandth of it, and sums of prices stay within their bounds."""

IMAGE_TOKENS = {"low": 408, "medium": 1584}
IMAGE_TOKENS_MAX = 6240
"""Output tokens of one image by quality, and of the best: as OpenAI counts its largest usual size."""

IMAGE_PIXELS = 1024 * 1536
"""Of that size; a larger image counts as several."""

PARTIAL_IMAGE_TOKENS = 100
"""Output tokens of each partial image of a stream, at OpenAI."""

INPUT_IMAGE_TOKENS_MAX = 7_000
"""Input tokens of one image that is to be edited: 6,240 where its details are to be kept, and some hundreds beside."""

SOUND_BYTES_PER_SECOND_MIN = 1_500
"""Of a file whose length cannot be told: 12 kbit/s. Voice messages have 16 to 24, and what says less in its formats is
no speech that a model would understand. Most files have ten times as much, so that most holds are as much too high."""

SOUND_TOKENS_PER_SECOND = 32
"""Input tokens: Google counts so many, OpenAI 10."""

SPOKEN_TOKENS_PER_SECOND = 8
"""Output tokens of a transcript: fast speech, in a language with a token for each syllable."""

SPEECH_TOKENS_PER_CHARACTER = 5
"""Output tokens of sound made from a text: some 21 a second at OpenAI, and Chinese has four or five characters in a
second. Other texts have three times as many."""

CHUNK_BYTES = 1_200
"""A document to be ranked that has more than 500 tokens with its query counts as several at Cohere: one for each 400
tokens of three bytes."""

DOCUMENTS_PER_SEARCH = 100
"""Cohere's unit: one query and up to so many documents."""

_SIZE = re.compile(r"(\d{2,4})x(\d{2,4})", re.ASCII | re.IGNORECASE)


def asked_images(
    count: int,
    size: str | None,
    quality: str | None,
    *,
    partial: int = 0,
    inputs: int = 0,
    prompt_bytes: int = 0,
) -> Units:
    """Return what making images may take.

    Args:
        count: images that are asked for.
        size: such as ``1024x1024``; None, or a word, if the provider is to choose.
        quality: such as ``high``; None as for ``size``.
        partial: partial images of each.
        inputs: images that are given.
        prompt_bytes: of the text that goes with a form; in JSON it is a part of the request's own text.
    """
    pixels = _SIZE.fullmatch(size or "")
    parts = 1 if pixels is None else -(-int(pixels[1]) * int(pixels[2]) // IMAGE_PIXELS)
    tokens = IMAGE_TOKENS.get((quality or "").lower(), IMAGE_TOKENS_MAX) * parts + PARTIAL_IMAGE_TOKENS * partial
    return Units(
        images=count,
        output_image=count * tokens,
        input=text_tokens(prompt_bytes),
        input_image=inputs * INPUT_IMAGE_TOKENS_MAX,
    )


def asked_transcript(body: bytes, start: int, end: int, *, prompt_bytes: int = 0) -> Units:
    """Return what the transcript of a sound may take.

    Args:
        body: which holds its file.
        start: of the file.
        end: of the file, exclusive.
        prompt_bytes: of the text that goes with it.
    """
    seconds = wav_seconds(body, start, end)
    if seconds is None:
        seconds = -(-(end - start) // SOUND_BYTES_PER_SECOND_MIN)
    seconds += 1  # a provider may measure a little more, and a started second counts
    return Units(
        seconds=seconds,
        input=text_tokens(prompt_bytes),
        input_audio=seconds * SOUND_TOKENS_PER_SECOND,
        output=seconds * SPOKEN_TOKENS_PER_SECOND,
    )


def asked_speech(characters: int, *, reported: bool) -> Units:
    """Return what speaking a text may take, beside the tokens of the text.

    Args:
        characters: of the text.
        reported: the answer has a form in which providers report tokens.
    """
    return Units(characters=characters, output_audio=characters * SPEECH_TOKENS_PER_CHARACTER if reported else 0)


def asked_ranking(documents: int, documents_bytes: int, query_bytes: int) -> Units:
    """Return what ranking documents may take, beside the tokens of the request as it stands.

    Args:
        documents: how many.
        documents_bytes: of all of them.
        query_bytes: of the query, which the model reads anew with each document.
    """
    return Units(
        input=min(text_tokens(query_bytes) * (documents - 1), UNITS_MAX),
        searches=-(-(documents + documents_bytes // CHUNK_BYTES) // DOCUMENTS_PER_SEARCH),
    )


def text_tokens(size_bytes: int) -> int:
    """Return a high count of the tokens of a text."""
    return -(-size_bytes // BYTES_PER_TOKEN_MIN)
