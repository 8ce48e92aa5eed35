"""What a failed answer means, in each of the places where one is told of: called by the relay and the readers."""

import msgspec

from trunkline.protocol.openai_responses.wire import ResponseObject, present
from trunkline.protocol.upstream_error import UpstreamError, read_upstream_error

_CLIENTS_FAULT = frozenset(
    {
        "invalid_prompt",
        "data_residency_mismatch",
        "bio_policy",
        "misalignment_policy_violation",
        "invalid_image",
        "invalid_image_format",
        "invalid_base64_image",
        "invalid_image_url",
        "image_too_large",
        "image_too_small",
        "image_parse_error",
        "image_content_policy_violation",
        "invalid_image_mode",
        "image_file_too_large",
        "unsupported_image_media_type",
        "empty_image_file",
        "failed_to_download_image",
        "image_file_not_found",
    }
)
"""Codes of a failed response that another attempt would not change."""


class _Coded(msgspec.Struct):
    code: object = None


class _ErrorBody(msgspec.Struct):
    error: _Coded | None = None
    code: object = None


_decode = msgspec.json.Decoder(_ErrorBody).decode


def read_failure(body: bytes) -> UpstreamError:
    """Return what an error inside a 200 means: an ``error`` event, flat or nested, or a body with an ``error``."""
    try:
        found = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        code: object = None
    else:
        code = found.error.code if found.error is not None else found.code
    status = 400 if isinstance(code, str) and code in _CLIENTS_FAULT else 200
    return read_upstream_error(status, {}, body, 0)


def read_failed_response(response: ResponseObject | None) -> UpstreamError:
    """Return why a response has the status ``failed``."""
    error = present(response.error) if response is not None else b""
    if not error:
        return read_upstream_error(500, {}, b"", 0)
    return read_failure(b'{"error":' + error + b"}")
