"""Codes of an authenticator app (TOTP, RFC 6238): six digits that change every half minute."""

import base64
import hmac
from typing import Final

import pyotp

STEP_S: Final = 30
SECRET_BYTES: Final = 20
"""Of randomness: 160 bits, as RFC 4226 section 4 recommends."""

WINDOW_STEPS: Final = 1
"""Steps before and after the present one whose codes are taken: clocks differ, and people type slowly (RFC 6238
section 5.2)."""

_DIGITS = 6


def secret(numbers: bytes) -> str:
    """Return `SECRET_BYTES` of fresh randomness as apps take it: base 32."""
    if len(numbers) != SECRET_BYTES:
        raise ValueError(f"a secret is made of {SECRET_BYTES} bytes")
    return base64.b32encode(numbers).decode()


def accepted_step(secret_: str, typed: str, now_s: int, last_step: int) -> int | None:
    """Return the step whose code was typed, None if it is the code of none that may be taken.

    Args:
        secret_: of the login.
        typed: by whoever signs in.
        now_s: Unix time in seconds.
        last_step: of the last code that was taken; it and all before it are never taken again (RFC 6238 section 5.2).
    """
    code = typed.replace(" ", "")
    if len(code) != _DIGITS or not code.isascii() or not code.isdigit():
        return None
    codes = pyotp.TOTP(secret_, digits=_DIGITS, interval=STEP_S)
    present = now_s // STEP_S
    found = None
    # All are compared, whichever it is.
    for step in range(present - WINDOW_STEPS, present + WINDOW_STEPS + 1):
        right = hmac.compare_digest(codes.generate_otp(step), code)
        if right and step > last_step:
            found = step
    return found


def app_uri(secret_: str, name: str, issuer: str) -> str:
    """Return the ``otpauth`` URI of a secret, which apps read as a QR code."""
    return pyotp.TOTP(secret_, digits=_DIGITS, interval=STEP_S).provisioning_uri(name=name, issuer_name=issuer)
