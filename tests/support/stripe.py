"""Announces payments to a console as Stripe does."""

import hashlib
import hmac
from typing import Any, NamedTuple

import aiohttp
import msgspec

from tests.support.console import Answer
from trunkline.runtime.clock import SystemClock

SECRET = "whsec_of_the_tests"


class Stripe(NamedTuple):
    """A provider that knows one console."""

    http: aiohttp.ClientSession
    url: str

    async def announce(self, *, secret: str = SECRET, age_s: int = 0, **session: Any) -> Answer:
        """Announce 12.34 USD for the account acme, or what ``session`` says."""
        paid = {
            "id": "cs_1",
            "client_reference_id": "acme",
            "amount_total": 1234,
            "currency": "usd",
            "payment_status": "paid",
            **session,
        }
        event = {"id": "evt_1", "type": "checkout.session.completed", "data": {"object": paid}}
        body = msgspec.json.encode(event)
        at_s = SystemClock().wall_ms() // 1000 - age_s
        mark = hmac.new(secret.encode(), b"%d." % at_s + body, hashlib.sha256).hexdigest()
        return await self.send(body, {"stripe-signature": f"t={at_s},v1={mark}"})

    async def send(self, body: bytes, headers: dict[str, str], path: str = "stripe") -> Answer:
        """Send a body to the webhook of a provider."""
        async with self.http.post(f"{self.url}/webhooks/payments/{path}", data=body, headers=headers) as response:
            return Answer(response.status, await response.json())
