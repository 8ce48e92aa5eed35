"""What the admin API and its clients say to each other of the ledger and of credit; the rest is in `policy.admin_api`.

In requests money is USD, as in a configuration; in answers nano-USD.
"""

import datetime as dt
from decimal import Decimal
from typing import Any, Literal

import msgspec

from trunkline.policy.admin_accounts import HolderKind
from trunkline.policy.savings import CheaperModel, UnusedCache


class AdjustmentRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A correction of a wallet.

    Attributes:
        usd: how much; negative to take away.
        reference: names it; the same reference again books nothing, so a request can be repeated.
        corrects: reference of the transfer that it corrects.
    """

    usd: Decimal
    reference: str
    corrects: str | None = None


class RefundRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a job was charged, to be given back.

    Attributes:
        job: its id, as in ``x-request-id``.
        usd: how much; all of it if left out.
        reference: names it; made of the job if left out.
    """

    job: str
    usd: Decimal | None = None
    reference: str | None = None


class BookedTransfer(msgspec.Struct, frozen=True):
    """What became of a correction.

    Attributes:
        booked: now; False if it was there already.
        amount_nano: what came into the wallet, or, below zero, was taken from it.
        reference: its name.
        balance_nano: of the wallet.
    """

    booked: bool
    amount_nano: int
    reference: str
    balance_nano: int


class StatementLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One transfer to or from a wallet that no job has caused, or a refund of one.

    Attributes:
        occurred_at: when it was booked.
        kind: as in the ledger.
        amount_nano: below zero if it was taken away.
        reference: its name.
        corrects: job or reference of what it corrects.
    """

    occurred_at: dt.datetime
    kind: str
    amount_nano: int
    reference: str
    corrects: str | None = None


class TrialView(msgspec.Struct, frozen=True):
    """An account's free trial.

    Attributes:
        amount_nano: what it was given.
        granted_at: when.
        ends_at: when its days are over.
        ended_at: when what was left was taken back; None if that is still to come.
        taken_nano: what that was.
    """

    amount_nano: int
    granted_at: dt.datetime
    ends_at: dt.datetime
    ended_at: dt.datetime | None
    taken_nano: int | None


class LedgerFinding(msgspec.Struct, frozen=True):
    """Something that should be otherwise."""

    subject: str
    found: str
    expected: str


class LedgerStep(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the stream that a check or rebuild answers with. The last one is ``done``, or says why not.

    Attributes:
        step: what was looked at or made.
        findings: what is wrong there.
        count: of what was made.
        done: nothing follows.
        error: it could not go on.
    """

    step: str = ""
    findings: tuple[LedgerFinding, ...] = ()
    count: int = 0
    done: bool = False
    error: str = ""


class BookSum(msgspec.Struct, frozen=True):
    """All books of a kind together.

    Attributes:
        kind: as in the ledger.
        books: how many.
        balance_nano: of all of them; the sums of all kinds add up to zero.
        below_zero: how many of them are; of wallets: accounts that have spent more than they had.
    """

    kind: str
    books: int
    balance_nano: int
    below_zero: int


class ChannelBooks(msgspec.Struct, frozen=True):
    """What a channel has brought so far.

    Attributes:
        channel: its name; its number if it is gone.
        revenue_nano: what clients paid for its work, less refunds.
        cost_nano: what that work cost us.
    """

    channel: str
    revenue_nano: int
    cost_nano: int


class LedgerBooks(msgspec.Struct, frozen=True):
    """What the ledger's balances add up to.

    Attributes:
        kinds: of books.
        channels: those with the largest revenue first.
    """

    kinds: tuple[BookSum, ...]
    channels: tuple[ChannelBooks, ...]


class RefusedUsage(msgspec.Struct, frozen=True):
    """A usage event, or a message of them, that could not be settled because of its own content.

    Attributes:
        id: of the entry.
        refused_at: when.
        subject: of a message that is no batch of events; None for a single event.
        reason: why.
        bytes: of the message as it came, which is kept.
    """

    id: int
    refused_at: dt.datetime
    subject: str | None
    reason: str
    bytes: int


class PaymentView(msgspec.Struct, frozen=True):
    """A payment that a provider has announced.

    Attributes:
        provider, reference: name it.
        named: the account's name as the provider was told it.
        amount: in the smallest unit of the currency.
        currency: ISO 4217 code in lower case.
        reason: why it could not be booked by itself; None if it could.
        account: whose wallet it went to; None while it waits for a person.
        amount_nano: what it was worth.
        received_at: when it was announced first.
        booked_at: when it was booked.
    """

    provider: str
    reference: str
    named: str
    amount: int
    currency: str
    reason: str | None
    account: str | None
    amount_nano: int | None
    received_at: dt.datetime
    booked_at: dt.datetime | None


