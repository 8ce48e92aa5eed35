"""Requests whose body must name another model: in Azure's form, and where a budget moves them to a cheaper one.

Azure lets the path decide, and the body may have no model or another one (DIALECTS section 1).
"""

import msgspec

from trunkline.protocol.body import BodyReader
from trunkline.protocol.endpoints.media_form import MediaForm
from trunkline.protocol.endpoints.multipart import is_form
from trunkline.protocol.rules import RequestRules
from trunkline.protocol.splice import BodyChanges
from trunkline.runtime.http_exchange import Request

_NO_RULES = RequestRules()


class _Fields(msgspec.Struct):
    """What may be large in a request to any endpoint whose body names the model; all else is bounded together."""

    messages: msgspec.Raw = msgspec.Raw()
    system: msgspec.Raw = msgspec.Raw()
    instructions: msgspec.Raw = msgspec.Raw()
    input: msgspec.Raw = msgspec.Raw()
    prompt: msgspec.Raw = msgspec.Raw()
    tools: msgspec.Raw = msgspec.Raw()
    functions: msgspec.Raw = msgspec.Raw()
    response_format: msgspec.Raw = msgspec.Raw()
    prediction: msgspec.Raw = msgspec.Raw()
    images: msgspec.Raw = msgspec.Raw()
    mask: msgspec.Raw = msgspec.Raw()


_READER = BodyReader(_Fields, {}, example="a JSON object", large=_Fields.__struct_fields__)


def with_model(request: Request, model: str) -> Request:
    """Return a request whose body names a model, every other byte as it was.

    Raises:
        FaultError: ``client_bad_json`` or ``client_bad_request``: the body is neither a JSON object nor a sound form.
    """
    content_type = request.headers.get("content-type", "")
    if is_form(content_type):
        return request._replace(body=MediaForm(request.body, content_type).prepared(model, _NO_RULES))
    _READER.read(request.body)  # sound and bounded, before its members are looked for
    changes = BodyChanges(request.body)
    changes.put_text("model", model)
    return request._replace(body=changes.result())
