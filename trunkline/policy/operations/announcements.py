"""Operations on announcements."""

from typing import Final

from trunkline.policy.access import Access
from trunkline.policy.announcements import (
    LANGUAGES,
    Announcement,
    AnnouncementChange,
    CurrentAnnouncement,
    NewAnnouncement,
)
from trunkline.policy.operations.operation import Operation, Parameter, get

_ONE: Final = "/announcements/{id:[0-9]+}"

LIST_CURRENT: Final = get(
    "list_current_announcements",
    "/announcements/current",
    Access.PUBLIC,
    "List what is announced now, to everybody or also to those who are signed in.",
    list[CurrentAnnouncement],
    Parameter(
        "language",
        "Of the texts; what the browser asks for if left out. Another one where a text is missing.",
        {"type": "string", "enum": list(LANGUAGES)},
    ),
)
LIST: Final = get(
    "list_announcements",
    "/announcements",
    Access.OPERATOR,
    "List all announcements, the newest first.",
    list[Announcement],
)
SHOW: Final = get("show_announcement", _ONE, Access.OPERATOR, "Show an announcement.", Announcement)
CREATE: Final = Operation(
    id="create_announcement",
    method="POST",
    path="/announcements",
    access=Access.OPERATOR,
    summary="Announce something.",
    body=NewAnnouncement,
    answer=Announcement,
    status=201,
)
CHANGE: Final = Operation(
    id="change_announcement",
    method="PATCH",
    path=_ONE,
    access=Access.OPERATOR,
    summary="Change what is given of an announcement; everything else stays.",
    body=AnnouncementChange,
    answer=Announcement,
    shows="show_announcement",
)
DELETE: Final = Operation(
    id="delete_announcement",
    method="DELETE",
    path=_ONE,
    access=Access.OPERATOR,
    summary="Delete an announcement for good.",
    status=204,
    shows="show_announcement",
)

OPERATIONS: Final = (LIST_CURRENT, LIST, SHOW, CREATE, CHANGE, DELETE)
