"""The operation that shows prices to everybody."""

from typing import Final

from trunkline.policy.access import Access
from trunkline.policy.admin_prices import PublicPrices
from trunkline.policy.operations.operation import get

LIST: Final = get(
    "list_public_prices",
    "/prices/public",
    Access.PUBLIC,
    "List the models of the status page's groups with their prices, those in force and those announced.",
    PublicPrices,
)

OPERATIONS: Final = (LIST,)
