"""Writes tools, their names, and which of them may be called (DIALECTS section 2.4). Called by the request's writer."""

import hashlib
import re
from collections.abc import Iterable

import msgspec

from trunkline.core.errors import ErrorType, Fault, FaultError
from trunkline.protocol.anthropic.custom_tool import SCHEMA
from trunkline.protocol.anthropic.models_table import ModelTraits
from trunkline.protocol.anthropic.schema import closed_schema, input_schema, is_object
from trunkline.protocol.fidelity import Crossing, Feature
from trunkline.protocol.model import (
    CacheMark,
    Format,
    Request,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
    Turn,
)
from trunkline.protocol.vendor import VendorOptions

NAME_CHARS_MAX = 128
_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_-]", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)

_ANSWER_TOOL = "answer"
_ANSWER_WORDS = "Give the answer by calling this tool, exactly once and with nothing else."

_MODES = {ToolMode.AUTO: "auto", ToolMode.REQUIRED: "any", ToolMode.NONE: "none"}
_FORCED = frozenset({"any", "tool"})

Member = dict[str, object]


class ToolNames:
    """Names that the provider takes, and the way back.

    Attributes:
        changed: names as written to as the client knows them.
    """

    def __init__(self) -> None:
        self.changed: dict[str, str] = {}

    def written(self, name: str) -> str:
        """Return a name as the provider takes it: the same one always, and for no other."""
        if _NAME.fullmatch(name):
            return name
        digest = hashlib.blake2s(name.encode(errors="replace"), digest_size=4).hexdigest()
        written = f"{_NOT_IN_NAME.sub('_', name)[: NAME_CHARS_MAX - 9]}_{digest}"
        self.changed[written] = name
        return written


def written_id(call_id: str) -> str:
    """Return a call's id as the provider takes it: the same for the call and its result."""
    if _ID.fullmatch(call_id):
        return call_id
    return "call_" + hashlib.blake2s(call_id.encode(errors="replace"), digest_size=12).hexdigest()


def cache_control(mark: CacheMark | None) -> Member:
    """Return the member for a breakpoint; empty for none."""
    if mark is None:
        return {}
    return {"cache_control": {"type": "ephemeral", "ttl": "1h"} if mark is CacheMark.LONG else {"type": "ephemeral"}}


