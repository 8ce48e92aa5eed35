"""New API's users and tokens as accounts, users and keys. Called by `policy.imports.new_api`.

Each user pays for itself there, so each becomes an account with one user. Secrets of tokens cannot be taken over: keys
here have a checksum that those lack, so each key gets a new one.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from trunkline.policy import configuration_values as values
from trunkline.policy.configuration import DEFAULT_GROUP
from trunkline.policy.imports import tolerant
from trunkline.policy.imports.new_api_channels import ENABLED
from trunkline.policy.imports.remarks import RemarkList

_NEVER: Final = -1
_CHOSEN: Final = "auto"
"""A token's group that New API chooses for each request."""

_YEAR_9999_S: Final = 253_370_764_800

_USER_READ: Final = frozenset(
    {
        *("id", "username", "status", "quota", "group", "deleted_at", "DeletedAt"),
        *("used_quota", "request_count", "created_at", "last_login_at", "role", "display_name"),
        *("aff_code", "aff_count", "aff_quota", "aff_history_quota", "aff_history", "inviter_id", "remark", "setting"),
        *("password", "access_token", "original_password", "verification_code", "auth_version"),
    }
)

_TOKEN_READ: Final = frozenset(
    {
        *("id", "user_id", "key", "status", "name", "expired_time", "remain_quota", "unlimited_quota", "group"),
        *("model_limits_enabled", "model_limits", "allow_ips", "deleted_at", "DeletedAt"),
        *("created_time", "accessed_time", "used_quota", "cross_group_retry", "billing_type"),
    }
)


