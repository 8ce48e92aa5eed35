"""What the admin API can do, as data: the console binds handlers to it, OpenAPI and the CLI's client are made of it."""

import dataclasses
import re
from typing import Any, Final

from trunkline.policy.access import Access

JSON: Final = "application/json"

NDJSON: Final = "application/x-ndjson"
"""A struct a line."""

_SEGMENT = re.compile(r"\{([a-z_]+)(?::[^}]*)?\}")


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A value in the query of a URL.

    Attributes:
        name: see there.
        help: a sentence for people.
        schema: its JSON schema.
        required: whether it must be there.
        repeated: whether it may be there several times.
    """

    name: str
    help: str
    schema: dict[str, Any] = dataclasses.field(default_factory=lambda: {"type": "string"})
    required: bool = False
    repeated: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Operation:
    """One thing that the admin API can do.

    Attributes:
        id: names it in OpenAPI, in the CLI's client and in the audit log, such as ``create_key``.
        method: HTTP method.
        path: after the prefix, such as ``/accounts/{account}/keys``.
        access: what it needs of its caller.
        summary: a sentence for people.
        body: type of the request's JSON; None for no body.
        body_optional: whether it may be left out.
        answer: type of the answer's JSON; None for no content, or for one that is not JSON.
        status: of the answer.
        media: content type of the answer.
        query: see there.
        shows: id of the operation that shows what this one changes: the audit log keeps what it says before.
        audited: whether the audit log tells of it; not where nothing that lasts is changed.
        long: it may take minutes; its answer comes piece by piece.
    """

    id: str
    method: str
    path: str
    access: Access
    summary: str
    body: Any = None
    body_optional: bool = False
    answer: Any = None
    status: int = 200
    media: str = JSON
    query: tuple[Parameter, ...] = ()
    shows: str | None = None
    audited: bool = True
    long: bool = False

    @property
    def changes(self) -> bool:
        """Whether it may change something: such operations are audited, and no other site may cause them."""
        return self.method not in {"GET", "HEAD"}

    @property
    def places(self) -> tuple[str, ...]:
        """Names of what stands in braces in the path, in order."""
        return tuple(_SEGMENT.findall(self.path))


def get(id_: str, path: str, access: Access, summary: str, answer: Any, *query: Parameter) -> Operation:
    """Return an operation that reads."""
    return Operation(id=id_, method="GET", path=path, access=access, summary=summary, answer=answer, query=query)