class ToolPlan:
    """The tools of one request as they are written.

    Args:
        request: whose.
        crossing: told of what is lost.
        traits: of the model.
        options: of the channel.
        names: shared with the conversation.

    Attributes:
        tools: ``tools``; empty for none.
        unwrap_tool: the tool that stands for the answer's schema; empty for none.
        unwrap_field: custom tools, as written.

    Raises:
        FaultError: ``client_bad_request``: a tool cannot be carried; names it.
    """

    def __init__(
        self, request: Request, crossing: Crossing, traits: ModelTraits, options: VendorOptions, names: ToolNames
    ) -> None:
        self._crossing = crossing
        self._traits = traits
        self._options = options
        self._names = names
        self.tools: list[Member] = []
        self.unwrap_tool = ""
        self.unwrap_field: list[str] = []
        self._choice: Member = {}
        self._declare(request)
        self._choose(request)
        self._answer_by_tool(request)

    @property
    def forced(self) -> bool:
        """Whether a call is demanded."""
        return self._choice.get("type") in _FORCED

    def release(self) -> None:
        """Leave the choice to the model, which does not take a demand."""
        self._crossing.lose(Feature.TOOL_FORCED)
        self._choice.pop("name", None)
        self._choice["type"] = "auto"

    @property
    def choice(self) -> Member | None:
        """``tool_choice``; None for the provider's own default."""
        return self._choice or None

    # --- which tools -----------------------------------------------------------------------------------------------

    def _declare(self, request: Request) -> None:
        wanted = request.tools
        only = request.tool_choice.only if request.tool_choice is not None else ()
        if only and not _one_of(request.tool_choice):
            wanted = tuple(tool for tool in wanted if tool.name in only)
            if not wanted:
                raise _bad("tool_choice", "`tool_choice` names no tool that is declared.")
            if len(wanted) < len(request.tools):
                self._crossing.lose(Feature.TOOL_SUBSET)
        seen = set()
        for tool in wanted:
            if tool.name in seen:
                raise _bad("tools", f"Two tools have the name `{tool.name[:NAME_CHARS_MAX]}`. Give each its own.")
            seen.add(tool.name)
            self.tools.append(self._tool(tool))

    def _tool(self, tool: Tool) -> Member:
        name = self._names.written(tool.name)
        written: Member = {"name": name}
        if tool.description:
            written["description"] = tool.description
        if tool.custom:
            self._crossing.lose(Feature.TOOL_CUSTOM)
            self.unwrap_field.append(name)
            written["input_schema"] = SCHEMA
        else:
            schema = input_schema(tool.schema, f"tools.{tool.name[:NAME_CHARS_MAX]}")
            if tool.strict:
                schema = self._strict(written, schema)
            written["input_schema"] = schema
        return {**written, **cache_control(tool.cache)}

    def _strict(self, written: Member, schema: msgspec.Raw) -> msgspec.Raw:
        """Mark a tool as strict where the provider can hold to it; its schema must be a closed one then."""
        if not (self._traits.schema and self._options.tool_strict):
            self._crossing.lose(Feature.EXTRA, "tools.strict")
            return schema
        written["strict"] = True
        closed = closed_schema(schema)
        if closed is schema:
            return schema
        self._crossing.lose(Feature.SCHEMA_FORM, "tools.schema")
        return msgspec.Raw(closed)

    # --- which of them is called -----------------------------------------------------------------------------------

    def _choose(self, request: Request) -> None:
        choice = request.tool_choice
        if not self.tools:
            if choice is not None and choice.mode is not ToolMode.NONE:
                self._crossing.lose(Feature.EXTRA, "tool_choice")
            self._declare_stubs(request.turns)
            return
        if choice is not None:
            self._choice["type"] = _MODES[choice.mode]
            if _one_of(choice):
                self._choice["type"] = "tool"
                self._choice["name"] = self._names.written(choice.only[0])
        if request.parallel_tools is False and self._choice.get("type") != "none":
            self._choice.setdefault("type", "auto")
            self._choice["disable_parallel_tool_use"] = True
        if self.forced and not self._traits.forced_tools:
            self.release()

    def _declare_stubs(self, turns: Iterable[Turn]) -> None:
        """Declare the tools of the history where the client declares none: without any the provider refuses it."""
        parts = [part for turn in turns for part in turn.parts if isinstance(part, ToolCall | ToolResult)]
        names = dict.fromkeys(part.name for part in parts if part.name)
        self.tools += [{"name": self._names.written(name), "input_schema": {"type": "object"}} for name in names]
        if self.tools:
            self._choice["type"] = "none"

    def _answer_by_tool(self, request: Request) -> None:
        """Demand the answer as the call of a tool, for models that know no schema (DIALECTS section 2.6)."""
        if request.output.form is not Format.SCHEMA or self._traits.schema or self.forced:
            return
        if not is_object(request.output.schema):
            raise _bad("response_format", "The answer's schema must be an object for the provider of this model.")
        self._crossing.lose(Feature.SCHEMA_FORM)
        name = self._names.written(request.output.name or _ANSWER_TOOL)
        taken = {tool["name"] for tool in self.tools}
        while name in taken:
            name += "_"
        description = f"{request.output.description}\n\n{_ANSWER_WORDS}".strip()
        schema = msgspec.Raw(request.output.schema)
        free = bool(self.tools) and self._choice.get("type") != "none"
        self.tools.append({"name": name, "description": description, "input_schema": schema})
        # Where the client's own tools may be called, either one of them or the answer comes.
        self._choice = {"type": "any"} if free else {"type": "tool", "name": name}
        if request.parallel_tools is False or not free:
            self._choice["disable_parallel_tool_use"] = True
        self.unwrap_tool = name


def _one_of(choice: ToolChoice | None) -> bool:
    """Return whether one certain tool is to be called."""
    return choice is not None and choice.mode is ToolMode.REQUIRED and len(choice.only) == 1


def _bad(param: str, message: str) -> FaultError:
    return FaultError(Fault(ErrorType.CLIENT_BAD_REQUEST, message, param=param))
