"""The admin API as the commands call it: a method for each operation that needs the admin key.

Made by `make docs` of docs/openapi.json. Do not edit.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from http.client import HTTPResponse
from typing import Any

from trunkline.cli.admin_client import AdminClient
from trunkline.policy.admin_accounts import (
    AccountChange,
    AccountView,
    CreatedKey,
    CreditRequest,
    CreditResult,
    KeyChange,
    KeyView,
    NewAccount,
    NewKey,
    NewUser,
    PlaceView,
    Rotation,
    UserChange,
    UserView,
)
from trunkline.policy.admin_api import (
    Applied,
    ChannelView,
    Comparison,
    ConfigurationFile,
    CredentialChange,
    CredentialView,
    HealthReport,
    ModelView,
    NewCredential,
    NewPrices,
    Offers,
    PriceVersionView,
    Rebuilt,
    Refreshed,
    UsageRow,
)
from trunkline.policy.admin_audit import AuditPage
from trunkline.policy.admin_credit import (
    AdjustmentRequest,
    AlertsView,
    AlertView,
    BookedTransfer,
    CodeBatch,
    CreatedCodes,
    LedgerBooks,
    LedgerStep,
    NewCodes,
    PaymentAssignment,
    PaymentView,
    Redeemed,
    RedemptionRequest,
    RefundRequest,
    RefusedUsage,
    Savings,
    SpentBudget,
    StatementLine,
    TopUp,
    TrialView,
)
from trunkline.policy.admin_explain import JobExplained, RoutePlan, RouteQuestion
from trunkline.policy.admin_health import CredentialStateView, HistoryRow
from trunkline.policy.admin_identity import (
    CreatedLogin,
    LoginChange,
    LoginLink,
    LoginView,
    MemberChange,
    MemberRemoved,
    NewLogin,
    NewMember,
    SessionsEnded,
)
from trunkline.policy.admin_imports import ImportPreview, ImportRequest
from trunkline.policy.admin_live import LiveNow
from trunkline.policy.admin_probes import ChannelTest, ChannelTested, DiscoveredModels
from trunkline.policy.admin_square import ModelSquare
from trunkline.policy.admin_supply import GroupUses, ModelPricing, Resealed, TierUses
from trunkline.policy.admin_usage import UsageAttempts, UsageBreakdown, UsageOverview, UsageRequest
from trunkline.policy.announcements import Announcement, AnnouncementChange, NewAnnouncement
from trunkline.policy.configuration import (
    AlertsEntry,
    BudgetsEntry,
    ChannelEntry,
    Configuration,
    GroupEntry,
    ModelEntry,
    Names,
    TierEntry,
)
from trunkline.policy.configuration_text import ConfigurationText
from trunkline.policy.entities import Group, Tier
from trunkline.policy.invoices import BillingDetails, InvoiceSummary
from trunkline.policy.logins.registration import RegistrationSettings
from trunkline.policy.meters import Budgets, Limits


class Client(AdminClient):
    """Calls one console. Each method raises a CLIError with the console's own words if it refuses."""

    def list_accounts(
        self, *, search: str | None = None, after: str | None = None, limit: int | None = None
    ) -> list[AccountView]:
        """List accounts in the order of their names."""
        query = {"search": search, "after": after, "limit": limit}
        return self.read(list[AccountView], "GET", "accounts", query=query)

    def create_account(self, body: NewAccount) -> AccountView:
        """Make an account."""
        return self.read(AccountView, "POST", "accounts", body=body)

    def show_account(self, account: str) -> AccountView:
        """Show an account with its balance."""
        return self.read(AccountView, "GET", "accounts", account)

    def change_account(self, account: str, body: AccountChange) -> AccountView:
        """Change an account's time zone; operators change its tier and groups, too."""
        return self.read(AccountView, "PATCH", "accounts", account, body=body)

    def show_place(self, account: str) -> PlaceView:
        """Show what an account is to all of its users: its tier, limits and groups, and nothing of its money."""
        return self.read(PlaceView, "GET", "accounts", account, "place")

    def credit_account(self, account: str, body: CreditRequest) -> CreditResult:
        """Grant credit to an account, once for each reference."""
        return self.read(CreditResult, "POST", "accounts", account, "credit", body=body)

    def list_alerts(self, *, account: str | None = None) -> list[AlertView]:
        """List alerts with their way to each address, the newest first."""
        query = {"account": account}
        return self.read(list[AlertView], "GET", "alerts", query=query)

    def show_site_alerts(self) -> AlertsView:
        """Show where the site's operators are told."""
        return self.read(AlertsView, "GET", "alerts", "terms")

    def test_site_alerts(self) -> AlertView:
        """Send a test to every address of the site."""
        return self.read(AlertView, "POST", "alerts", "test")

    def show_account_alerts(self, account: str) -> AlertsView:
        """Show when and where an account's owners are told."""
        return self.read(AlertsView, "GET", "accounts", account, "alerts")

    def put_account_alerts(self, account: str, body: AlertsEntry) -> AlertsView:
        """Replace all alerts of an account."""
        return self.read(AlertsView, "PUT", "accounts", account, "alerts", body=body)

    def list_account_alerts(self, account: str) -> list[AlertView]:
        """List what an account's owners were told of late, the newest first, and whether it arrived."""
        return self.read(list[AlertView], "GET", "accounts", account, "alerts", "history")

    def test_account_alerts(self, account: str) -> AlertView:
        """Send a test to every address of an account."""
        return self.read(AlertView, "POST", "accounts", account, "alerts", "test")

    def list_announcements(self) -> list[Announcement]:
        """List all announcements, the newest first."""
        return self.read(list[Announcement], "GET", "announcements")

    def create_announcement(self, body: NewAnnouncement) -> Announcement:
        """Announce something."""
        return self.read(Announcement, "POST", "announcements", body=body)

    def show_announcement(self, id_: int) -> Announcement:
        """Show an announcement."""
        return self.read(Announcement, "GET", "announcements", id_)

    def change_announcement(self, id_: int, body: AnnouncementChange) -> Announcement:
        """Change what is given of an announcement; everything else stays."""
        return self.read(Announcement, "PATCH", "announcements", id_, body=body)

    def delete_announcement(self, id_: int) -> None:
        """Delete an announcement for good."""
        self.send("DELETE", "announcements", id_)

    def list_audit(
        self,
        *,
        account: str | None = None,
        actor: str | None = None,
        operation: str | None = None,
        since: str | None = None,
        until: str | None = None,
        before: int | None = None,
    ) -> AuditPage:
        """List who has changed what, newest first."""
        query = {
            "account": account,
            "actor": actor,
            "operation": operation,
            "since": since,
            "until": until,
            "before": before,
        }
        return self.read(AuditPage, "GET", "audit", query=query)

    def list_account_audit(
        self,
        account: str,
        *,
        actor: str | None = None,
        operation: str | None = None,
        since: str | None = None,
        until: str | None = None,
        before: int | None = None,
    ) -> AuditPage:
        """List who has changed what of an account, newest first."""
        query = {"actor": actor, "operation": operation, "since": since, "until": until, "before": before}
        return self.read(AuditPage, "GET", "accounts", account, "audit", query=query)

    def list_invoices(self, account: str) -> list[InvoiceSummary]:
        """List the months in which something was booked, the newest first."""
        return self.read(list[InvoiceSummary], "GET", "accounts", account, "invoices")

    def show_invoice(
        self, account: str, month: str, *, language: str | None = None
    ) -> AbstractContextManager[HTTPResponse]:
        """Make the invoice of a month, such as 2030-01, as a PDF."""
        query = {"language": language}
        return self.opened("GET", "accounts", account, "invoices", month, query=query)

    def show_billing(self, account: str) -> BillingDetails:
        """Show whom an account's invoices are made out to."""
        return self.read(BillingDetails, "GET", "accounts", account, "billing")

    def set_billing(self, account: str, body: BillingDetails) -> BillingDetails:
        """Say whom an account's invoices are made out to, those of past months, too."""
        return self.read(BillingDetails, "PUT", "accounts", account, "billing", body=body)

    def show_top_up(self, account: str) -> TopUp:
        """Show where an account's people can pay in."""
        return self.read(TopUp, "GET", "accounts", account, "top-up")

    def list_channels(self) -> list[ChannelView]:
        """List all channels."""
        return self.read(list[ChannelView], "GET", "channels")

    def show_channel(self, name: str) -> ChannelView:
        """Show a channel, without the secrets of its credentials."""
        return self.read(ChannelView, "GET", "channels", name)

    def put_channel(self, name: str, body: ChannelEntry) -> ChannelView:
        """Make a channel, or replace it."""
        return self.read(ChannelView, "PUT", "channels", name, body=body)

    def delete_channel(self, name: str) -> None:
        """Delete a channel with its credentials."""
        self.send("DELETE", "channels", name)

    def enable_channel(self, name: str) -> ChannelView:
        """Let a channel take jobs."""
        return self.read(ChannelView, "POST", "channels", name, "enable")

    def disable_channel(self, name: str) -> ChannelView:
        """Keep jobs and probes from a channel; what runs goes on."""
        return self.read(ChannelView, "POST", "channels", name, "disable")

    def drain_channel(self, name: str) -> ChannelView:
        """Give a channel no new jobs; what runs goes on, and probes, too."""
        return self.read(ChannelView, "POST", "channels", name, "drain")

    def undrain_channel(self, name: str) -> ChannelView:
        """Give a drained channel jobs again."""
        return self.read(ChannelView, "POST", "channels", name, "undrain")

    def add_credential(self, name: str, body: NewCredential) -> CredentialView:
        """Store an upstream secret of a channel; one that it has already gets the weight and limits (200)."""
        return self.read(CredentialView, "POST", "channels", name, "credentials", body=body)

    def change_credential(self, name: str, id_: int, body: CredentialChange) -> CredentialView:
        """Change what is given of a credential's weight and limits; everything else stays."""
        return self.read(CredentialView, "PATCH", "channels", name, "credentials", id_, body=body)

    def delete_credential(self, name: str, id_: int) -> None:
        """Delete a credential of a channel."""
        self.send("DELETE", "channels", name, "credentials", id_)

    def list_codes(self) -> list[CodeBatch]:
        """List batches of codes, the newest first (never the codes)."""
        return self.read(list[CodeBatch], "GET", "codes")

    def create_codes(self, body: NewCodes) -> CreatedCodes:
        """Make codes; they are in the answer, this once."""
        return self.read(CreatedCodes, "POST", "codes", body=body)

    def withdraw_codes(self, batch: int) -> CodeBatch:
        """Let no code of a batch be redeemed any more; what was redeemed stays."""
        return self.read(CodeBatch, "POST", "codes", batch, "withdraw")

    def redeem_code(self, account: str, body: RedemptionRequest) -> Redeemed:
        """Redeem a code for an account."""
        return self.read(Redeemed, "POST", "accounts", account, "redemptions", body=body)

    def explain_routing(self, body: RouteQuestion) -> RoutePlan:
        """Say who would serve a job now, in which order, and who would not and why."""
        return self.read(RoutePlan, "POST", "explain", body=body)

    def explain_job(self, request: str) -> JobExplained:
        """Say what became of a request, by its id, and who would serve it now."""
        return self.read(JobExplained, "GET", "explain", request)

    def export_usage(
        self,
        *,
        format_: str | None = None,
        account: str | None = None,
        user: str | None = None,
        key: str | None = None,
        model: str | None = None,
        group: str | None = None,
        outcome: str | None = None,
        errors: bool | None = None,
        channel: str | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> AbstractContextManager[HTTPResponse]:
        """Write what is kept of each attempt to a file, money in nano-USD."""
        query = {
            "format": format_,
            "account": account,
            "user": user,
            "key": key,
            "model": model,
            "group": group,
            "outcome": outcome,
            "errors": errors,
            "channel": channel,
            "since": since,
            "until": until,
        }
        return self.opened("GET", "usage", "export", query=query)

    def list_credentials(self, *, refused: bool | None = None) -> list[CredentialStateView]:
        """List all credentials, and since when their providers refuse them."""
        query = {"refused": refused}
        return self.read(list[CredentialStateView], "GET", "credentials", query=query)

    def show_history(
        self, channel: str, *, by: str | None = None, model: str | None = None, since: str | None = None
    ) -> list[HistoryRow]:
        """Show what health saw of a channel, the newest first."""
        query = {"by": by, "model": model, "since": since}
        return self.read(list[HistoryRow], "GET", "history", channel, query=query)

    def first_operator_link(self) -> LoginLink:
        """Make the link by which somebody becomes the first operator; earlier ones end."""
        return self.read(LoginLink, "POST", "first-operator", "link")

    def preview_import(self, format_: str, body: ImportRequest) -> ImportPreview:
        """Show what a file of another gateway (litellm, new-api) would be here, and change nothing."""
        return self.read(ImportPreview, "POST", "import", format_, "preview", body=body)

    def list_all_keys(
        self, *, search: str | None = None, state: str | None = None, after: str | None = None, limit: int | None = None
    ) -> list[KeyView]:
        """List the keys of all accounts, in the order of accounts' and their own names."""
        query = {"search": search, "state": state, "after": after, "limit": limit}
        return self.read(list[KeyView], "GET", "keys", query=query)

    def list_keys(self, account: str) -> list[KeyView]:
        """List an account's keys."""
        return self.read(list[KeyView], "GET", "accounts", account, "keys")

    def create_key(self, account: str, body: NewKey) -> CreatedKey:
        """Make a key; its secret is in the answer, this once."""
        return self.read(CreatedKey, "POST", "accounts", account, "keys", body=body)

    def show_key(self, account: str, key: str) -> KeyView:
        """Show a key, without its secret."""
        return self.read(KeyView, "GET", "accounts", account, "keys", key)

    def change_key(self, account: str, key: str, body: KeyChange) -> KeyView:
        """Change what is given of a key; everything else stays."""
        return self.read(KeyView, "PATCH", "accounts", account, "keys", key, body=body)

    def delete_key(self, account: str, key: str) -> None:
        """Delete a key for good; not below who has blocked it."""
        self.send("DELETE", "accounts", account, "keys", key)

    def block_key(self, account: str, key: str) -> KeyView:
        """Refuse a key until it is unblocked."""
        return self.read(KeyView, "POST", "accounts", account, "keys", key, "block")

    def unblock_key(self, account: str, key: str) -> KeyView:
        """Accept a blocked key again; whoever stands below who has set the block may not."""
        return self.read(KeyView, "POST", "accounts", account, "keys", key, "unblock")

    def rotate_key(self, account: str, key: str, body: Rotation | None = None) -> CreatedKey:
        """Give a key a new secret; it is in the answer, this once."""
        return self.read(CreatedKey, "POST", "accounts", account, "keys", key, "rotate", body=body)

    def show_statement(self, account: str) -> list[StatementLine]:
        """Show what came into a wallet and was taken from it, beside the charges of requests."""
        return self.read(list[StatementLine], "GET", "accounts", account, "statement")

    def show_trial(self, account: str) -> TrialView:
        """Show an account's free trial, and when it ends."""
        return self.read(TrialView, "GET", "accounts", account, "trial")

    def adjust_account(self, account: str, body: AdjustmentRequest) -> BookedTransfer:
        """Correct an account's wallet, once for each reference."""
        return self.read(BookedTransfer, "POST", "accounts", account, "adjustments", body=body)

    def refund_job(self, account: str, body: RefundRequest) -> BookedTransfer:
        """Give back what an account was charged for a request; once."""
        return self.read(BookedTransfer, "POST", "accounts", account, "refunds", body=body)

    def show_books(self) -> LedgerBooks:
        """Show what all books hold, by kind, and what each channel has brought."""
        return self.read(LedgerBooks, "GET", "ledger", "books")

    def list_refused_usage(self) -> list[RefusedUsage]:
        """List usage that could not be settled because of its own content, the newest first."""
        return self.read(list[RefusedUsage], "GET", "ledger", "refused")

    def verify_ledger(self) -> Iterator[LedgerStep]:
        """Recompute all that is projected from the ledger, and say what differs."""
        return self.lines(LedgerStep, "POST", "ledger", "verify")

    def rebuild_ledger(self) -> Iterator[LedgerStep]:
        """Make balances and spending anew from the transfers and the kept usage; settlement waits meanwhile."""
        return self.lines(LedgerStep, "POST", "ledger", "rebuild")

    def live(self) -> AbstractContextManager[HTTPResponse]:
        """Watch the site: an event `history` with the last two minutes, then an event `now` each second."""
        return self.opened("GET", "live")

    def live_now(self) -> LiveNow:
        """Show the site as it is now, once."""
        return self.read(LiveNow, "GET", "live", "now")

    def list_logins(
        self, *, search: str | None = None, state: str | None = None, after: str | None = None, limit: int | None = None
    ) -> list[LoginView]:
        """List logins in the order of their names, a page at a time."""
        query = {"search": search, "state": state, "after": after, "limit": limit}
        return self.read(list[LoginView], "GET", "logins", query=query)

    def create_login(self, body: NewLogin) -> CreatedLogin:
        """Make a login; the answer has the link by which its person chooses a password, this once."""
        return self.read(CreatedLogin, "POST", "logins", body=body)

    def show_login(self, login: str) -> LoginView:
        """Show a login."""
        return self.read(LoginView, "GET", "logins", login)

    def change_login(self, login: str, body: LoginChange) -> LoginView:
        """Change what is given of a login: name, address, or whether it is an operator."""
        return self.read(LoginView, "PATCH", "logins", login, body=body)

    def delete_login(self, login: str, *, withdraw_keys: bool | None = None) -> None:
        """Delete a login; users that it was stay in their accounts, without one."""
        query = {"withdraw_keys": withdraw_keys}
        self.send("DELETE", "logins", login, query=query)

    def list_login_keys(self, login: str) -> list[KeyView]:
        """List a login's keys in all accounts: those of its users, and those whose secret it was shown."""
        return self.read(list[KeyView], "GET", "logins", login, "keys")

    def approve_login(self, login: str) -> LoginView:
        """Let a registered login in, with an account of its own."""
        return self.read(LoginView, "POST", "logins", login, "approve")

    def block_login(self, login: str, *, withdraw_keys: bool | None = None) -> LoginView:
        """Refuse a login until it is unblocked; its sessions end."""
        query = {"withdraw_keys": withdraw_keys}
        return self.read(LoginView, "POST", "logins", login, "block", query=query)

    def unblock_login(self, login: str) -> LoginView:
        """Accept a blocked login again."""
        return self.read(LoginView, "POST", "logins", login, "unblock")

    def link_login(self, login: str) -> LoginLink:
        """Make a link that sets a password once; earlier ones end."""
        return self.read(LoginLink, "POST", "logins", login, "link")

    def remove_second_factor(self, login: str) -> LoginView:
        """Take the app and the recovery codes off a login; its sessions end."""
        return self.read(LoginView, "POST", "logins", login, "remove-second-factor")

    def end_sessions(self, login: str) -> SessionsEnded:
        """End all sessions of a login."""
        return self.read(SessionsEnded, "POST", "logins", login, "end-sessions")

    def show_registration(self) -> RegistrationSettings:
        """Show who may register, and how."""
        return self.read(RegistrationSettings, "GET", "registration")

    def set_registration(self, body: RegistrationSettings) -> RegistrationSettings:
        """Set who may register, and what they get; what is left out is as in the beginning."""
        return self.read(RegistrationSettings, "PUT", "registration", body=body)

    def add_member(self, account: str, body: NewMember) -> UserView:
        """Make a login a user of the account."""
        return self.read(UserView, "POST", "accounts", account, "members", body=body)

    def change_member(self, account: str, user: str, body: MemberChange) -> UserView:
        """Give a user's login another role."""
        return self.read(UserView, "PATCH", "accounts", account, "members", user, body=body)

    def remove_member(self, account: str, user: str, *, withdraw_keys: bool | None = None) -> MemberRemoved:
        """Take a user's login out of the account; the user stays, its keys are blocked."""
        query = {"withdraw_keys": withdraw_keys}
        return self.read(MemberRemoved, "DELETE", "accounts", account, "members", user, query=query)

    def list_member_keys(self, account: str, user: str) -> list[KeyView]:
        """List the account's keys of a login: those of its user, and those whose secret it was shown."""
        return self.read(list[KeyView], "GET", "accounts", account, "members", user, "keys")

    def list_models(self) -> list[ModelView]:
        """List all models."""
        return self.read(list[ModelView], "GET", "models")

    def show_model(self, name: str) -> ModelView:
        """Show a model's prices, who serves it, and its routing."""
        return self.read(ModelView, "GET", "models", name)

    def put_model(self, name: str, body: ModelEntry) -> ModelView:
        """Make a model, or replace it."""
        return self.read(ModelView, "PUT", "models", name, body=body)

    def delete_model(self, name: str) -> None:
        """Delete a model that no channel serves."""
        self.send("DELETE", "models", name)

    def list_groups(self) -> list[Group]:
        """List all groups."""
        return self.read(list[Group], "GET", "groups")

    def put_group(self, name: str, body: GroupEntry) -> list[Group]:
        """Make a group, or replace it; answers with all groups."""
        return self.read(list[Group], "PUT", "groups", name, body=body)

    def delete_group(self, name: str) -> None:
        """Delete a group that nothing uses."""
        self.send("DELETE", "groups", name)

    def list_tiers(self) -> list[Tier]:
        """List all tiers."""
        return self.read(list[Tier], "GET", "tiers")

    def put_tier(self, name: str, body: TierEntry) -> list[Tier]:
        """Make a tier, or replace it; answers with all tiers."""
        return self.read(list[Tier], "PUT", "tiers", name, body=body)

    def delete_tier(self, name: str) -> None:
        """Delete a tier that nothing uses."""
        self.send("DELETE", "tiers", name)

    def list_payments(self, *, aside: bool | None = None) -> list[PaymentView]:
        """List payments, the newest first; amounts in the smallest unit of their currency."""
        query = {"aside": aside}
        return self.read(list[PaymentView], "GET", "payments", query=query)

    def assign_payment(self, provider: str, reference: str, body: PaymentAssignment) -> PaymentView:
        """Book a payment that was kept aside."""
        return self.read(PaymentView, "POST", "payments", provider, reference, "assign", body=body)

    def playground_chat(self, account: str, body: dict[str, Any]) -> AbstractContextManager[HTTPResponse]:
        """Send a request of Chat Completions at the account's cost; status, body and errors are the gateway's own."""
        return self.opened("POST", "accounts", account, "playground", "chat", body=body)

    def show_prices(self, name: str) -> list[PriceVersionView]:
        """Show a model's prices: those in force, those to come, and those that were."""
        return self.read(list[PriceVersionView], "GET", "models", name, "prices")

    def set_prices(self, name: str, body: NewPrices) -> list[PriceVersionView]:
        """Give a model new prices, all of them at once, now or from a moment on."""
        return self.read(list[PriceVersionView], "PUT", "models", name, "prices", body=body)

    def withdraw_prices(self, name: str, id_: int) -> None:
        """Take back prices that are not in force yet."""
        self.send("DELETE", "models", name, "prices", id_)

    def list_costs(self, name: str) -> list[PriceVersionView]:
        """Show what a channel's provider asks for its models: in force, to come, and past."""
        return self.read(list[PriceVersionView], "GET", "channels", name, "costs")

    def show_costs(self, name: str, model: str) -> list[PriceVersionView]:
        """Show what a channel's provider asks for one model: in force, to come, and past."""
        return self.read(list[PriceVersionView], "GET", "channels", name, "costs", model)

    def set_costs(self, name: str, model: str, body: NewPrices) -> list[PriceVersionView]:
        """Say what a channel's provider asks for a model, all of it at once, now or from a moment on."""
        return self.read(list[PriceVersionView], "PUT", "channels", name, "costs", model, body=body)

    def withdraw_costs(self, name: str, model: str, id_: int) -> None:
        """Take back costs that are not in force yet."""
        self.send("DELETE", "channels", name, "costs", model, id_)

    def refresh_prices(self, *, dry_run: bool | None = None) -> Refreshed:
        """Take the installed list's prices for all models that follow it; what was set by hand stays."""
        query = {"dry_run": dry_run}
        return self.read(Refreshed, "POST", "prices", "refresh", query=query)

    def compare_prices(self, *, account: str, month: str | None = None, models: str | None = None) -> Comparison:
        """Show what an account's usage of a month would have cost on other models."""
        query = {"account": account, "month": month, "models": models}
        return self.read(Comparison, "GET", "prices", "compare", query=query)

    def test_channel(self, channel: str, body: ChannelTest | None = None) -> ChannelTested:
        """Ask a channel's provider whether it works, with one credential; with a model this costs a token or so."""
        return self.read(ChannelTested, "POST", "channels", channel, "test", body=body)

    def discover_models(self, channel: str, *, credential: int | None = None) -> DiscoveredModels:
        """List what a channel's provider offers, and what of it the channel serves already."""
        query = {"credential": credential}
        return self.read(DiscoveredModels, "GET", "channels", channel, "discovered", query=query)

    def show_savings(self, account: str, *, month: str | None = None) -> Savings:
        """Show where an account could have paid less: cheaper models of the same family, caches that are not used."""
        query = {"month": month}
        return self.read(Savings, "GET", "accounts", account, "savings", query=query)

    def compare_account_prices(
        self, account: str, *, month: str | None = None, models: str | None = None
    ) -> Comparison:
        """Show what an account's usage of a month would have cost on the other models that it can call."""
        query = {"month": month, "models": models}
        return self.read(Comparison, "GET", "accounts", account, "prices", "compare", query=query)

    def list_spending(self, account: str) -> list[SpentBudget]:
        """List an account's budgets with what was spent of them in their present day or month."""
        return self.read(list[SpentBudget], "GET", "accounts", account, "spending")

    def list_account_models(self, account: str, *, group: str | None = None) -> ModelSquare:
        """List the models that an account's people can call, with their prices and how they fare."""
        query = {"group": group}
        return self.read(ModelSquare, "GET", "accounts", account, "models", query=query)

    def list_group_uses(self) -> list[GroupUses]:
        """List which channels, accounts and keys use each group."""
        return self.read(list[GroupUses], "GET", "group-uses")

    def list_tier_uses(self) -> list[TierUses]:
        """List which accounts and discounts use each tier."""
        return self.read(list[TierUses], "GET", "tier-uses")

    def list_pricing(self) -> list[ModelPricing]:
        """List of each model what the installed list says of its price, and the prices that are to come."""
        return self.read(list[ModelPricing], "GET", "pricing")

    def reseal_credentials(self, *, dry_run: bool | None = None) -> Resealed:
        """Seal all credentials, and the secrets of authenticator apps, with the newest master key."""
        query = {"dry_run": dry_run}
        return self.read(Resealed, "POST", "credentials", "reseal", query=query)

    def apply_configuration(self, body: Configuration, *, dry_run: bool | None = None) -> Applied:
        """Make the system hold what a configuration says; what it does not name is left alone."""
        query = {"dry_run": dry_run}
        return self.read(Applied, "POST", "apply", body=body, query=query)

    def read_configuration(self, body: ConfigurationFile) -> ConfigurationText:
        """Show what a configuration file in YAML or JSON says, for `apply_configuration`, and change nothing."""
        return self.read(ConfigurationText, "POST", "configuration", "read", body=body)

    def export_configuration(self, *, accounts: bool | None = None) -> AbstractContextManager[HTTPResponse]:
        """Write what there is as a configuration file, without secrets: applied here it changes nothing."""
        query = {"accounts": accounts}
        return self.opened("GET", "configuration", query=query)

    def show_offers(self) -> Offers:
        """Show the free trial of new accounts, and volume discounts."""
        return self.read(Offers, "GET", "offers")

    def list_names(self) -> Names:
        """List the names that a configuration may refer to."""
        return self.read(Names, "GET", "names")

    def rebuild_projection(self) -> Rebuilt:
        """Write every snapshot anew from the database, and delete those that should not be there."""
        return self.read(Rebuilt, "POST", "projection", "rebuild")

    def sum_usage(
        self,
        *,
        by: str | None = None,
        account: str | None = None,
        key: str | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> list[UsageRow]:
        """Sum up what was used, charged and paid."""
        query = {"by": by, "account": account, "key": key, "since": since, "until": until}
        return self.read(list[UsageRow], "GET", "usage", query=query)

    def show_health(self) -> HealthReport:
        """Show the state of what the console depends on, and the processes that it hears."""
        return self.read(HealthReport, "GET", "health")

    def show_account_limits(self, account: str) -> Limits:
        """Show the limits of an account."""
        return self.read(Limits, "GET", "accounts", account, "limits")

    def put_account_limits(self, account: str, body: Limits) -> Limits:
        """Replace all limits of an account."""
        return self.read(Limits, "PUT", "accounts", account, "limits", body=body)

    def show_user_limits(self, account: str, user: str) -> Limits:
        """Show the limits of a user."""
        return self.read(Limits, "GET", "accounts", account, "users", user, "limits")

    def put_user_limits(self, account: str, user: str, body: Limits) -> Limits:
        """Replace all limits of a user."""
        return self.read(Limits, "PUT", "accounts", account, "users", user, "limits", body=body)

    def show_key_limits(self, account: str, key: str) -> Limits:
        """Show the limits of a key."""
        return self.read(Limits, "GET", "accounts", account, "keys", key, "limits")

    def put_key_limits(self, account: str, key: str, body: Limits) -> Limits:
        """Replace all limits of a key."""
        return self.read(Limits, "PUT", "accounts", account, "keys", key, "limits", body=body)

    def show_tier_limits(self, name: str) -> Limits:
        """Show the limits of a tier."""
        return self.read(Limits, "GET", "tiers", name, "limits")

    def put_tier_limits(self, name: str, body: Limits) -> Limits:
        """Replace all limits of a tier."""
        return self.read(Limits, "PUT", "tiers", name, "limits", body=body)

    def show_group_limits(self, name: str) -> Limits:
        """Show the limits of a group."""
        return self.read(Limits, "GET", "groups", name, "limits")

    def put_group_limits(self, name: str, body: Limits) -> Limits:
        """Replace all limits of a group."""
        return self.read(Limits, "PUT", "groups", name, "limits", body=body)

    def show_account_budgets(self, account: str) -> Budgets:
        """Show the budgets of an account."""
        return self.read(Budgets, "GET", "accounts", account, "budgets")

    def put_account_budgets(self, account: str, body: BudgetsEntry) -> Budgets:
        """Replace all budgets of an account."""
        return self.read(Budgets, "PUT", "accounts", account, "budgets", body=body)

    def show_user_budgets(self, account: str, user: str) -> Budgets:
        """Show the budgets of a user."""
        return self.read(Budgets, "GET", "accounts", account, "users", user, "budgets")

    def put_user_budgets(self, account: str, user: str, body: BudgetsEntry) -> Budgets:
        """Replace all budgets of a user."""
        return self.read(Budgets, "PUT", "accounts", account, "users", user, "budgets", body=body)

    def show_key_budgets(self, account: str, key: str) -> Budgets:
        """Show the budgets of a key."""
        return self.read(Budgets, "GET", "accounts", account, "keys", key, "budgets")

    def put_key_budgets(self, account: str, key: str, body: BudgetsEntry) -> Budgets:
        """Replace all budgets of a key."""
        return self.read(Budgets, "PUT", "accounts", account, "keys", key, "budgets", body=body)

    def show_account_usage(
        self,
        account: str,
        *,
        user: str | None = None,
        key: str | None = None,
        model: str | None = None,
        group: str | None = None,
        outcome: str | None = None,
        errors: bool | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> UsageOverview:
        """Show what an account used in a span of time: sums, a series, and the span before."""
        query = {
            "user": user,
            "key": key,
            "model": model,
            "group": group,
            "outcome": outcome,
            "errors": errors,
            "since": since,
            "until": until,
        }
        return self.read(UsageOverview, "GET", "accounts", account, "usage", "overview", query=query)

    def break_down_account_usage(
        self,
        account: str,
        *,
        by: str | None = None,
        top: int | None = None,
        order: str | None = None,
        user: str | None = None,
        key: str | None = None,
        model: str | None = None,
        group: str | None = None,
        outcome: str | None = None,
        errors: bool | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> UsageBreakdown:
        """Show who or what used most in an account."""
        query = {
            "by": by,
            "top": top,
            "order": order,
            "user": user,
            "key": key,
            "model": model,
            "group": group,
            "outcome": outcome,
            "errors": errors,
            "since": since,
            "until": until,
        }
        return self.read(UsageBreakdown, "GET", "accounts", account, "usage", "breakdown", query=query)

    def list_account_attempts(
        self,
        account: str,
        *,
        user: str | None = None,
        key: str | None = None,
        model: str | None = None,
        group: str | None = None,
        outcome: str | None = None,
        errors: bool | None = None,
        job: str | None = None,
        since: str | None = None,
        until: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
    ) -> UsageAttempts:
        """List an account's attempts, the newest first."""
        query = {
            "user": user,
            "key": key,
            "model": model,
            "group": group,
            "outcome": outcome,
            "errors": errors,
            "job": job,
            "since": since,
            "until": until,
            "cursor": cursor,
            "limit": limit,
        }
        return self.read(UsageAttempts, "GET", "accounts", account, "usage", "attempts", query=query)

    def show_account_request(self, account: str, job: str) -> UsageRequest:
        """Show one request of an account, and what it was charged."""
        return self.read(UsageRequest, "GET", "accounts", account, "usage", "requests", job)

    def export_account_usage(
        self,
        account: str,
        *,
        format_: str | None = None,
        user: str | None = None,
        key: str | None = None,
        model: str | None = None,
        group: str | None = None,
        outcome: str | None = None,
        errors: bool | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> AbstractContextManager[HTTPResponse]:
        """Write what is kept of each attempt of an account to a file, money in nano-USD."""
        query = {
            "format": format_,
            "user": user,
            "key": key,
            "model": model,
            "group": group,
            "outcome": outcome,
            "errors": errors,
            "since": since,
            "until": until,
        }
        return self.opened("GET", "accounts", account, "usage", "export", query=query)

    def show_site_usage(
        self,
        *,
        account: str | None = None,
        user: str | None = None,
        key: str | None = None,
        model: str | None = None,
        group: str | None = None,
        outcome: str | None = None,
        errors: bool | None = None,
        channel: str | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> UsageOverview:
        """Show what all accounts used in a span of time: sums, a series, and the span before."""
        query = {
            "account": account,
            "user": user,
            "key": key,
            "model": model,
            "group": group,
            "outcome": outcome,
            "errors": errors,
            "channel": channel,
            "since": since,
            "until": until,
        }
        return self.read(UsageOverview, "GET", "usage", "overview", query=query)

    def break_down_site_usage(
        self,
        *,
        by: str | None = None,
        top: int | None = None,
        order: str | None = None,
        account: str | None = None,
        user: str | None = None,
        key: str | None = None,
        model: str | None = None,
        group: str | None = None,
        outcome: str | None = None,
        errors: bool | None = None,
        channel: str | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> UsageBreakdown:
        """Show who or what used most."""
        query = {
            "by": by,
            "top": top,
            "order": order,
            "account": account,
            "user": user,
            "key": key,
            "model": model,
            "group": group,
            "outcome": outcome,
            "errors": errors,
            "channel": channel,
            "since": since,
            "until": until,
        }
        return self.read(UsageBreakdown, "GET", "usage", "breakdown", query=query)

    def list_attempts(
        self,
        *,
        account: str | None = None,
        user: str | None = None,
        key: str | None = None,
        model: str | None = None,
        group: str | None = None,
        outcome: str | None = None,
        errors: bool | None = None,
        channel: str | None = None,
        job: str | None = None,
        since: str | None = None,
        until: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
    ) -> UsageAttempts:
        """List the attempts of all accounts, the newest first."""
        query = {
            "account": account,
            "user": user,
            "key": key,
            "model": model,
            "group": group,
            "outcome": outcome,
            "errors": errors,
            "channel": channel,
            "job": job,
            "since": since,
            "until": until,
            "cursor": cursor,
            "limit": limit,
        }
        return self.read(UsageAttempts, "GET", "usage", "attempts", query=query)

    def show_request(self, job: str) -> UsageRequest:
        """Show one request with all its attempts, what it was charged and what it cost."""
        return self.read(UsageRequest, "GET", "usage", "requests", job)

    def list_all_users(self) -> list[UserView]:
        """List the users of all accounts."""
        return self.read(list[UserView], "GET", "users")

    def list_users(self, account: str) -> list[UserView]:
        """List an account's users."""
        return self.read(list[UserView], "GET", "accounts", account, "users")

    def create_user(self, account: str, body: NewUser) -> UserView:
        """Make a user."""
        return self.read(UserView, "POST", "accounts", account, "users", body=body)

    def show_user(self, account: str, user: str) -> UserView:
        """Show a user."""
        return self.read(UserView, "GET", "accounts", account, "users", user)

    def rename_user(self, account: str, user: str, body: UserChange) -> UserView:
        """Give a user another name."""
        return self.read(UserView, "PATCH", "accounts", account, "users", user, body=body)

    def delete_user(self, account: str, user: str) -> None:
        """Delete a user who has no keys."""
        self.send("DELETE", "accounts", account, "users", user)
