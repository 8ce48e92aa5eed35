"""What a request may come to is held before its job begins, and what it came to is settled when that is known.

The steps ``hold`` and ``finish`` of the path, as far as they are about money and limits. `allowances` has the leases.
"""

import contextlib
from collections.abc import Awaitable

import msgspec

from services.edge.allowances import Allowances, HoldRefusedError
from services.edge.client_job import ClientJob
from services.edge.models import Models
from services.edge.needs import job_need
from services.edge.routing_wishes import move
from trunkline.bus.messages import Fallback, Pricing, UsageEvent
from trunkline.bus.snapshots import ModelSnapshot
from trunkline.core.errors import FaultError
from trunkline.policy.lease import Hold, JobNeed
from trunkline.policy.pricing import UnitsError
from trunkline.policy.slices import Slice

CHEAPER_MAX = 4
"""How often one request may be moved to a cheaper model because of a budget: the length of the longest ladder."""


class Payments:
    """Holds and settles.

    Args:
        allowances: the leases.
        models: with their prices.
    """

    def __init__(self, allowances: Allowances, models: Models) -> None:
        self._allowances = allowances
        self._models = models

    def hold(self, client: ClientJob) -> Awaitable[None] | None:
        """Hold what a request may come to; an awaitable where that has to be asked for.

        Raises:
            FaultError: its account may not spend this.
        """
        account = client.key.policy.account
        need = self._need(client)
        try:
            held = self._allowances.hold(account, need)
        except HoldRefusedError as error:
            return self._hold_later(client, error)
        if held is None:
            return self._hold_later(client, None)
        self._held(client, held)
        return None

    async def _hold_later(self, client: ClientJob, refused: HoldRefusedError | None) -> None:
        for _ in range(CHEAPER_MAX):
            if refused is not None and not self._move_to_cheaper(client, refused):
                raise refused
            try:
                self._held(client, await self._allowances.wait(client.key.policy.account, self._need(client)))
            except HoldRefusedError as error:
                refused = error
            else:
                return
        if refused is not None:
            raise refused

    def _held(self, client: ClientJob, held: Hold) -> None:
        """Note a hold. What takes over counts on its own model's meters: where one of them has no room, it does not."""
        kept = []
        for fallback in client.fallbacks:
            more = self._allowances.also(client.key.policy.account, held, fallback.model, fallback.groups[0])
            if more is not None:
                held = more
                kept.append(fallback)
        client.hold = held
        if client.fallbacks:
            client.fallbacks = tuple(kept)

    def _need(self, client: ClientJob) -> JobNeed:
        discount_ppm = self._allowances.discount_ppm(client.key.policy.account)
        rates = self._models.rates
        if not client.fallbacks:
            return job_need(client, rates(client.model.name), discount_ppm)
        others = [(rates(fallback.model), fallback.groups) for fallback in client.fallbacks]
        return job_need(client, rates(client.model.name), discount_ppm, others)

    def _move_to_cheaper(self, client: ClientJob, refused: HoldRefusedError) -> bool:
        """A budget is used up: let the model that the account has chosen for this take over, if there is one."""
        cheaper = "" if refused.meter is None else refused.meter.cheaper.get(client.model.name, "")
        if not cheaper:
            return False
        try:
            move(client, cheaper, "budget", self._models)
        except FaultError:
            return False  # the refusal says more than that the other model is not there
        return True

    def settle(self, client: ClientJob, usage: UsageEvent | None, *, lost: bool) -> None:
        """What a request came to is known; see `job_board.OnSettled`."""
        hold, client.hold = client.hold, None
        if hold is None:
            return
        account = client.key.policy.account
        if usage is None:
            if lost:
                self._allowances.settle_lost(
                    account, hold
                )  # it may still be charged, and this edge would not hear of it
            else:
                self._allowances.settle(account, hold, 0, 0, 0)
            return
        units = usage.billed
        self.price(client, usage)
        nano = client.charge_nano
        if nano is None:
            nano = hold.need.amounts[0]  # a report that settlement will set aside
        tokens = units.input_total + units.output_total
        self._allowances.settle(account, hold, nano, tokens, units.images, served=usage.model)

    def price(self, client: ClientJob, usage: UsageEvent) -> None:
        """Note what a request is charged for what it has used; nothing where that cannot be."""
        discount_ppm = self._allowances.discount_ppm(client.key.policy.account)
        with contextlib.suppress(UnitsError):
            rates = self._models.rates(usage.model)
            client.charge_nano = rates.charge(usage.billed, usage.variant, usage.group, discount_ppm)

    def pricing(self, client: ClientJob) -> Pricing:
        """Return what the cost of a request's answer is reckoned with."""
        return self._pricing(client, client.model)

    def priced_fallbacks(self, client: ClientJob) -> tuple[Fallback, ...]:
        """Return the models that may take over, each with what the cost of its answer is reckoned with."""
        return tuple(
            msgspec.structs.replace(fallback, pricing=self._pricing(client, self._models.configured(fallback.model)))
            for fallback in client.fallbacks
        )

    def _pricing(self, client: ClientJob, model: ModelSnapshot) -> Pricing:
        return Pricing(model.prices, model.multipliers_ppm, self._allowances.discount_ppm(client.key.policy.account))

    def slices(self, client: ClientJob) -> tuple[Slice, ...]:
        """Return what this edge has of the meters that count a request, as far as it knows them."""
        if client.hold is not None:
            return client.hold.slices
        return self._allowances.slices(client.key.policy.account, self._need(client))

    @staticmethod
    def lease_number(client: ClientJob) -> int:
        """Return the lease from which a request is paid; 0 if there is none."""
        return 0 if client.hold is None else client.hold.lease

    def give_up(self, client: ClientJob) -> None:
        """A request ends before it became a job."""
        self.settle(client, None, lost=False)
