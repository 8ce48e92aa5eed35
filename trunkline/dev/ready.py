"""The ready file: where everything of a running stack is, as JSON. Written in one step, for its owner's eyes."""

from pathlib import Path

import msgspec

from trunkline.dev.secrets import write_private


class ProcessEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One process.

    Attributes:
        pid: it changes when the process is started again.
        ops_url: of a service.
        base_url: of an edge.
    """

    pid: int
    ops_url: str = ""
    base_url: str = ""


class ReadyFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The whole file.

    Attributes:
        base_url: of the first edge, without ``/v1``.
        upstream_url: of the demo upstream, without ``/v1``.
        console_login: link by which somebody becomes the first operator; empty if there was one when the stack began.
        processes: by role; an embedded server that was replaced has none.
    """

    base_url: str
    console_url: str
    api_key: str
    admin_key: str
    nats_url: str
    postgres_dsn: str
    upstream_url: str
    processes: dict[str, list[ProcessEntry]]
    console_login: str = ""


def write(path: Path, ready: ReadyFile) -> None:
    """Write or rewrite the file.

    Raises:
        OSError: it cannot be written.
    """
    write_private(path, msgspec.json.format(msgspec.json.encode(ready), indent=2) + b"\n")
