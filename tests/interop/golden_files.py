"""Golden transcripts: what each dialect's client asks and its provider answers, and what the gateway makes of it.

``golden/<dialect>/<case>/`` holds what was written by hand after the vendors' documentation (`REQUEST`, `STREAM`,
`ANSWER`) and beside it what our readers and writers make of that, so that a change of a translation shows as a change
of a file. ``make golden`` writes the latter anew; test_golden.py compares it byte for byte.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from trunkline.core.errors import FaultError
from trunkline.protocol import names
from trunkline.protocol.dialect import AnswerFrame, Written
from trunkline.protocol.events import Event
from trunkline.protocol.fidelity import Crossing
from trunkline.protocol.model import Request
from trunkline.protocol.registry import CLIENTS, UPSTREAMS
from trunkline.protocol.vendor import VendorOptions

ROOT = Path(__file__).parent / "golden"
REQUEST, STREAM, ANSWER = "request.json", "stream.sse", "answer.json"
WRITTEN_BY_HAND = frozenset({REQUEST, STREAM, ANSWER})

CASES = (
    "text",
    "tools_in_parallel",
    "reasoning_tool_loop",
    "image_and_file",
    "json_schema",
    "refusal",
    "filter",
    "length",
    "cache_usage",
    "rich",
)

FRAME = AnswerFrame(id="golden", model="public-model", created=1760000001, wants_usage=True, input_estimate=11)
"""What a writer is told beside the events. Fixed, so that the files are."""


class Target(NamedTuple):
    """Who a request is translated for.

    Attributes:
        upstream: a channel's dialect.
        model: of a family that knows all that the cases use.
        options: of the channel.
    """

    upstream: str
    model: str
    options: VendorOptions


TARGETS: dict[str, Target] = {
    names.OPENAI_CHAT: Target(names.UPSTREAM_OPENAI, "gpt-5.2", VendorOptions(max_completion_tokens=True)),
    names.OPENAI_RESPONSES: Target(names.UPSTREAM_RESPONSES, "gpt-5.2", VendorOptions()),
    names.ANTHROPIC: Target(names.UPSTREAM_ANTHROPIC, "claude-sonnet-4-6", VendorOptions()),
    names.GEMINI: Target(names.UPSTREAM_GEMINI, "gemini-3-pro", VendorOptions()),
}
"""By the name of the dialect."""


class Golden(NamedTuple):
    """One case of one dialect: its folder, and what was written by hand."""

    dialect: str
    case: str
    folder: Path
    request: bytes
    stream: bytes
    answer: bytes

    def __str__(self) -> str:
        return f"{self.dialect}/{self.case}"


def golden(dialect: str, case: str) -> Golden:
    """Return a case."""
    folder = ROOT / dialect / case
    request, stream, answer = ((folder / name).read_bytes() for name in (REQUEST, STREAM, ANSWER))
    return Golden(dialect, case, folder, request, stream, answer)


def all_golden() -> list[Golden]:
    """Return all cases of all dialects."""
    return [golden(dialect, case) for dialect in names.CONVERSATIONAL for case in CASES]


# --- Reading and writing -------------------------------------------------------------------------------------------


def read_request(dialect: str, body: bytes) -> Request:
    """Return a client's request; all are for streams."""
    return CLIENTS[dialect].read_request(body, stream=True)


def write_request(request: Request, client: str, upstream: str) -> tuple[Written, str]:
    """Return a request in the words of another dialect's provider, and what that cost, as the header says it.

    Raises:
        FaultError: it cannot be carried.
    """
    target = TARGETS[upstream]
    crossing = Crossing(client, upstream)
    written = UPSTREAMS[target.upstream].write_request(request, crossing, target.model, target.options)
    return written, crossing.header()


def read_stream(dialect: str, chunks: Iterable[bytes], written: Written | None = None) -> list[Event]:
    """Return the events of a provider's stream."""
    target = TARGETS[dialect]
    reader = UPSTREAMS[target.upstream].event_reader(written or Written(b"{}"), target.options)
    return [event for chunk in chunks for event in reader.receive(chunk)] + reader.finish()


def read_answer(dialect: str, body: bytes, written: Written | None = None) -> list[Event]:
    """Return the events of a provider's whole answer."""
    target = TARGETS[dialect]
    return UPSTREAMS[target.upstream].read_answer(body, written or Written(b"{}"), target.options)


