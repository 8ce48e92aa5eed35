"""What the admin API and its clients say to each other of who signs in: logins, sessions, registration, members."""

import datetime as dt
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from trunkline.policy.access import Role
from trunkline.policy.logins.registration import LoginState


class Place(msgspec.Struct, frozen=True):
    """An account that a login is a user of."""

    name: str
    role: Role
    user: str


class OwnLogin(msgspec.Struct, frozen=True):
    """A login as the person behind it sees it.

    Attributes:
        totp: whether signing in needs a code of an app, too.
        password: whether it has one.
        elsewhere: whether it is known to the OpenID provider.
        recovery_codes_left: that are unused.
    """

    name: str
    email: str | None
    email_confirmed: bool
    operator: bool
    language: str | None
    totp: bool
    password: bool
    elsewhere: bool
    recovery_codes_left: int


class OIDCFeature(msgspec.Struct, frozen=True):
    """The provider that people may sign in with: what it is called, and where that begins, relative to the page."""

    name: str
    start: str


class Features(msgspec.Struct, frozen=True):
    """What this site offers.

    Attributes:
        registration: people may make logins for themselves.
        email: mails with links can be sent.
        password_reset: who has proved an address may ask for a link.
        oidc: see there; None for none.
    """

    registration: bool
    email: bool
    password_reset: bool
    oidc: OIDCFeature | None


class SessionView(msgspec.Struct, frozen=True):
    """Who is signed in."""

    login: OwnLogin
    accounts: tuple[Place, ...]
    csrf: str
    features: Features


class SiteView(msgspec.Struct, frozen=True):
    """What everybody may know of the site before they sign in.

    Attributes:
        name: what it is called.
        base_url: of the gateway, as its clients are given it; without a trailing slash.
        first_operator_missing: nobody can sign in as an operator yet.
        features: see there.
        name_pattern, name_help: what names of new logins must be, and that in words by language.
        password_chars_min: see there.
        email_required, email_domains: of a registration.
        approval: an operator looks at each registration.
        session: who is signed in; None for nobody. A page that begins so learns both at once.
    """

    name: str
    base_url: str
    first_operator_missing: bool
    features: Features
    name_pattern: str
    name_help: dict[str, str]
    password_chars_min: int
    email_required: bool
    email_domains: tuple[str, ...]
    approval: bool
    session: SessionView | None


class SignInRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Name, or proved address, and password."""

    name: str
    password: str


class SecondFactorRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The token of the first step, and a code of the app or a recovery code."""

    token: str
    code: str


class SignInResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of it.

    Attributes:
        state: ``second_factor``: send ``token`` with a code.
        token: for the second step, for five minutes.
        csrf: of the new session.
    """

    state: Literal["signed_in", "second_factor"]
    token: str | None = None
    csrf: str | None = None


class SessionEntry(msgspec.Struct, frozen=True):
    """One session of a login; ``current`` is the one that asks."""

    id: int
    created_at: dt.datetime
    seen_at: dt.datetime
    ends_at: dt.datetime
    address: str
    agent: str
    current: bool


class SessionsEnded(msgspec.Struct, frozen=True):
    """How many sessions were ended."""

    ended: int


class PasswordChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A new password; ``password`` is the present one, None for who has none yet."""

    new_password: str
    password: str | None = None


class PasswordProof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Proof that the person at the keyboard is the one who signed in."""

    password: str


class LanguageChoice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``en``, ``zh``, or None for that of the browser."""

    language: str | None


class NewTOTP(msgspec.Struct, frozen=True):
    """A secret for an authenticator app, shown this once: as text, and as the URI of a QR code."""

    secret: str
    otpauth: str


class TOTPCode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A code that proves that the app has the secret."""

    code: str


class RecoveryCodes(msgspec.Struct, frozen=True):
    """Codes that each let in once; shown this once."""

    recovery_codes: tuple[str, ...]


class Registration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Somebody makes a login for themselves."""

    name: str
    password: str
    email: str | None = None
    language: str | None = None


class Registered(msgspec.Struct, frozen=True):
    """Where the login stands now."""

    name: str
    state: LoginState


class LinkToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands in a link."""

    token: str


class ResetRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who has forgotten a password: name or address."""

    name: str


class PasswordByLink(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A password by a link that lets set it once."""

    token: str
    password: str


class FirstOperator(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The first operator, by the link that only who runs the site can have."""

    token: str
    name: str
    password: str
    language: str | None = None


class LoginLink(msgspec.Struct, frozen=True):
    """A link that works once; shown this once.

    Attributes:
        url: whole, or, if the console does not know how people reach it, what follows its address.
        ends_at: until when.
    """

    url: str
    ends_at: dt.datetime


class NewLogin(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A login that an operator makes.

    Attributes:
        name, email: see `LoginView`; the address counts as proved.
        operator: see there.
        language: see there.
        account: whether it gets an account of its name, as those do who register.
    """

    name: str
    email: str | None = None
    operator: bool = False
    language: str | None = None
    account: bool = False


class LoginChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is to be another of a login; what is left out stays."""

    name: str | UnsetType = UNSET
    email: str | UnsetType | None = UNSET
    operator: bool | UnsetType = UNSET


class LoginView(msgspec.Struct, frozen=True):
    """A login as operators see it."""

    id: int
    name: str
    email: str | None
    email_confirmed: bool
    operator: bool
    state: LoginState
    language: str | None
    password: bool
    totp: bool
    elsewhere: bool
    sessions: int
    created_at: dt.datetime
    signed_in_at: dt.datetime | None
    accounts: tuple[Place, ...]


class CreatedLogin(msgspec.Struct, frozen=True):
    """A login, and the link by which its person chooses a password."""

    login: LoginView
    link: LoginLink


class NewMember(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A login that becomes a user of an account.

    Attributes:
        login: its name.
        role: see there.
        user: name of the user that it is to be: one without a login, or a new one; the login's name if left out.
    """

    login: str
    role: Role = Role.MEMBER
    user: str | None = None


class MemberChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another role."""

    role: Role


class MemberRemoved(msgspec.Struct, frozen=True):
    """A login is no user of the account any more; so many keys of that user were blocked."""

    blocked_keys: int


class OIDCLink(msgspec.Struct, frozen=True):
    """Where the browser is to go, to be known to the OpenID provider as this login."""

    url: str
