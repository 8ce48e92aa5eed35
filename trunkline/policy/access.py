"""Who may do what at the console: roles within an account, and operators of the site. Called by the console's shell.

An operation (`policy.operations`) names the access that it needs; `decide` says whether a caller has it. What a role
lets people do is one table here, and nothing else in the code asks for a role by name.
"""

import dataclasses
from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Access(StrEnum):
    """What an operation needs of its caller. All but the first three are about the account that its path names.

    Attributes:
        PUBLIC: nothing; anybody may call it.
        SIGNED_IN: a login; it answers of that login alone.
        OPERATOR: a login of the site's operators, or the admin key.
        ACCOUNT_READ: to see what the account is: its name, groups and models.
        KEYS_READ, KEYS_WRITE: its keys.
        USAGE_READ: what it has used.
        PLAY: to send requests from the playground, at the account's cost.
        MONEY_READ, MONEY_WRITE: its balance, entries and invoices; its top-ups, budgets and alerts.
        MEMBERS_READ, MEMBERS_WRITE: its users and their roles.
        ACCOUNT_WRITE: what only its owner may change.
    """

    PUBLIC = "public"
    SIGNED_IN = "signed_in"
    OPERATOR = "operator"
    ACCOUNT_READ = "account_read"
    KEYS_READ = "keys_read"
    KEYS_WRITE = "keys_write"
    USAGE_READ = "usage_read"
    PLAY = "play"
    MONEY_READ = "money_read"
    MONEY_WRITE = "money_write"
    MEMBERS_READ = "members_read"
    MEMBERS_WRITE = "members_write"
    ACCOUNT_WRITE = "account_write"


class Role(StrEnum):
    """What a user is in an account, from the least to the most."""

    VIEWER = "viewer"
    MEMBER = "member"
    ADMIN = "admin"
    OWNER = "owner"


class Standing(StrEnum):
    """Who somebody is to an account, from the least to the most: a role there, or an operator of the site."""

    VIEWER = Role.VIEWER
    MEMBER = Role.MEMBER
    ADMIN = Role.ADMIN
    OWNER = Role.OWNER
    OPERATOR = "operator"

    def reaches(self, other: "Standing") -> bool:
        """Return whether this is no less than another."""
        everybody = list(Standing)
        return everybody.index(self) >= everybody.index(other)


class Scope(StrEnum):
    """How far an access reaches: what belongs to the caller's own user, or all of the account."""

    OWN = "own"
    ALL = "all"


_READER: Final = {
    Access.ACCOUNT_READ: Scope.ALL,
    Access.KEYS_READ: Scope.ALL,
    Access.USAGE_READ: Scope.ALL,
    Access.MONEY_READ: Scope.ALL,
    Access.MEMBERS_READ: Scope.ALL,
}
_ADMIN: Final = {
    **_READER,
    Access.KEYS_WRITE: Scope.ALL,
    Access.PLAY: Scope.ALL,
    Access.MONEY_WRITE: Scope.ALL,
    Access.MEMBERS_WRITE: Scope.ALL,
}

ROLES: Final[Mapping[Role, Mapping[Access, Scope]]] = {
    # For those who audit: everything is to be seen, nothing to be spent.
    Role.VIEWER: _READER,
    # For those who work with models: what others of the account do is none of their business.
    Role.MEMBER: {
        Access.ACCOUNT_READ: Scope.ALL,
        Access.KEYS_READ: Scope.OWN,
        Access.KEYS_WRITE: Scope.OWN,
        Access.USAGE_READ: Scope.OWN,
        Access.PLAY: Scope.OWN,
    },
    Role.ADMIN: _ADMIN,
    Role.OWNER: {**_ADMIN, Access.ACCOUNT_WRITE: Scope.ALL},
}


@dataclasses.dataclass(frozen=True)
class Place:
    """What a login is in one account.

    Attributes:
        role: see there.
        user: name of its user within the account.
    """

    role: Role
    user: str


@dataclasses.dataclass(frozen=True)
class Caller:
    """Who calls the console.

    Attributes:
        name: of the login; ``admin key`` for whoever has that.
        login: its id; None for the admin key.
        operator: whether it may do everything.
        places: by account, the accounts that it is a user of.
    """

    name: str
    login: int | None
    operator: bool
    places: Mapping[str, Place]

    def standing(self, account: str) -> Standing:
        """Return who the caller is to an account: nobody gives or takes what is above that.

        Raises:
            KeyError: they are nobody there.
        """
        return Standing.OPERATOR if self.operator else Standing(self.places[account].role)

    def covers(self, other: "Caller") -> bool:
        """Return whether this caller may do all that another one may."""
        return self.operator or (
            not other.operator
            and all(
                account in self.places
                and self.places[account].user == place.user
                and self.standing(account).reaches(other.standing(account))
                for account, place in other.places.items()
            )
        )


ADMIN_KEY: Final = Caller(name="admin key", login=None, operator=True, places={})


class Refusal(StrEnum):
    """Why a caller may not.

    Attributes:
        NOT_SIGNED_IN: nobody is known to call.
        NO_ACCOUNT: the account is none of theirs; whether there is one of that name is not told.
        NOT_ALLOWED: their role does not reach so far.
    """

    NOT_SIGNED_IN = "not_signed_in"
    NO_ACCOUNT = "no_account"
    NOT_ALLOWED = "not_allowed"


@dataclasses.dataclass(frozen=True)
class Grant:
    """A caller may.

    Attributes:
        own_user: name of the user whose things alone they are to see and change; None for all of the account.
    """

    own_user: str | None = None


def decide(caller: Caller | None, access: Access, account: str | None) -> Grant | Refusal:
    """Say whether a caller may do what needs an access.

    Args:
        caller: None if nobody is known to call.
        access: that the operation needs.
        account: that its path names, if it names one.
    """
    if access is Access.PUBLIC:
        return Grant()
    if caller is None:
        return Refusal.NOT_SIGNED_IN
    if access is Access.SIGNED_IN:
        # The admin key is nobody's: there is no profile and no session behind it.
        return Refusal.NOT_ALLOWED if caller.login is None else Grant()
    if caller.operator:
        return Grant()
    if access is Access.OPERATOR or account is None:
        return Refusal.NOT_ALLOWED
    place = caller.places.get(account)
    if place is None:
        return Refusal.NO_ACCOUNT
    scope = ROLES[place.role].get(access)
    if scope is None:
        return Refusal.NOT_ALLOWED
    return Grant(own_user=place.user if scope is Scope.OWN else None)