class PaymentAssignment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Whose a payment is that was kept aside.

    Attributes:
        account: name of the account.
        usd: what it is worth; may be left out of a payment in USD.
    """

    account: str
    usd: Decimal | None = None


class NewCodes(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Redemption codes to be made.

    Attributes:
        usd: what each is worth.
        count: how many.
        expires: when they end; never if left out.
        note: for people.
    """

    usd: Decimal
    count: int
    expires: dt.datetime | None = None
    note: str = ""


class CodeBatch(msgspec.Struct, frozen=True):
    """Codes that were made together.

    Attributes:
        id: of the batch.
        amount_nano: what each is worth.
        codes: how many there are.
        redeemed: how many of them are used.
        note: for people.
        created_at: when they were made.
        expires_at: when they end.
        withdrawn_at: since when none can be redeemed.
    """

    id: int
    amount_nano: int
    codes: int
    redeemed: int
    note: str
    created_at: dt.datetime
    expires_at: dt.datetime | None
    withdrawn_at: dt.datetime | None


class CreatedCodes(msgspec.Struct, frozen=True):
    """A batch with its codes, which are shown this once."""

    batch: CodeBatch
    codes: tuple[str, ...]


class RedemptionRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A code, as somebody typed it."""

    code: str


class Redeemed(msgspec.Struct, frozen=True):
    """What a code has brought.

    Attributes:
        redeemed: now; False if the account had redeemed it before.
        amount_nano: what it was worth.
        balance_nano: of the wallet.
    """

    redeemed: bool
    amount_nano: int
    balance_nano: int


class AlertsView(msgspec.Struct, frozen=True):
    """When an account's owners are told, and where, or where the site's operators are.

    Attributes:
        budget_percent, balance_below_nano, webhook, email: as in `policy.alerts.AlertTerms`.
        signing_secret: what its webhooks are signed with, for the receiver to verify them; None for those who may not
            change the alerts, since it lets its holder send some.
    """

    budget_percent: tuple[int, ...]
    balance_below_nano: int | None
    webhook: str | None
    email: tuple[str, ...]
    signing_secret: str | None


class DeliveryView(msgspec.Struct, frozen=True):
    """An alert's way to one address.

    Attributes:
        channel: ``webhook`` or ``email``.
        target: URL or address.
        state: ``waiting``, ``delivered`` or ``given up``.
        attempts: tries so far.
        delivered_at: when it arrived.
        error: of the last try.
    """

    channel: str
    target: str
    state: str
    attempts: int
    delivered_at: dt.datetime | None
    error: str | None


class AlertView(msgspec.Struct, frozen=True):
    """Something that people are told.

    Attributes:
        id: of the alert.
        kind: what has happened.
        subject: what it has happened to, by name.
        account: whose owners are told; None for the site's operators.
        payload: what there is to say of it.
        created_at: when.
        deliveries: one for each address.
    """

    id: int
    kind: str
    subject: str
    account: str | None
    payload: dict[str, Any]
    created_at: dt.datetime
    deliveries: tuple[DeliveryView, ...]


class SpentBudget(msgspec.Struct, frozen=True):
    """A budget with what was spent of it in the period that runs.

    Attributes:
        holder: what it hangs on.
        name: of the user or key; empty for the account itself.
        period: ``daily`` or ``monthly``.
        models: patterns of those that count; empty for all.
        limit_nano: the budget.
        spent_nano: what was settled of it; what runs still is not among it.
        refuses: what is left was too little for some request.
        until: when the period ends.
    """

    holder: HolderKind
    name: str
    period: Literal["daily", "monthly"]
    models: tuple[str, ...]
    limit_nano: int
    spent_nano: int
    refuses: bool
    until: dt.datetime


class Savings(msgspec.Struct, frozen=True):
    """Where an account could have paid less.

    Attributes:
        account: whose usage.
        month: ``2030-01``, in UTC.
        prices_at: when it was looked: with the prices that were in force then.
        note: what the figures do not say.
        cheaper: cheaper models of the same family, the largest saving first.
        caching: models whose provider's cache is not used, the largest saving first.
    """

    account: str
    month: str
    prices_at: dt.datetime
    note: str
    cheaper: tuple[CheaperModel, ...]
    caching: tuple[UnusedCache, ...]


class TopUp(msgspec.Struct, frozen=True):
    """Where an account's people can pay in.

    Attributes:
        page: the operator's page for this account; None if there is none, and codes are what is left.
    """

    page: str | None
