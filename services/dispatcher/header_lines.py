"""Header lines of a call as a channel changes them (`bus.snapshots.HeaderRules`). Called by `catalog` and `passage`.

What the connection and the body need is never touched: with another length or another host the provider would read a
request that nobody made. A configuration that names such a line is refused; here it is passed over.
"""

import re

from trunkline.bus.snapshots import HeaderRules

FIXED_LINES = frozenset(
    {
        *("host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection"),
        # An answer is asked for unpacked, as nothing here unpacks it; each request has its own trace.
        *("accept-encoding", "traceparent"),
    }
)
"""Names of lines that no channel changes."""

_LINE_END = "\r\n"
_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
_VALUE = re.compile(r"[\t\x20-\x7e]*", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def name_of(line: bytes) -> str:
    """Return the name of a header line in lower case."""
    return line.partition(b":")[0].decode("latin-1").lower()


def job_line(name: str, value: str) -> bytes:
    """Return a header line whose value has come with a job.

    Clients' servers let no line end into a value. An edge that was taken over might, and so add lines to what is sent
    with a provider's credential, or a whole request behind it.
    """
    return f"{name}: {_CONTROL.sub('', value)}{_LINE_END}".encode("latin-1", "replace")


def kept_lines(lines: bytes, rules: HeaderRules) -> bytes:
    """Return the lines that a channel neither drops nor sets itself.

    Args:
        lines: each ending in CRLF.
        rules: of the channel.
    """
    if not lines or not (rules.drop or rules.set):
        return lines
    return b"".join(line for line in lines.splitlines(keepends=True) if not _changes(rules, name_of(line)))


def set_lines(rules: HeaderRules, credential: str) -> bytes:
    """Return the lines that a channel sets, each ending in CRLF.

    Args:
        rules: of the channel.
        credential: name of the line that carries its credential, in lower case, which stays as it is; empty for none.
    """
    lines = [
        f"{name}: {value}{_LINE_END}"
        for name, value in rules.set.items()
        if name not in FIXED_LINES and name != credential and _NAME.fullmatch(name) and _VALUE.fullmatch(value)
    ]
    return "".join(lines).encode("ascii")


def _changes(rules: HeaderRules, name: str) -> bool:
    return name not in FIXED_LINES and (name in rules.drop or name in rules.set)
