"""Operations on logins, for the site's operators."""

from typing import Final

from trunkline.policy.access import Access
from trunkline.policy.admin_accounts import KeyView
from trunkline.policy.admin_identity import (
    CreatedLogin,
    LoginChange,
    LoginLink,
    LoginView,
    NewLogin,
    SessionsEnded,
)
from trunkline.policy.logins.registration import RegistrationSettings
from trunkline.policy.operations.operation import Operation, Parameter, get
from trunkline.policy.operations.parameters import WITHDRAW_KEYS

_LOGIN: Final = "/logins/{login}"


def _act(id_: str, action: str, summary: str, *query: Parameter, answer: type = LoginView) -> Operation:
    return Operation(
        id=id_,
        method="POST",
        path=f"{_LOGIN}/{action}",
        access=Access.OPERATOR,
        summary=summary,
        answer=answer,
        query=query,
        shows="show_login",
    )


LIST: Final = get(
    "list_logins",
    "/logins",
    Access.OPERATOR,
    "List logins in the order of their names, a page at a time.",
    list[LoginView],
    Parameter("search", "Only those with this in their name or address."),
    Parameter("state", "Only those that are unconfirmed, waiting, active or blocked."),
    Parameter("after", "Only those after this name: the page that follows."),
    Parameter("limit", "How many at most.", {"type": "integer"}),
)
LIST_KEYS: Final = get(
    "list_login_keys",
    f"{_LOGIN}/keys",
    Access.OPERATOR,
    "List a login's keys in all accounts: those of its users, and those whose secret it was shown.",
    list[KeyView],
)
SHOW: Final = get("show_login", _LOGIN, Access.OPERATOR, "Show a login.", LoginView)
CREATE: Final = Operation(
    id="create_login",
    method="POST",
    path="/logins",
    access=Access.OPERATOR,
    summary="Make a login; the answer has the link by which its person chooses a password, this once.",
    body=NewLogin,
    answer=CreatedLogin,
    status=201,
)
CHANGE: Final = Operation(
    id="change_login",
    method="PATCH",
    path=_LOGIN,
    access=Access.OPERATOR,
    summary="Change what is given of a login: name, address, or whether it is an operator.",
    body=LoginChange,
    answer=LoginView,
    shows="show_login",
)
DELETE: Final = Operation(
    id="delete_login",
    method="DELETE",
    path=_LOGIN,
    access=Access.OPERATOR,
    summary="Delete a login; users that it was stay in their accounts, without one.",
    status=204,
    query=(WITHDRAW_KEYS,),
    shows="show_login",
)
APPROVE: Final = _act("approve_login", "approve", "Let a registered login in, with an account of its own.")
BLOCK: Final = _act("block_login", "block", "Refuse a login until it is unblocked; its sessions end.", WITHDRAW_KEYS)
UNBLOCK: Final = _act("unblock_login", "unblock", "Accept a blocked login again.")
LINK: Final = _act("link_login", "link", "Make a link that sets a password once; earlier ones end.", answer=LoginLink)
REMOVE_SECOND_FACTOR: Final = _act(
    "remove_second_factor", "remove-second-factor", "Take the app and the recovery codes off a login; its sessions end."
)
END_SESSIONS: Final = _act("end_sessions", "end-sessions", "End all sessions of a login.", answer=SessionsEnded)

SHOW_REGISTRATION: Final = get(
    "show_registration", "/registration", Access.OPERATOR, "Show who may register, and how.", RegistrationSettings
)
SET_REGISTRATION: Final = Operation(
    id="set_registration",
    method="PUT",
    path="/registration",
    access=Access.OPERATOR,
    summary="Set who may register, and what they get; what is left out is as in the beginning.",
    body=RegistrationSettings,
    answer=RegistrationSettings,
    shows="show_registration",
)

OPERATIONS: Final = (
    LIST,
    SHOW,
    LIST_KEYS,
    CREATE,
    CHANGE,
    DELETE,
    APPROVE,
    BLOCK,
    UNBLOCK,
    LINK,
    REMOVE_SECOND_FACTOR,
    END_SESSIONS,
    SHOW_REGISTRATION,
    SET_REGISTRATION,
)
