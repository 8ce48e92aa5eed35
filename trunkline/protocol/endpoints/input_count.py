"""Counts the input tokens of a JSON endpoint's request, for what a provider did not report. See `protocol.tokens`."""

import msgspec

from trunkline.protocol.tokens import count_text, countable

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode = msgspec.json.Decoder().decode


def count_members(body: bytes, names: tuple[str, ...]) -> int:
    """Return an estimate of the tokens in some members of a request. Never raises, and takes bounded time.

    Texts count wherever they stand in lists, and in objects under ``text``; a token id counts for itself. Images and
    other media count nothing: no provider of these endpoints bills them by the token without saying how many.

    Args:
        body: the request.
        names: of the top-level members that hold the input.
    """
    values = countable(body, lambda source: _values(source, names))
    if isinstance(values, int):
        return values
    texts: list[str] = []
    token_ids = _collect(values, texts)
    return token_ids + count_text("\n".join(texts))


def _values(body: bytes, names: tuple[str, ...]) -> list[object]:
    members = _decode_members(body)
    return [_decode(members[name]) for name in names if name in members]


def _collect(values: list[object], texts: list[str]) -> int:
    """Append the texts in some values, and return the number of token ids there."""
    token_ids = 0
    waiting = values
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            texts.append(value)
        elif isinstance(value, list):
            if value and isinstance(value[0], int):
                # A list of token ids may be long, and looking at each would take its time.
                token_ids += len(value)
            else:
                waiting.extend(value)
        elif isinstance(value, dict):
            if isinstance(text := value.get("text"), str):
                texts.append(text)
            waiting.extend(member for member in value.values() if isinstance(member, list | dict))
    return token_ids
