"""Operations of signing in, and on one's own login."""

from typing import Final

from trunkline.policy.access import Access
from trunkline.policy.admin_identity import (
    FirstOperator,
    LanguageChoice,
    LinkToken,
    LoginLink,
    NewTOTP,
    OIDCLink,
    PasswordByLink,
    PasswordChange,
    PasswordProof,
    RecoveryCodes,
    Registered,
    Registration,
    ResetRequest,
    SecondFactorRequest,
    SessionEntry,
    SessionsEnded,
    SessionView,
    SignInRequest,
    SignInResult,
    SiteView,
    TOTPCode,
)
from trunkline.policy.operations.operation import Operation, get

SHOW_SITE: Final = get(
    "show_site", "/site", Access.PUBLIC, "Show how people sign in, and whether they may register.", SiteView
)
SHOW_SESSION: Final = get("show_session", "/session", Access.SIGNED_IN, "Show who is signed in.", SessionView)
# Of the public ones, those alone are audited that change something that lasts: whoever tries passwords would else
# fill the log.
SIGN_IN: Final = Operation(
    id="sign_in",
    method="POST",
    path="/session",
    access=Access.PUBLIC,
    summary="Sign in with name or address, and password.",
    body=SignInRequest,
    answer=SignInResult,
    audited=False,
)
SECOND_FACTOR: Final = Operation(
    id="second_factor",
    method="POST",
    path="/session/second-factor",
    access=Access.PUBLIC,
    summary="Finish signing in with a code of the app, or a recovery code.",
    body=SecondFactorRequest,
    answer=SignInResult,
    audited=False,
)
SIGN_OUT: Final = Operation(
    id="sign_out",
    method="DELETE",
    path="/session",
    access=Access.SIGNED_IN,
    summary="End this session.",
    status=204,
    audited=False,
)

LIST_SESSIONS: Final = get(
    "list_sessions", "/me/sessions", Access.SIGNED_IN, "List where one is signed in.", list[SessionEntry]
)
REVOKE_SESSION: Final = Operation(
    id="revoke_session",
    method="DELETE",
    path="/me/sessions/{session}",
    access=Access.SIGNED_IN,
    summary="End one of one's sessions.",
    status=204,
)
REVOKE_OTHER_SESSIONS: Final = Operation(
    id="revoke_other_sessions",
    method="POST",
    path="/me/sessions/end-others",
    access=Access.SIGNED_IN,
    summary="End all of one's sessions but this one.",
    answer=SessionsEnded,
)
CHANGE_PASSWORD: Final = Operation(
    id="change_password",
    method="POST",
    path="/me/password",
    access=Access.SIGNED_IN,
    summary="Change one's password; all other sessions end.",
    body=PasswordChange,
    status=204,
)
SET_LANGUAGE: Final = Operation(
    id="set_language",
    method="PUT",
    path="/me/language",
    access=Access.SIGNED_IN,
    summary="Choose the language of the page and of mails.",
    body=LanguageChoice,
    status=204,
)
BEGIN_TOTP: Final = Operation(
    id="begin_totp",
    method="POST",
    path="/me/totp",
    access=Access.SIGNED_IN,
    summary="Make a secret for an authenticator app; it counts once it is confirmed.",
    body=PasswordProof,
    answer=NewTOTP,
)
CONFIRM_TOTP: Final = Operation(
    id="confirm_totp",
    method="POST",
    path="/me/totp/confirm",
    access=Access.SIGNED_IN,
    summary="Prove that the app has the secret; the answer has recovery codes, this once.",
    body=TOTPCode,
    answer=RecoveryCodes,
)
REMOVE_TOTP: Final = Operation(
    id="remove_totp",
    method="POST",
    path="/me/totp/remove",
    access=Access.SIGNED_IN,
    summary="Sign in without the app from now on.",
    body=PasswordProof,
    status=204,
)
NEW_RECOVERY_CODES: Final = Operation(
    id="new_recovery_codes",
    method="POST",
    path="/me/recovery-codes",
    access=Access.SIGNED_IN,
    summary="Replace one's recovery codes; the answer has them, this once.",
    body=PasswordProof,
    answer=RecoveryCodes,
)
BEGIN_OIDC_LINK: Final = Operation(
    id="begin_oidc_link",
    method="POST",
    path="/me/oidc",
    access=Access.SIGNED_IN,
    summary="Begin to let the OpenID provider sign one in; the browser goes on to the address of the answer.",
    body=PasswordProof,
    answer=OIDCLink,
)
UNLINK_OIDC: Final = Operation(
    id="unlink_oidc",
    method="POST",
    path="/me/oidc/unlink",
    access=Access.SIGNED_IN,
    summary="Let the OpenID provider sign one in no more.",
    body=PasswordProof,
    status=204,
)

REGISTER: Final = Operation(
    id="register",
    method="POST",
    path="/registrations",
    access=Access.PUBLIC,
    summary="Make a login for oneself, where the site lets people.",
    body=Registration,
    answer=Registered,
    status=201,
)
CONFIRM_EMAIL: Final = Operation(
    id="confirm_email",
    method="POST",
    path="/registrations/confirm",
    access=Access.PUBLIC,
    summary="Prove an address by the link that was mailed there.",
    body=LinkToken,
    answer=Registered,
)
REQUEST_PASSWORD_RESET: Final = Operation(
    id="request_password_reset",
    method="POST",
    path="/password-resets",
    access=Access.PUBLIC,
    summary="Have a link mailed to set a new password; the answer is the same for unknown names.",
    body=ResetRequest,
    status=202,
    audited=False,
)
SET_PASSWORD: Final = Operation(
    id="set_password",
    method="POST",
    path="/password-resets/finish",
    access=Access.PUBLIC,
    summary="Set a password by a link; all sessions end.",
    body=PasswordByLink,
    answer=Registered,
)
FIRST_OPERATOR: Final = Operation(
    id="first_operator",
    method="POST",
    path="/first-operator",
    access=Access.PUBLIC,
    summary="Become the first operator of the site, by the link, and be signed in.",
    body=FirstOperator,
    answer=SignInResult,
    status=201,
)
FIRST_OPERATOR_LINK: Final = Operation(
    id="first_operator_link",
    method="POST",
    path="/first-operator/link",
    access=Access.OPERATOR,
    summary="Make the link by which somebody becomes the first operator; earlier ones end.",
    answer=LoginLink,
    status=201,
)

OPERATIONS: Final = (
    SHOW_SITE,
    SHOW_SESSION,
    SIGN_IN,
    SECOND_FACTOR,
    SIGN_OUT,
    LIST_SESSIONS,
    REVOKE_SESSION,
    REVOKE_OTHER_SESSIONS,
    CHANGE_PASSWORD,
    SET_LANGUAGE,
    BEGIN_TOTP,
    CONFIRM_TOTP,
    REMOVE_TOTP,
    NEW_RECOVERY_CODES,
    BEGIN_OIDC_LINK,
    UNLINK_OIDC,
    REGISTER,
    CONFIRM_EMAIL,
    REQUEST_PASSWORD_RESET,
    SET_PASSWORD,
    FIRST_OPERATOR,
    FIRST_OPERATOR_LINK,
)
