"""The wish for usage at the end of a stream, as OpenAI's chat and old completions have it: ``stream_options``."""

from trunkline.protocol.json_span import MalformedJSONError, edit_object, top_level_spans
from trunkline.protocol.splice import BodyChanges


def ask_usage(changes: BodyChanges) -> None:
    """Have a stream report its usage, whatever else the client wants of it."""
    present = changes.present("stream_options")
    for index in present:
        options = changes.value(index)
        asked = _with_usage(options)
        if asked is not options:
            changes.replaced[index] = asked
    if not present:
        changes.inserted["stream_options"] = b'{"include_usage":true}'


def _with_usage(options: bytes) -> bytes:
    """Return the value of ``stream_options`` with usage asked for; the very same object if it is already."""
    try:
        members = top_level_spans(options)
    except MalformedJSONError:
        return b'{"include_usage":true}'
    present = [index for index, member in enumerate(members) if member.key == "include_usage"]
    wrong = {i: b"true" for i in present if options[members[i].value_start : members[i].value_end] != b"true"}
    return edit_object(options, members, replaced=wrong, inserted=() if present else (b'"include_usage":true',))
