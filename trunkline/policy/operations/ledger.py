"""Operations on the ledger: corrections of wallets, statements, and checks of the whole."""

from typing import Final

from trunkline.policy.access import Access
from trunkline.policy.admin_credit import (
    AdjustmentRequest,
    BookedTransfer,
    LedgerBooks,
    LedgerStep,
    RefundRequest,
    RefusedUsage,
    StatementLine,
    TrialView,
)
from trunkline.policy.operations.operation import NDJSON, Operation, get

_ACCOUNT: Final = "/accounts/{account}"

STATEMENT: Final = get(
    "show_statement",
    f"{_ACCOUNT}/statement",
    Access.MONEY_READ,
    "Show what came into a wallet and was taken from it, beside the charges of requests.",
    list[StatementLine],
)
TRIAL: Final = get(
    "show_trial",
    f"{_ACCOUNT}/trial",
    Access.MONEY_READ,
    "Show an account's free trial, and when it ends.",
    TrialView,
)
ADJUST: Final = Operation(
    id="adjust_account",
    method="POST",
    path=f"{_ACCOUNT}/adjustments",
    access=Access.OPERATOR,
    summary="Correct an account's wallet, once for each reference.",
    body=AdjustmentRequest,
    answer=BookedTransfer,
    shows="show_account",
)
REFUND: Final = Operation(
    id="refund_job",
    method="POST",
    path=f"{_ACCOUNT}/refunds",
    access=Access.OPERATOR,
    summary="Give back what an account was charged for a request; once.",
    body=RefundRequest,
    answer=BookedTransfer,
    shows="show_account",
)
BOOKS: Final = get(
    "show_books",
    "/ledger/books",
    Access.OPERATOR,
    "Show what all books hold, by kind, and what each channel has brought.",
    LedgerBooks,
)
LIST_REFUSED: Final = get(
    "list_refused_usage",
    "/ledger/refused",
    Access.OPERATOR,
    "List usage that could not be settled because of its own content, the newest first.",
    list[RefusedUsage],
)
VERIFY: Final = Operation(
    id="verify_ledger",
    method="POST",
    path="/ledger/verify",
    access=Access.OPERATOR,
    summary="Recompute all that is projected from the ledger, and say what differs.",
    answer=LedgerStep,
    media=NDJSON,
    audited=False,
    long=True,
)
REBUILD: Final = Operation(
    id="rebuild_ledger",
    method="POST",
    path="/ledger/rebuild",
    access=Access.OPERATOR,
    summary="Make balances and spending anew from the transfers and the kept usage; settlement waits meanwhile.",
    answer=LedgerStep,
    media=NDJSON,
    long=True,
)

OPERATIONS: Final = (STATEMENT, TRIAL, ADJUST, REFUND, BOOKS, LIST_REFUSED, VERIFY, REBUILD)
