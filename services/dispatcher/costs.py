"""What an answer costs its client, for the few that want to read it there. Prices come with the job: its `Pricing`.

The edge, which settles the job, and the ledger reckon the same from the same usage; here it is only said.
"""

from collections.abc import Callable

from trunkline.bus.messages import Pricing
from trunkline.bus.snapshots import ModelSnapshot
from trunkline.core.usage import Units
from trunkline.policy.pricing import ModelRates, UnitsError
from trunkline.protocol.stated_cost import cost_number, events_with_cost, with_cost


class StatedCost:
    """States the cost in one attempt's answer.

    Args:
        pricing: of the job.
        group: through which the key reached the channel.
        variant: tells, once the answer was read, what kind of images it has; None for another answer.
    """

    def __init__(self, pricing: Pricing, group: str, variant: Callable[[], str] | None) -> None:
        self._rates = ModelRates(ModelSnapshot("", (), prices=pricing.prices, multipliers_ppm=pricing.multipliers_ppm))
        self._discount_ppm = pricing.discount_ppm
        self._group = group
        self._variant = variant

    def whole(self, body: bytes, units: Units) -> bytes:
        """Return a whole answer, as the client would get it, with what these units cost."""
        try:
            return with_cost(body, self._cost(units))
        except UnitsError:
            return body  # a report that settlement will set aside

    def events(self, block: bytes, units: Callable[[], Units]) -> bytes:
        """Return events of a stream, with the cost in the usage reports that are among them.

        Args:
            block: whole events.
            units: returns what was used so far; called only where there is a report.
        """
        try:
            return events_with_cost(block, lambda: self._cost(units()))
        except UnitsError:
            return block

    def _cost(self, units: Units) -> bytes:
        variant = self._variant() if self._variant is not None and units.images else ""
        return cost_number(self._rates.charge(units, variant, self._group, self._discount_ppm))
