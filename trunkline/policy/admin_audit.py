"""What the admin API says of the audit log."""

import datetime as dt

import msgspec


class AuditEntry(msgspec.Struct, frozen=True):
    """One change, or one that was tried.

    Attributes:
        id: counts up; the newest is the highest.
        actor: name of the login at that time, or ``admin key``; ``nobody`` for who was not signed in.
        address: of the network that it came from.
        operation: id of what was asked for.
        account: that it was about, if about one.
        subject: path of the request.
        before, after: what was shown of it, without secrets; null where there was nothing, or too much.
        status: HTTP status of the answer; null if the console ended before it knew.
    """

    id: int
    at: dt.datetime
    actor: str
    address: str
    operation: str
    account: str | None
    subject: str
    before: msgspec.Raw | None
    after: msgspec.Raw | None
    status: int | None


class AuditPage(msgspec.Struct, frozen=True):
    """Entries, newest first.

    Attributes:
        entries: see there.
        next: what to send as ``before`` for those that follow; null at the end.
    """

    entries: list[AuditEntry]
    next: int | None
