"""Operations on channels and their credentials. Names in bodies may be left out; those in paths count."""

from typing import Final

from trunkline.policy.access import Access
from trunkline.policy.admin_api import ChannelView, CredentialChange, CredentialView, NewCredential
from trunkline.policy.configuration import ChannelEntry
from trunkline.policy.operations.operation import Operation, get

_CHANNELS: Final = "/channels"
_CHANNEL: Final = "/channels/{name}"
_CREDENTIAL: Final = f"{_CHANNEL}/credentials/{{id:[0-9]+}}"

LIST: Final = get("list_channels", _CHANNELS, Access.OPERATOR, "List all channels.", list[ChannelView])
SHOW: Final = get(
    "show_channel", _CHANNEL, Access.OPERATOR, "Show a channel, without the secrets of its credentials.", ChannelView
)
PUT: Final = Operation(
    id="put_channel",
    method="PUT",
    path=_CHANNEL,
    access=Access.OPERATOR,
    summary="Make a channel, or replace it.",
    body=ChannelEntry,
    answer=ChannelView,
    shows="show_channel",
)
DELETE: Final = Operation(
    id="delete_channel",
    method="DELETE",
    path=_CHANNEL,
    access=Access.OPERATOR,
    summary="Delete a channel with its credentials.",
    status=204,
    shows="show_channel",
)


def _switch(verb: str, summary: str) -> Operation:
    return Operation(
        id=f"{verb}_channel",
        method="POST",
        path=f"{_CHANNEL}/{verb}",
        access=Access.OPERATOR,
        summary=summary,
        answer=ChannelView,
        shows="show_channel",
    )


ENABLE: Final = _switch("enable", "Let a channel take jobs.")
DISABLE: Final = _switch("disable", "Keep jobs and probes from a channel; what runs goes on.")
DRAIN: Final = _switch("drain", "Give a channel no new jobs; what runs goes on, and probes, too.")
UNDRAIN: Final = _switch("undrain", "Give a drained channel jobs again.")

ADD_CREDENTIAL: Final = Operation(
    id="add_credential",
    method="POST",
    path=f"{_CHANNEL}/credentials",
    access=Access.OPERATOR,
    summary="Store an upstream secret of a channel; one that it has already gets the weight and limits (200).",
    body=NewCredential,
    answer=CredentialView,
    status=201,
    shows="show_channel",
)
CHANGE_CREDENTIAL: Final = Operation(
    id="change_credential",
    method="PATCH",
    path=_CREDENTIAL,
    access=Access.OPERATOR,
    summary="Change what is given of a credential's weight and limits; everything else stays.",
    body=CredentialChange,
    answer=CredentialView,
    shows="show_channel",
)
DELETE_CREDENTIAL: Final = Operation(
    id="delete_credential",
    method="DELETE",
    path=_CREDENTIAL,
    access=Access.OPERATOR,
    summary="Delete a credential of a channel.",
    status=204,
    shows="show_channel",
)

OPERATIONS: Final = (
    LIST,
    SHOW,
    PUT,
    DELETE,
    ENABLE,
    DISABLE,
    DRAIN,
    UNDRAIN,
    ADD_CREDENTIAL,
    CHANGE_CREDENTIAL,
    DELETE_CREDENTIAL,
)
