"""A form with media in it, as the endpoints need it: model, stream and files, and the form that a provider gets.

Only the model, our private fields and what a channel's rules name are changed, each in its place: files keep their
order, names and types, and the form its boundary (DIALECTS section 7).
"""

import msgspec

from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol.body import BodyReader
from trunkline.protocol.dialect import ClientRequest
from trunkline.protocol.endpoints.form_changes import TEXT_BYTES_MAX, FormChanges, base_name
from trunkline.protocol.endpoints.multipart import Part, read_form
from trunkline.protocol.rules import RequestRules

_TRUE = frozenset({"true", "1"})
_FALSE = frozenset({"false", "0", ""})
_HINTS = {"model": "`model` must be a field naming a model, such as one that GET /v1/models lists."}


class _NoMembers(msgspec.Struct):
    """A form is no JSON; only the checks of a model's name are shared with the endpoints that take JSON."""


_FIELDS = BodyReader(_NoMembers, _HINTS, example="a form with a `model`", large=())


class MediaForm:
    """A form that was read.

    Args:
        body: all of it; kept, not copied.
        content_type: the request's.

    Attributes:
        parts: in their order.

    Raises:
        FaultError: ``client_bad_request``: no sound form.
    """

    __slots__ = ("_body", "parts")

    def __init__(self, body: bytes, content_type: str) -> None:
        self._body = body
        self.parts = read_form(body, content_type)

    def head(self) -> ClientRequest:
        """Return what routing needs.

        Raises:
            FaultError: ``client_bad_request``, with the field at fault as ``param``.
        """
        return ClientRequest(model=_FIELDS.model(self.text("model")), stream=self.stream)

    @property
    def stream(self) -> bool:
        """Whether a stream is asked for.

        Raises:
            FaultError: ``client_bad_request``: it says neither yes nor no.
        """
        word = (self.text("stream") or "").lower()
        if word not in _TRUE | _FALSE:
            raise _bad_field("stream", "`stream` must be true or false.")
        return word in _TRUE

    def text(self, name: str) -> str | None:
        """Return a field's text; None if there is none.

        Raises:
            FaultError: ``client_bad_request``: it is repeated, a file, too long, or not UTF-8.
        """
        part = self.single(name)
        if part is None:
            return None
        if part.filename is not None or part.end - part.start > TEXT_BYTES_MAX:
            raise _bad_field(name, f"`{name}` must be a field of up to {TEXT_BYTES_MAX} bytes, not a file.")
        try:
            return self._body[part.start : part.end].decode()
        except UnicodeDecodeError:
            raise _bad_field(name, f"`{name}` is not valid UTF-8.") from None

    def single(self, name: str) -> Part | None:
        """Return the one part of a name; None if there is none.

        Raises:
            FaultError: ``client_bad_request``: there are several, and providers differ in which one they take.
        """
        parts = [part for part in self.parts if part.name == name]
        if len(parts) > 1:
            raise _bad_field(name, f"`{name}` is there more than once. Send it once.")
        return parts[0] if parts else None

    def size_bytes(self, name: str) -> int:
        """Return how much all parts of a name hold."""
        return sum(part.end - part.start for part in self.parts if part.name == name)

    def require_one(self, name: str) -> Part:
        """Return the one part of a name.

        Raises:
            FaultError: ``client_bad_request``: there is none, or there are several.
        """
        part = self.single(name)
        if part is None:
            raise _missing(name)
        return part

    def require_some(self, name: str) -> None:
        """Check that there is a part of a name, or of a list's spellings ``name[]`` and ``name[0]``.

        Raises:
            FaultError: ``client_bad_request``: there is none.
        """
        if not any(base_name(part.name) == name for part in self.parts):
            raise _missing(name)

    def prepared(self, model: str, rules: RequestRules) -> bytes:
        """Return the form for a provider; the very same object when nothing has to change.

        Args:
            model: the provider's name for it.
            rules: the channel's.

        Raises:
            FaultError: ``client_bad_request``: what is put in holds the form's boundary.
        """
        return self.changes(model, rules).result()

    def changes(self, model: str, rules: RequestRules) -> FormChanges:
        """Return what `prepared` changes."""
        changes = FormChanges(self._body, self.parts)
        changes.drop_private()
        changes.put_text("model", model.encode())
        rules.apply(changes)
        return changes


def _missing(name: str) -> FaultError:
    return _bad_field(name, f"`{name}` is missing. Send it as a file in the form.")


def _bad_field(name: str, message: str) -> FaultError:
    return FaultError(Fault(ErrorType.CLIENT_BAD_REQUEST, message, param=name))
