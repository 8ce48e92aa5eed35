"""Forms and sounds for tests of the demo upstream and of what stands before it."""

import io
import wave

from tests.support.upstream_client import Client, UpstreamClient
from tests.support.upstream_dialects import KEY, send

BOUNDARY = "border"


def form(*fields: tuple[str, str | bytes], boundary: str = BOUNDARY) -> bytes:
    """Return a form; what is bytes is a file, whose name is the field's with an ending that fits any."""
    parts = []
    for name, value in fields:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'
        if isinstance(value, bytes):
            head += (
                f'; filename="{name}.{"wav" if name == "file" else "png"}"\r\nContent-Type: application/octet-stream'
            )
            parts.append(head.encode() + b"\r\n\r\n" + value)
        else:
            parts.append(f"{head}\r\n\r\n{value}".encode())
    return b"\r\n".join([*parts, f"--{boundary}--\r\n".encode()])


def send_form(
    upstream: UpstreamClient,
    path: str,
    *fields: tuple[str, str | bytes],
    headers: dict[str, str] | None = None,
    query: str = "",
) -> Client:
    """Send a form to the demo upstream."""
    head = {"authorization": f"Bearer {KEY}"} if headers is None else headers
    head = {**head, "content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    return send(upstream, "POST", path, form(*fields), head, query=query)


def wav(seconds: float, rate: int = 8000) -> bytes:
    """Return silence as a WAV."""
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(rate)
        written.writeframes(bytes(2 * int(seconds * rate)))
    return file.getvalue()