class AccountReader:
    """Reads users with their tokens.

    Args:
        remarks: receives what became of them.
        quota_per_usd: what one USD is in quota.
        mint: makes a key's secret.
        now_ms: Unix time in milliseconds: what has expired is left out.
    """

    def __init__(self, remarks: RemarkList, quota_per_usd: Decimal, mint: Callable[[], str], now_ms: int) -> None:
        self._remarks = remarks
        self._quota_per_usd = quota_per_usd
        self._mint = mint
        self._now_ms = now_ms
        self._names = tolerant.UniqueNames()

    def read(self, users: Sequence[Mapping[str, Any]], tokens: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return the accounts."""
        by_user: dict[int, list[tuple[str, Mapping[str, Any]]]] = {}
        for number, token in enumerate(tokens):
            owner = tolerant.whole(token.get("user_id"), 0, 2**62) or 0
            by_user.setdefault(owner, []).append((f"tokens[{number}]", token))
        accounts = []
        for number, user in enumerate(users):
            own = by_user.pop(tolerant.whole(user.get("id"), 0, 2**62) or 0, [])
            account = self._account(user, own, f"users[{number}]")
            if account is not None:
                accounts.append(account)
        for place, _ in (one for orphans in by_user.values() for one in orphans):
            self._remarks.left_out(place, "belongs to no user of the export")
        if accounts:
            self._remarks.changed(
                "users", "passwords and e-mail addresses are not taken over: people sign up, or are invited, anew"
            )
        if any(account.get("keys") for account in accounts):
            self._remarks.changed(
                "tokens",
                "every key has a new secret, in this configuration: New API's have no checksum and are refused here. "
                "Give them to their users, then delete the file",
            )
        return accounts

    def _account(
        self, user: Mapping[str, Any], tokens: Sequence[tuple[str, Mapping[str, Any]]], place: str
    ) -> dict[str, Any] | None:
        if user.get("deleted_at") or user.get("DeletedAt"):
            self._remarks.left_out(place, "is deleted")
            return None
        if tolerant.whole(user.get("status", ENABLED), 0, 9) != ENABLED:
            self._remarks.left_out(place, "is turned off; its tokens are left out with it")
            return None
        written = tolerant.text(user.get("username"))
        name = self._names.take(tolerant.tidy_name(written, "user"))
        if name != written:
            self._remarks.changed(f"{place}.username", f"{name}: names are unique, and without slashes")
        account: dict[str, Any] = {"name": name, "users": [{"name": name}]}
        if credit := self._credit(user, place):
            account["credit"] = credit
        group = _group(user.get("group")) or DEFAULT_GROUP
        names = tolerant.UniqueNames()
        keys = [key for here, token in tokens if (key := self._key(token, here, name, group, names)) is not None]
        if keys:
            account["keys"] = keys
        groups = sorted({DEFAULT_GROUP, group, *(each for key in keys for each in key["groups"])})
        if groups != [DEFAULT_GROUP]:
            account["groups"] = groups
        self._remarks.taken(place, f"account {name} with {len(keys)} keys")
        self._remarks.others(place, user, _USER_READ, "belong to how people sign in, or have no counterpart")
        return account

    def _credit(self, user: Mapping[str, Any], place: str) -> int | float | None:
        quota = tolerant.number(user.get("quota")) or Decimal(0)
        usd = quota / self._quota_per_usd
        if usd < 0:
            self._remarks.changed(f"{place}.quota", "0 USD: an account begins without debts")
            return None
        credit = tolerant.amount(usd) if usd <= values.AMOUNT_USD_MAX else None
        if credit is None:
            self._remarks.left_out(f"{place}.quota", f"is more than {values.AMOUNT_USD_MAX} USD")
        elif credit:
            self._remarks.taken(f"{place}.quota", f"a credit of {credit} USD")
        return credit

    def _key(
        self, token: Mapping[str, Any], place: str, user: str, group: str, names: tolerant.UniqueNames
    ) -> dict[str, Any] | None:
        if token.get("deleted_at") or token.get("DeletedAt"):
            self._remarks.left_out(place, "is deleted")
            return None
        if tolerant.whole(token.get("status", ENABLED), 0, 9) != ENABLED:
            self._remarks.left_out(place, "is turned off, used up or expired")
            return None
        written = tolerant.text(token.get("name"))
        name = names.take(tolerant.tidy_name(written, "key"))
        key: dict[str, Any] = {"name": name, "secret": self._mint(), "user": user}
        expires_s = tolerant.whole(token.get("expired_time", _NEVER), _NEVER, _YEAR_9999_S)
        if expires_s is not None and expires_s != _NEVER:
            if expires_s * 1000 <= self._now_ms:
                self._remarks.left_out(place, "has expired")
                return None
            key["expires"] = dt.datetime.fromtimestamp(expires_s, dt.UTC).isoformat()
        key["groups"] = [self._key_group(token, place, group)]
        limited = tolerant.truth(token.get("model_limits_enabled"))
        models = [model for model in tolerant.parts(token.get("model_limits")) if self._is_model(model, place)]
        if limited and not models:
            self._remarks.left_out(place, "may use no model that can be named here")
            return None
        if limited:
            key["models"] = models
        if networks := self._networks(token, place):
            key["allow_ips"] = networks
        if not tolerant.truth(token.get("unlimited_quota")):
            self._remarks.left_out(
                f"{place}.remain_quota", "keys have budgets by day and month: set one if the key is to be bounded"
            )
        self._remarks.taken(place, f"key {user}/{name}, with a new secret")
        self._remarks.others(place, token, _TOKEN_READ, "have no counterpart")
        return key

    def _key_group(self, token: Mapping[str, Any], place: str, group: str) -> str:
        written = _group(token.get("group"))
        if written == _CHOSEN:
            self._remarks.changed(f"{place}.group", f"{group}: the user's, since a key names its groups")
            return group
        return written or group

    def _is_model(self, model: str, place: str) -> bool:
        try:
            values.check_model_name(model)
        except ValueError as error:
            self._remarks.left_out(f"{place}.model_limits", f"a model's name {error}")
            return False
        return True

    def _networks(self, token: Mapping[str, Any], place: str) -> list[str]:
        networks = []
        for line in tolerant.text(token.get("allow_ips")).replace(",", "\n").splitlines():
            if not line.strip():
                continue
            try:
                networks.append(values.normal_network(line.strip()))
            except ValueError as error:
                self._remarks.to_do(f"{place}.allow_ips", f"a line {error}; until you add it, it is not allowed")
        return networks


def _group(value: object) -> str:
    name = tolerant.text(value)
    try:
        values.check_name(name)
    except ValueError:
        return ""
    return name
