"""Tools, the choice among them, and the answer's form, for a chat provider (DIALECTS sections 2.4 and 2.6)."""

import msgspec

from trunkline.protocol.fidelity import TABLE, Crossing, Feature
from trunkline.protocol.model import Format, OutputFormat, Request, Tool, ToolChoice, ToolMode
from trunkline.protocol.openai_chat.client_error import not_carried
from trunkline.protocol.openai_chat.losses import lose
from trunkline.protocol.openai_chat.part_writer import PartWriter, Written
from trunkline.protocol.openai_chat.plain_schema import plain_schema
from trunkline.protocol.openai_chat.tool_names import ToolNames, clean_name
from trunkline.protocol.vendor import ToolSchemaRule, VendorOptions

_ANSWER_DESCRIPTION = "Give the answer by calling this tool."

_FREE = ToolChoice(ToolMode.AUTO)


class ToolWriter:
    """Writes what a request says about tools and about the form of its answer.

    Args:
        request: see there.
        names: maps names of tools.
        crossing: told of what is lost.
        options: of the channel.

    Attributes:
        answer_tool: name of the tool that stands for the answer's schema; empty for none.
    """

    def __init__(self, request: Request, names: ToolNames, crossing: Crossing, options: VendorOptions) -> None:
        self._request = request
        self._names = names
        self._crossing = crossing
        self._options = options
        self._parts = PartWriter(crossing, options)
        self._custom = {tool.name for tool in request.tools if tool.custom}
        self.answer_tool = ""

    def write(self, body: Written) -> None:
        """Add the fields to a request's body."""
        request = self._request
        tools = [self._tool(tool) for tool in request.tools]
        choice = self._choice(request.tool_choice) if tools else None
        if not self._options.forced_tools:
            tools, choice = self._unforced(tools)
        if request.output.form is Format.SCHEMA and not self._options.json_schema:
            tools, choice = self._with_answer_tool(tools, choice)
        if tools:
            body["tools"] = tools
        if choice is not None:
            body["tool_choice"] = choice
        elif request.tool_choice is not None and not request.tools:
            lose(self._crossing, Feature.EXTRA, "tool_choice")
        self._parallel(body)
        self._output(body, request.output)

    def _tool(self, tool: Tool) -> Written:
        name = self._names.written(tool.name)
        described: Written = {"name": name}
        if tool.description:
            described["description"] = tool.description
        if tool.custom:
            return self._parts.mark({"type": "custom", "custom": described}, tool.cache)
        schema = self._schema(tool.schema, "tools")
        if schema:
            described["parameters"] = msgspec.Raw(schema)
        self._strict(described, strict=tool.strict)
        return self._parts.mark({"type": "function", "function": described}, tool.cache)

    def _schema(self, schema: bytes, param: str) -> bytes:
        if self._options.tool_schemas is ToolSchemaRule.ANY:
            return schema
        plain = plain_schema(schema or b"{}")
        if plain.joined:
            lose(self._crossing, Feature.EXTRA, f"{param}.anyOf")
        return plain.source

    def _strict(self, written: Written, *, strict: bool | None) -> None:
        if strict is not None and self._options.tool_strict:
            written["strict"] = strict
        elif strict:
            lose(self._crossing, Feature.TOOL_STRICT)

    def _choice(self, choice: ToolChoice | None) -> str | Written | None:
        if choice is None:
            return None
        if not choice.only:
            return self._options.required_word if choice.mode is ToolMode.REQUIRED else choice.mode.value
        tools = [self._named(name) for name in choice.only]
        if len(tools) == 1 and choice.mode is ToolMode.REQUIRED:
            return tools[0]
        return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode.value, "tools": tools}}

    def _unforced(self, tools: list[Written]) -> tuple[list[Written], None]:
        """Return the tools that may be called, for a provider that lets the model decide whether."""
        said = self._request.tool_choice or _FREE
        if said.mode is ToolMode.NONE:
            return [], None
        if tools and said.mode is ToolMode.REQUIRED:
            lose(self._crossing, Feature.TOOL_FORCED, "tool_choice")
        return self._only(tools, said), None

    def _only(self, tools: list[Written], choice: ToolChoice) -> list[Written]:
        only = {self._names.written(name) for name in choice.only}
        return [tool for tool in tools if not only or _name_of(tool) in only]

    def _named(self, name: str) -> Written:
        kind = "custom" if name in self._custom else "function"
        return {"type": kind, kind: {"name": self._names.written(name)}}

    def _parallel(self, body: Written) -> None:
        """Say whether several calls may come at once; OpenAI refuses the field where there are no tools."""
        parallel = self._request.parallel_tools
        if parallel is None:
            return
        if "tools" not in body:
            lose(self._crossing, Feature.EXTRA, "parallel_tool_calls")
        elif self._options.parallel_switch:
            body["parallel_tool_calls"] = parallel
        elif not parallel:
            lose(self._crossing, Feature.PARALLEL_OFF, "parallel_tool_calls")

    # --- The answer's form ---------------------------------------------------------------------------------------

    def _output(self, body: Written, output: OutputFormat) -> None:
        if output.form is Format.JSON:
            body["response_format"] = {"type": "json_object"}
        elif output.form is Format.SCHEMA and self._options.json_schema:
            schema: Written = {"name": clean_name(output.name, "response")}
            if output.description:
                schema["description"] = output.description
            schema["schema"] = msgspec.Raw(output.schema or b"{}")
            self._strict(schema, strict=output.strict)
            body["response_format"] = {"type": "json_schema", "json_schema": schema}

    def _with_answer_tool(
        self, tools: list[Written], choice: str | Written | None
    ) -> tuple[list[Written], str | Written | None]:
        """Return tools and choice with a tool whose arguments are the answer, for a provider without schemas.

        Where the client demands a call of its own tools there will be no answer to have a form.
        """
        said = self._request.tool_choice or _FREE
        if not self._options.forced_tools:
            field = TABLE[Feature.SCHEMA_FORM].fields.get(self._crossing.client, "response_format")
            raise not_carried(field, "A schema for the answer")
        if tools and said.mode is ToolMode.REQUIRED:
            return tools, choice
        output = self._request.output
        lose(self._crossing, Feature.SCHEMA_FORM)
        known = {self._names.written(tool.name) for tool in self._request.tools}
        name = clean_name(output.name, "answer")
        while name in known:
            name = f"{name[:62]}_2"
        self.answer_tool = name
        function = {
            "name": name,
            "description": output.description or _ANSWER_DESCRIPTION,
            "parameters": msgspec.Raw(self._schema(output.schema, "response_format") or b"{}"),
        }
        answer: Written = {"type": "function", "function": function}
        if not tools or said.mode is ToolMode.NONE:
            return [*tools, answer], {"type": "function", "function": {"name": name}}
        return [*self._only(tools, said), answer], self._options.required_word


def _name_of(tool: Written) -> object:
    described = tool.get("function") or tool.get("custom")
    return described.get("name") if isinstance(described, dict) else None
