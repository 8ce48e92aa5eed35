"""Forms as clients of the gateway send them, byte by byte."""

TYPE = "multipart/form-data; boundary=XyZ"


def field(name: str, value: bytes, more: str = "") -> bytes:
    """Return one field; ``more`` follows its name in the header, and may bring further header lines."""
    return f'--XyZ\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value + b"\r\n"


def form(*fields: bytes) -> bytes:
    """Return the form of these fields."""
    return b"".join(fields) + b"--XyZ--\r\n"
