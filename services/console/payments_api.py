"""Payments: announced by their providers, and put right by people.

The webhook is the one path of the console that needs no admin key: the provider's signature is its key. It says 200 to
whatever it has stored, be it booked, known already or kept aside for a person, so that the provider stops sending it.
"""

from collections.abc import Mapping

import structlog
from aiohttp import web

from services.console.config import ConsoleSettings
from services.console.context import Context
from services.console.http import answer, bad_request, bind, public, read_bytes, read_struct
from services.console.metrics import ConsoleMetrics
from trunkline.policy.admin_credit import PaymentAssignment
from trunkline.policy.configuration_values import nano_amount
from trunkline.policy.operations import payments
from trunkline.policy.payments import PaymentProvider, RefusedPaymentError, StripePayments
from trunkline.store.configuration import NotFoundError
from trunkline.store.configuration_writes import find_account
from trunkline.store.payments import assign_payment, list_payments, receive_payment

log = structlog.get_logger()

WEBHOOK_BYTES_MAX = 256 * 1024
"""One announcement. Stripe's have some kilobytes."""


def configured_providers(settings: ConsoleSettings) -> dict[str, PaymentProvider]:
    """Return the providers that the settings name, by the name in their webhook's path."""
    if not settings.stripe_webhook_secrets:
        return {}
    return {"stripe": StripePayments(settings.stripe_webhook_secrets)}


class PaymentsAPI:
    """Handlers of ``/webhooks/payments`` and ``/payments``.

    Args:
        context: of the console.
        providers: by name.
        metrics: of the console.
    """

    def __init__(self, context: Context, providers: Mapping[str, PaymentProvider], metrics: ConsoleMetrics) -> None:
        self._context = context
        self._providers = providers
        self._metrics = metrics

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.post("/webhooks/payments/{provider}", self._announce),
            bind(payments.LIST, self._list),
            bind(payments.ASSIGN, self._assign),
        ]

    @public
    async def _announce(self, request: web.Request) -> web.Response:
        name = request.match_info["provider"]
        provider = self._providers.get(name)
        if provider is None:
            raise NotFoundError(f"there is no payment provider {name!r} in the console's settings")
        body = await read_bytes(request, WEBHOOK_BYTES_MAX)
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            payment = provider.verify(headers, body, self._context.clock.wall_ms() // 1000)
        except RefusedPaymentError as error:
            self._metrics.payments.labels(name, "refused").inc()
            log.warning("payment_refused", provider=name, reason=str(error))
            raise bad_request(f"The announcement is refused: {error}.") from error
        if payment is None:
            self._metrics.payments.labels(name, "ignored").inc()
            return answer({"result": "ignored"})
        async with self._context.database.transaction() as connection:
            receipt = await receive_payment(connection, name, payment)
        self._metrics.payments.labels(name, receipt.value).inc()
        log.info("payment_received", provider=name, reference=payment.reference, result=receipt.value)
        return answer({"result": receipt.value})

    async def _list(self, request: web.Request) -> web.Response:
        aside = request.query.get("aside", "false")
        if aside not in {"true", "false"}:
            raise bad_request("aside must be true or false.")
        async with self._context.database.connection() as connection:
            return answer(await list_payments(connection, aside=aside == "true"))

    async def _assign(self, request: web.Request) -> web.Response:
        wanted = await read_struct(request, PaymentAssignment)
        try:
            amount_nano = None if wanted.usd is None else nano_amount(wanted.usd)
        except ValueError as error:
            raise bad_request(f"The amount {error}.") from error
        if amount_nano == 0:
            raise bad_request("The amount must be more than 0 USD.")
        provider, reference = request.match_info["provider"], request.match_info["reference"]
        async with self._context.database.transaction() as connection:
            account_id = await find_account(connection, wanted.account)
            return answer(
                await assign_payment(connection, provider, reference, account_id=account_id, amount_nano=amount_nano)
            )
