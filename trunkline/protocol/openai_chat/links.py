"""Where a chat request names pictures and files by URL; see `protocol.links`."""

from collections.abc import Iterator

from trunkline.protocol.links import DOCUMENTS, PICTURES, Link, Node, link_finder

_DATA_URL = b'"data:%b;base64,%b"'


def _walk(body: Node) -> Iterator[Link]:
    for message in body.get("messages").items():
        for held in (message.get("content"), message.get("images")):
            for part in held.items():
                image = part.get("image_url")
                yield from (image if image.text else image.get("url")).link(_DATA_URL, PICTURES)
                yield from part.get("file").get("file_data").link(_DATA_URL, DOCUMENTS)


find_links = link_finder(("image_url", "url", "file_data"), _walk)
"""Returns the links in a body."""
