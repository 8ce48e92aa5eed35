"""Operations on redemption codes."""

from typing import Final

from trunkline.policy.access import Access
from trunkline.policy.admin_credit import CodeBatch, CreatedCodes, NewCodes, Redeemed, RedemptionRequest
from trunkline.policy.operations.operation import Operation, get

LIST: Final = get(
    "list_codes",
    "/codes",
    Access.OPERATOR,
    "List batches of codes, the newest first (never the codes).",
    list[CodeBatch],
)
CREATE: Final = Operation(
    id="create_codes",
    method="POST",
    path="/codes",
    access=Access.OPERATOR,
    summary="Make codes; they are in the answer, this once.",
    body=NewCodes,
    answer=CreatedCodes,
    status=201,
)
WITHDRAW: Final = Operation(
    id="withdraw_codes",
    method="POST",
    path="/codes/{batch:[0-9]+}/withdraw",
    access=Access.OPERATOR,
    summary="Let no code of a batch be redeemed any more; what was redeemed stays.",
    answer=CodeBatch,
)
REDEEM: Final = Operation(
    id="redeem_code",
    method="POST",
    path="/accounts/{account}/redemptions",
    access=Access.MONEY_WRITE,
    summary="Redeem a code for an account.",
    body=RedemptionRequest,
    answer=Redeemed,
    shows="show_account",
)

OPERATIONS: Final = (LIST, CREATE, WITHDRAW, REDEEM)
