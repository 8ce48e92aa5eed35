"""Reads whole JSON answers of providers as far as an endpoint needs them. Never raises, whatever the bytes.

An answer with status 200 may still be none: an error object, HTML, a cut body (DIALECTS section 3.4). Each endpoint
says which members it needs by a struct; what else stands there is checked to be JSON and skipped.
"""

from typing import Generic, TypeVar

import msgspec

from trunkline.protocol.endpoint import Provider
from trunkline.protocol.json_span import without_lone_surrogates
from trunkline.protocol.splice import BodyChanges
from trunkline.protocol.upstream_error import UpstreamError, invalid_answer, read_upstream_error

_NOTHING = frozenset({b"", b"null", b"{}", b'""', b"[]", b"false"})
_ERROR = b'"error"'


class AnswerForm(msgspec.Struct, gc=False):
    """The members that tell an error from an answer; an endpoint adds those that it needs, with defaults."""

    error: msgspec.Raw = msgspec.Raw()
    object: msgspec.Raw = msgspec.Raw()
    type: msgspec.Raw = msgspec.Raw()

    @property
    def failed(self) -> bool:
        """Whether it is an error: an ``error`` member, or a flat one as Mistral and older vLLM send it."""
        return bytes(self.error) not in _NOTHING or bytes(self.object) == _ERROR or bytes(self.type) == _ERROR


Form = TypeVar("Form", bound=AnswerForm)


class FormReader(Generic[Form]):
    """Reads answers of one form.

    Args:
        form: what is read.
        invalid: what the client is told of an answer that has another.
    """

    def __init__(self, form: type[Form], invalid: str) -> None:
        self._decode = msgspec.json.Decoder(form).decode
        self._invalid = invalid

    def read(self, body: bytes) -> Form | UpstreamError:
        """Return what an answer says, or the error that it is."""
        try:
            if not body.isascii():
                # What the decoder skips it does not check to be UTF-8.
                body.decode()
            answer = self._decode(body)
        except msgspec.ValidationError:
            return self._read_other(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            cleaned = without_lone_surrogates(body)
            # A search for half an emoji finds whole ones, too, and gives them back as they were.
            return self.invalid() if cleaned == body else self.read(cleaned)
        return read_upstream_error(200, {}, body, 0) if answer.failed else answer

    def _read_other(self, body: bytes) -> UpstreamError:
        try:
            failed = _decode_form(body).failed
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            failed = False
        return read_upstream_error(200, {}, body, 0) if failed else self.invalid()

    def invalid(self) -> UpstreamError:
        """Return the error for an answer that lacks what makes it one."""
        return invalid_answer(self._invalid)


_decode_form = msgspec.json.Decoder(AnswerForm).decode


def renamed(body: bytes, provider: Provider) -> bytes:
    """Return a valid answer under the model's public name, every other byte as it was.

    The very same object where the provider's name is the public one, or the answer names no model.

    Raises:
        FaultError: the body is not a JSON object.
    """
    if provider.model == provider.public_model:
        return body
    changes = BodyChanges(body)
    if changes.present("model"):
        changes.put_text("model", provider.public_model)
    return changes.result()
