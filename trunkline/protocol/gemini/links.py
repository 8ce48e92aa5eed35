"""Where a Gemini request names pictures and documents by URL; see `protocol.links`."""

from collections.abc import Iterator

from trunkline.protocol.gemini.media import PDF, only_google_opens
from trunkline.protocol.links import DOCUMENTS, PICTURES, Link, Node, link_finder

_INLINE_DATA = b'"inlineData":{"mimeType":"%b","data":"%b"}'
_MEDIA = PICTURES | DOCUMENTS


def _walk(body: Node) -> Iterator[Link]:
    for content in body.get("contents").items():
        for part in content.get("parts").items():
            yield from _file(part)
            for inner in part.get("functionResponse", "function_response").get("parts").items():
                yield from _file(inner)


def _file(part: Node) -> Iterator[Link]:
    """Return the link of a part, but not for what only the provider opens, or what is no picture and no document."""
    file = part.get("fileData", "file_data")
    kind = file.get("mimeType", "mime_type").text.lower()
    uri = file.get("fileUri", "file_uri")
    if (not kind or kind == PDF or kind.startswith("image/")) and not only_google_opens(uri.text):
        yield from uri.link(_INLINE_DATA, _MEDIA, start=file.member_start, end=file.end)


find_links = link_finder(("fileUri", "file_uri"), _walk)
"""Returns the links in a body."""
