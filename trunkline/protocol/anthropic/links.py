"""Where a Messages request names pictures and documents by URL; see `protocol.links`."""

from collections.abc import Iterator

from trunkline.protocol.links import DOCUMENTS, PICTURES, Link, Node, link_finder

_SOURCE = b'{"type":"base64","media_type":"%b","data":"%b"}'
_ACCEPTS = {"image": PICTURES, "document": DOCUMENTS}

_DEPTH_MAX = 3
"""Contents inside contents that are looked into: a document's in a tool's result in a message."""


def _walk(body: Node) -> Iterator[Link]:
    for message in body.get("messages").items():
        yield from _blocks(message.get("content"), 1)


def _blocks(content: Node, depth: int) -> Iterator[Link]:
    for block in content.items() if depth <= _DEPTH_MAX else ():
        kind = block.get("type").text
        if kind == "tool_result":
            yield from _blocks(block.get("content"), depth + 1)
        elif kind in _ACCEPTS:
            source = block.get("source")
            if source.get("type").text == "content":
                yield from _blocks(source.get("content"), depth + 1)
            else:
                yield from source.get("url").link(_SOURCE, _ACCEPTS[kind], start=source.start, end=source.end)


find_links = link_finder(("url",), _walk)
"""Returns the links in a body."""
