"""The model's name in an answer: the provider's becomes the one that the client knows, every other byte as it was."""

import msgspec

from trunkline.protocol.json_span import early_text, edit_object, top_level_spans


def rename_model(body: bytes, public_model: str, *, key: str = "model") -> bytes:
    """Return a whole answer with its model under its public name; the very same object where it is so already.

    Args:
        body: an answer that was found valid.
        public_model: the name the client knows.
        key: of the top-level member that has the model.

    Raises:
        MalformedJSONError: the body is not a JSON object.
    """
    name = msgspec.json.encode(public_model)
    early = early_text(body, key)
    if early is not None:
        start, end = early
        return body if body[start:end] == name else b"%b%b%b" % (body[:start], name, body[end:])
    members = top_level_spans(body)
    replaced = {
        index: name
        for index, member in enumerate(members)
        if member.key == key and body[member.value_start : member.value_end] != name
    }
    return edit_object(body, members, replaced=replaced)


def rename_model_inside(data: bytes, outer: str, name: bytes) -> bytes:
    """Return an event's data with the ``model`` of an object in it changed.

    Args:
        data: JSON.
        outer: key of the object.
        name: JSON.

    Raises:
        MalformedJSONError: the data is not a JSON object.
    """
    members = top_level_spans(data)
    replaced = {}
    for index, member in enumerate(members):
        value = data[member.value_start : member.value_end]
        if member.key == outer and value.startswith(b"{"):
            inner = top_level_spans(value)
            models = {at: name for at, found in enumerate(inner) if found.key == "model"}
            replaced[index] = edit_object(value, inner, replaced=models)
    return edit_object(data, members, replaced=replaced)
