"""Payments that a provider announces by webhook: whether the announcement is genuine, and what was paid. Pure.

A provider is an object with `verify` (`PaymentProvider`). `StripePayments` is the reference: Stripe's own scheme of
signatures (https://docs.stripe.com/webhooks#verify-manually), which several others have taken over. The console books
what comes out (`services/console/payments_api.py`).
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import msgspec

from trunkline.core.money import NANO_PER_USD, NanoUSD

USD: Final = "usd"
CENTS_PER_USD: Final = 100

TOLERANCE_S: Final = 300
"""How old or new an announcement may be: five minutes, as in Stripe's own libraries. It bounds how long one that was
overheard can be sent again; that it is booked once holds for ever."""

SIGNATURES_MAX: Final = 16
"""Signatures of one announcement. While a secret is replaced there are two."""


class RefusedPaymentError(Exception):
    """The announcement is not genuine, too old, or not understood. The message is static words."""


class Payment(msgspec.Struct, frozen=True):
    """What somebody has paid.

    Attributes:
        reference: names the payment among all of its provider's; however often it is announced, it is the same.
        account: name of the account that it is for; empty if the provider was not told.
        amount: in the smallest unit of the currency.
        currency: ISO 4217 code in lower case.
    """

    reference: str
    account: str
    amount: int
    currency: str

    @property
    def amount_nano(self) -> NanoUSD | None:
        """The amount in nano-USD; None in another currency."""
        return NanoUSD(self.amount * (NANO_PER_USD // CENTS_PER_USD)) if self.currency == USD else None


class PaymentProvider(Protocol):
    """What the console needs of a provider."""

    def verify(self, headers: Mapping[str, str], body: bytes, now_s: int) -> Payment | None:
        """Return the payment that a request announces; None if it is genuine and announces none.

        Args:
            headers: of the request, with lower-case names.
            body: of the request, byte for byte.
            now_s: Unix time in seconds.

        Raises:
            RefusedPaymentError: see there.
        """


class _Session(msgspec.Struct):
    """A checkout session (https://docs.stripe.com/api/checkout/sessions/object), as far as it matters."""

    id: str
    amount_total: int | None = None
    currency: str | None = None
    client_reference_id: str | None = None
    payment_status: str = ""


class _Data(msgspec.Struct):
    object: msgspec.Raw


class _Event(msgspec.Struct):
    type: str
    data: _Data


_decode_event = msgspec.json.Decoder(_Event).decode
_decode_session = msgspec.json.Decoder(_Session).decode

_COMPLETED = frozenset({"checkout.session.completed", "checkout.session.async_payment_succeeded"})
"""A session that is completed may still wait for its payment; then the second event follows."""


class StripePayments:
    """Stripe's checkout, with the account's name as ``client_reference_id``.

    Args:
        secrets: signing secrets of the endpoint, any of which is good: the present one and one that it replaces.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = [secret.encode() for secret in secrets]

    def verify(self, headers: Mapping[str, str], body: bytes, now_s: int) -> Payment | None:
        """See `PaymentProvider.verify`."""
        self._check_signature(headers.get("stripe-signature", ""), body, now_s)
        try:
            event = _decode_event(body)
            if event.type not in _COMPLETED:
                return None
            session = _decode_session(event.data.object)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise RefusedPaymentError("the event is not understood") from None
        if session.payment_status != "paid":
            return None
        if session.amount_total is None or session.currency is None or session.amount_total <= 0:
            raise RefusedPaymentError("the event does not say what was paid")
        return Payment(
            reference=session.id,
            account=session.client_reference_id or "",
            amount=session.amount_total,
            currency=session.currency.lower(),
        )

    def _check_signature(self, header: str, body: bytes, now_s: int) -> None:
        """Return if one of the signatures is ours and the time is near.

        Raises:
            RefusedPaymentError: otherwise.
        """
        pairs = [part.strip().partition("=") for part in header.split(",", SIGNATURES_MAX)]
        times = [value for name, _, value in pairs if name == "t"]
        signatures = [value for name, _, value in pairs if name == "v1"]
        if len(times) != 1 or not (times[0].isascii() and times[0].isdecimal()) or not signatures:
            raise RefusedPaymentError("the signature is missing or not understood")
        signed = times[0].encode() + b"." + body
        # All of them: the time that it takes says nothing of which was how far right.
        good = False
        for secret in self._secrets:
            expected = hmac.new(secret, signed, hashlib.sha256).hexdigest().encode()
            for signature in signatures:
                good |= hmac.compare_digest(expected, signature.encode())
        if not good:
            raise RefusedPaymentError("the signature is wrong")
        if len(times[0]) > 15 or abs(now_s - int(times[0])) > TOLERANCE_S:
            raise RefusedPaymentError("the signature is too old")
