"""Pictures and documents that a request names by URL: where they stand, and the request with them in it instead.

Some providers never fetch a URL (DIALECTS section 2.2). For these the dispatcher does it, and puts what it got where
the URL was, in the client's own dialect and before anything else is done with the request: bytes around it stay as they
were, and a translation finds a picture like any that a client sent inline. Each dialect's ``links`` module walks its
requests with `Node` and says what stands for a link.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import msgspec

from trunkline.core import limits
from trunkline.protocol.json_span import MalformedJSONError, Member, top_level_spans, without_lone_surrogates

PDF = "application/pdf"
PICTURES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
"""What all providers read that read pictures at all."""
DOCUMENTS = frozenset({PDF})

_BETWEEN = re.compile(rb"[ \t\n\r,]*+")
_decode_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode


class Link(NamedTuple):
    """A URL in a request's body that is not to reach its provider.

    Attributes:
        url: http or https.
        param: the field that holds it, for errors.
        start, end: span of the body that is replaced.
        form: what stands there instead, with a place for the media type and one for the base64, both ``%b``.
        accepts: media types that may stand there.
    """

    url: str
    param: str
    start: int
    end: int
    form: bytes
    accepts: frozenset[str]


class Node:
    """A value in a JSON source, and where it stands. What is not there is a node, too: an empty one.

    Args:
        source: all of it.
        url: what a URL behind one of the dialect's keys looks like.
        start, end: span of the value.
        path: as errors name it, such as ``messages[0].content``.
        member_start: where its key begins, for a member of an object.
    """

    __slots__ = ("_members", "_source", "_url", "end", "member_start", "path", "start")

    def __init__(
        self, source: bytes, url: re.Pattern[bytes], start: int, end: int, *, path: str = "", member_start: int = 0
    ) -> None:
        self._source = source
        self._url = url
        self._members: list[Member] | None = None
        self.start = start
        self.end = end
        self.path = path
        self.member_start = member_start

    def get(self, *keys: str) -> "Node":
        """Return the member with one of these keys; the last one where there are several, as parsers take it.

        Raises:
            MalformedJSONError: not JSON.
        """
        if self._members is None:
            is_object = self._source.startswith(b"{", self.start, self.end)
            self._members = top_level_spans(self._source[self.start : self.end]) if is_object else []
        found = next((member for member in reversed(self._members) if member.key in keys), None)
        if found is None:
            return Node(self._source, self._url, 0, 0)
        path = f"{self.path}.{found.key}" if self.path else found.key
        at = self.start
        span = (at + found.value_start, at + found.value_end)
        return Node(self._source, self._url, *span, path=path, member_start=at + found.start)

    def items(self) -> Iterator["Node"]:
        """Return the elements of an array that hold a URL; anything else is the only one of its kind.

        Raises:
            MalformedJSONError: not JSON.
        """
        if not self._source.startswith(b"[", self.start, self.end):
            if self.start < self.end:
                yield self
            return
        try:
            elements = _decode_elements(memoryview(self._source)[self.start : self.end])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedJSONError("not an array") from error
        position = self.start + 1
        for number, element in enumerate(elements):
            between = _BETWEEN.match(self._source, position)
            start = position if between is None else between.end()
            position = start + len(memoryview(element))
            if self._url.search(self._source, start, position) is not None:
                yield Node(self._source, self._url, start, position, path=f"{self.path}[{number}]")

    @property
    def text(self) -> str:
        """The text that a string holds; empty for anything else."""
        if not self._source.startswith(b'"', self.start, self.end):
            return ""
        try:
            return _decode_text(memoryview(self._source)[self.start : self.end])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return ""

    def link(
        self, form: bytes, accepts: frozenset[str], *, start: int | None = None, end: int | None = None
    ) -> Iterator[Link]:
        """Return the link in a string that is a URL; nothing for anything else.

        Args:
            form: see `Link`.
            accepts: see `Link`.
            start: of what is replaced, if that is more than the string.
            end: of the same.
        """
        url = self.text
        if url[:8].lower().startswith(("http://", "https://")):
            where = (self.start if start is None else start, self.end if end is None else end)
            yield Link(url, self.path, *where, form, accepts)


def link_finder(keys: Iterable[str], walk: Callable[[Node], Iterable[Link]]) -> Callable[[bytes], list[Link]]:
    """Return what finds a dialect's links in a body, as far as they are fetched: all, or one more than there may be.

    A body in which no URL stands behind one of ``keys`` is searched once and not walked.

    Args:
        keys: of the members that hold URLs.
        walk: finds them, from the whole body on.
    """
    url = re.compile(rb'"(?:%b)"[ \t\n\r]*+:[ \t\n\r]*+"[hH][tT][tT][pP]' % b"|".join(key.encode() for key in keys))

    def find(body: bytes) -> list[Link]:
        if url.search(body) is None:
            return []
        source = without_lone_surrogates(body)
        blank = len(source) - len(source.lstrip(b" \t\n\r"))
        try:
            return list(islice(walk(Node(source, url, blank, len(source))), limits.FETCHES_PER_JOB_MAX + 1))
        except MalformedJSONError:
            return []  # the request's reader says what is wrong

    return find


def inline(body: bytes, found: Iterable[tuple[Link, str, bytes]]) -> bytes:
    """Return a body in which links have become what they led to; every other byte as it was.

    Args:
        body: in which the links were found.
        found: each link with its media type and base64.
    """
    pieces: list[bytes] = []
    position = 0
    for link, media_type, data in sorted(found, key=lambda each: each[0].start):
        pieces += (body[position : link.start], link.form % (media_type.encode(), data))
        position = link.end
    pieces.append(body[position:])
    return b"".join(pieces)
