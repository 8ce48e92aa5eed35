"""Operations on what is offered as a whole: groups and tiers, all models' prices, and the seals of all credentials."""

from typing import Final

from trunkline.policy.access import Access
from trunkline.policy.admin_supply import GroupUses, ModelPricing, Resealed, TierUses
from trunkline.policy.operations.operation import Operation, get
from trunkline.policy.operations.parameters import DRY_RUN

LIST_GROUP_USES: Final = get(
    "list_group_uses",
    "/group-uses",
    Access.OPERATOR,
    "List which channels, accounts and keys use each group.",
    list[GroupUses],
)
DELETE_GROUP: Final = Operation(
    id="delete_group",
    method="DELETE",
    path="/groups/{name}",
    access=Access.OPERATOR,
    summary="Delete a group that nothing uses.",
    status=204,
    shows="list_groups",
)
LIST_TIER_USES: Final = get(
    "list_tier_uses",
    "/tier-uses",
    Access.OPERATOR,
    "List which accounts and discounts use each tier.",
    list[TierUses],
)
DELETE_TIER: Final = Operation(
    id="delete_tier",
    method="DELETE",
    path="/tiers/{name}",
    access=Access.OPERATOR,
    summary="Delete a tier that nothing uses.",
    status=204,
    shows="list_tiers",
)
LIST_PRICING: Final = get(
    "list_pricing",
    "/pricing",
    Access.OPERATOR,
    "List of each model what the installed list says of its price, and the prices that are to come.",
    list[ModelPricing],
)
RESEAL: Final = Operation(
    id="reseal_credentials",
    method="POST",
    path="/credentials/reseal",
    access=Access.OPERATOR,
    summary="Seal all credentials, and the secrets of authenticator apps, with the newest master key.",
    answer=Resealed,
    query=(DRY_RUN,),
)

OPERATIONS: Final = (LIST_GROUP_USES, DELETE_GROUP, LIST_TIER_USES, DELETE_TIER, LIST_PRICING, RESEAL)
