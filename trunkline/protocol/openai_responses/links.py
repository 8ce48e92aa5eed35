"""Where a Responses request names pictures and files by URL; see `protocol.links`."""

from collections.abc import Iterator

from trunkline.protocol.links import DOCUMENTS, PICTURES, Link, Node, link_finder

_DATA_URL = b'"data:%b;base64,%b"'
_FILE_DATA = b'"file_data":' + _DATA_URL
_NAMED_FILE = b'"filename":"document.pdf",' + _FILE_DATA
"""OpenAI wants a name beside the data."""


def _walk(body: Node) -> Iterator[Link]:
    for item in body.get("input").items():
        for held in (item.get("content"), item.get("output")):
            for part in held.items():
                yield from part.get("image_url").link(_DATA_URL, PICTURES)
                file = part.get("file_url")
                form = _FILE_DATA if part.get("filename").text else _NAMED_FILE
                yield from file.link(form, DOCUMENTS, start=file.member_start)


find_links = link_finder(("image_url", "file_url"), _walk)
"""Returns the links in a body."""