def write_stream(dialect: str, events: Iterable[Event]) -> bytes:
    """Return a stream for a client."""
    writer = CLIENTS[dialect].event_writer(FRAME)
    return b"".join(map(writer.write, events))


def write_answer(dialect: str, events: list[Event]) -> bytes:
    """Return a whole answer for a client."""
    return CLIENTS[dialect].write_answer(events, FRAME)


# --- The generated files -------------------------------------------------------------------------------------------


def generated(case: Golden) -> dict[str, bytes]:
    """Return the files that our readers and writers make of a case, by name."""
    request = read_request(case.dialect, case.request)
    streamed = read_stream(case.dialect, [case.stream])
    whole = read_answer(case.dialect, case.answer)
    files = {"neutral_request.json": _json(_shown(request)), "events.json": _lines(map(_shown, streamed))}
    fidelity: dict[str, object] = {}
    for other in names.CONVERSATIONAL:
        if other != case.dialect:
            body, fidelity[other] = _translated(request, case.dialect, other)
            files[f"to_{other}.request.json"] = body
            files[f"to_{other}.sse"] = write_stream(other, streamed)
            files[f"to_{other}.answer.json"] = _indented(write_answer(other, whole))
    files["fidelity.json"] = _json(fidelity)
    return files


def _translated(request: Request, client: str, upstream: str) -> tuple[bytes, object]:
    """Return the request for another dialect's provider, or the refusal in its place, and what is lost."""
    try:
        written, lost = write_request(request, client, upstream)
    except FaultError as refused:
        return _json({"refused": _shown(refused.fault)}), "refused"
    return _indented(written.body), {"header": lost, **_shown(msgspec.structs.replace(written, body=b""))}


_NO_DEFAULT = object()


def _shown(value: Any) -> Any:
    """Return a struct or an event as a tree of what differs from its defaults, with schemas as their source."""
    if isinstance(value, msgspec.Struct):
        tag = value.__struct_config__.tag
        filled = [field.name for field in msgspec.structs.fields(value) if _said(value, field)]
        said = {name: _shown(getattr(value, name)) for name in filled}
        return {**({"part": tag} if tag else {}), **said}
    if isinstance(value, tuple) and (fields := getattr(value, "_fields", None)) is not None:
        defaults: dict[str, object] = getattr(value, "_field_defaults", {})
        members = zip(fields, value, strict=True)
        said = {name: _shown(member) for name, member in members if member != defaults.get(name, _NO_DEFAULT)}
        return {"event": type(value).__name__, **said}
    if isinstance(value, tuple):
        return [_shown(member) for member in value]
    return value.decode() if isinstance(value, bytes) else value


def _said(struct: msgspec.Struct, field: msgspec.structs.FieldInfo) -> bool:
    default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    value = getattr(struct, field.name)
    return bool(value != default and value not in (b"", {}))


def _json(tree: object) -> bytes:
    return json.dumps(tree, indent=2, ensure_ascii=False).encode() + b"\n"


def _lines(trees: Iterable[object]) -> bytes:
    """Return an array with one line for each member."""
    return ("[\n" + ",\n".join(json.dumps(tree, ensure_ascii=False) for tree in trees) + "\n]\n").encode()


def _indented(source: bytes) -> bytes:
    """Return JSON with other white space and every other byte as it was: numbers stay as they were written."""
    return msgspec.json.format(source, indent=2) + b"\n"


def on_disk(case: Golden) -> dict[str, bytes]:
    """Return the generated files of a case as they are, by name."""
    return {path.name: path.read_bytes() for path in case.folder.iterdir() if path.name not in WRITTEN_BY_HAND}


def stale(case: Golden) -> dict[Path, bytes | None]:
    """Return which files of a case are not what they should be, and what that is; None for one too many."""
    present, wanted = on_disk(case), generated(case)
    differing = sorted(name for name in present.keys() | wanted.keys() if present.get(name) != wanted.get(name))
    return {case.folder / name: wanted.get(name) for name in differing}


def main() -> None:
    """Write all generated files anew, and say which were not what they should be."""
    for path, content in [item for case in all_golden() for item in stale(case).items()]:
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)


if __name__ == "__main__":
    main()
