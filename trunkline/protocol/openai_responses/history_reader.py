"""The items of a request as turns of a conversation. Called by `request_reader`.

A turn of the model is several items here: reasoning, a message, parallel calls. They become one turn, and the results
of its calls one turn behind it, whatever stands between them: providers refuse a group whose results are apart
(DIALECTS section 2.4).
"""

from collections.abc import Iterable

import msgspec

from trunkline.protocol.fidelity import Feature
from trunkline.protocol.model import (
    CacheMark,
    File,
    Image,
    Part,
    Proof,
    Reasoning,
    Refusal,
    Role,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from trunkline.protocol.openai_responses import carried_proof, media
from trunkline.protocol.openai_responses.client_items import (
    MESSAGE_CHARS_MAX,
    Breakpoint,
    ClientItem,
    ClientPart,
    argument_text,
    bad_request,
    not_carried,
    output_parts,
)
from trunkline.protocol.openai_responses.request import stored_state
from trunkline.protocol.tokens import LONG_BASE64

HOSTED_SUMMARY_CHARS_MAX = 4000
"""Of a hosted tool's call in history: its words and links, not the pages that it read."""

_HOSTED_BY_MODEL = frozenset(
    {
        "file_search_call",
        "computer_call",
        "web_search_call",
        "tool_search_call",
        "tool_search_output",
        "image_generation_call",
        "code_interpreter_call",
        "local_shell_call",
        "shell_call",
        "apply_patch_call",
        "mcp_list_tools",
        "mcp_approval_request",
        "mcp_call",
        "program",
        "program_output",
    }
)
_HOSTED_BY_CLIENT = frozenset(
    {
        "computer_call_output",
        "local_shell_call_output",
        "shell_call_output",
        "apply_patch_call_output",
        "mcp_approval_response",
    }
)
_ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT, "system": Role.SYSTEM, "developer": Role.SYSTEM}
_TEXT_PARTS = frozenset({"input_text", "output_text", "text", "summary_text", "reasoning_text"})

_decode_raw_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


class HistoryReader:
    """Takes the items of one request.

    Attributes:
        instructions: leading system texts.
        features: what was met that turns have no place for, in order of appearance.
        extras: fields of the same kind that change no meaning.
    """

    def __init__(self) -> None:
        self.instructions: list[Text] = []
        self.features: dict[Feature, None] = {}
        self.extras: dict[str, None] = {}
        self._turns: list[tuple[Role, list[Part]]] = []
        self._names: dict[str, str] = {}
        self._answering: list[Part] | None = None
        self._results: list[Part] | None = None
        self._results_at = 0
        self._call_proof: Proof | None = None

    def turns(self) -> tuple[Turn, ...]:
        """Return what the items were."""
        return tuple([Turn(role, tuple(parts)) for role, parts in self._turns])

    def add_all(self, items: Iterable[ClientItem], source: msgspec.Raw) -> None:
        """Take a request's items.

        Args:
            items: decoded.
            source: their JSON.

        Raises:
            FaultError: ``client_bad_request``: one cannot be understood or carried; names it.
        """
        sources: list[msgspec.Raw] | None = None
        for index, item in enumerate(items):
            path = f"input[{index}]"
            kind = item.type or _implied(item)
            if kind in _HOSTED_BY_MODEL or kind in _HOSTED_BY_CLIENT:
                sources = sources or _decode_raw_items(source)
                self._add_hosted(kind, sources[index])
            else:
                self._add(kind, item, path)

    def add_text(self, text: str) -> None:
        """Take an input that is a bare text."""
        self._turns.append((Role.USER, [Text(text)]))

    def _add(self, kind: str, item: ClientItem, path: str) -> None:
        match kind:
            case "message":
                self._add_message(item, path)
            case "function_call" | "custom_tool_call":
                self._add_call(item, path, custom=kind == "custom_tool_call")
            case "function_call_output" | "custom_tool_call_output":
                self._add_result(item, path, custom=kind == "custom_tool_call_output")
            case "reasoning":
                self._add_reasoning(item)
            case "item_reference":
                raise stored_state(path)
            case "compaction" | "compaction_trigger" | "configuration_update" | "additional_tools":
                raise not_carried(path)
            case _:
                raise bad_request(f"`{path}.type` is `{kind[:MESSAGE_CHARS_MAX]}`, which is not known.", f"{path}.type")

    # --- messages ----------------------------------------------------------------------------------------------

    def _add_message(self, item: ClientItem, path: str) -> None:
        role = _ROLES.get(item.role or "")
        if role is None:
            raise bad_request(f"`{path}.role` must be user, assistant, system or developer.", f"{path}.role")
        if item.phase is not None:
            self.extras["input.phase"] = None
        content = item.content
        parts = [Text(content)] if isinstance(content, str) else self._parts(content or (), f"{path}.content")
        if role is Role.ASSISTANT:
            self._assistant().extend(parts)
            return
        self._end_turn()
        texts = [part for part in parts if isinstance(part, Text)]
        if role is Role.SYSTEM and not self._turns and len(texts) == len(parts):
            self.instructions += texts
            return
        self._turns.append((role, list(parts)))

    def _parts(self, parts: Iterable[ClientPart], path: str) -> list[Text | Image | File | Refusal]:
        read = [self._part(part, f"{path}[{index}]") for index, part in enumerate(parts)]
        return [part for part in read if part is not None]

    def _part(self, part: ClientPart, path: str) -> Text | Image | File | Refusal | None:
        if part.type in _TEXT_PARTS:
            return Text(part.text or "", _mark(part.prompt_cache_breakpoint))
        match part.type:
            case "input_image":
                return self._image(part, path)
            case "input_file":
                return self._file(part, path)
            case "refusal":
                return Refusal(part.refusal or "")
            case _:
                raise bad_request(
                    f"`{path}.type` must be input_text, input_image, input_file, output_text or refusal.",
                    f"{path}.type",
                )

    def _image(self, part: ClientPart, path: str) -> Image | None:
        if part.image_url is None and part.file_id is not None:
            self.features[Feature.FILE_ID] = None
            return None
        mark, detail = _mark(part.prompt_cache_breakpoint), part.detail or ""
        if not part.image_url:
            raise bad_request(f"`{path}.image_url` must be a URL or a data URL.", f"{path}.image_url")
        held = media.read_data_url(part.image_url)
        if held is None:
            return Image(url=part.image_url, detail=detail, cache=mark)
        return Image(data=held.data, media_type=held.media_type, detail=detail, cache=mark)

    def _file(self, part: ClientPart, path: str) -> File | None:
        mark, name = _mark(part.prompt_cache_breakpoint), part.filename or ""
        if part.file_url is not None:
            return File(url=part.file_url, name=name, cache=mark)
        if part.file_data is not None:
            held = media.read_data_url(part.file_data)
            if held is None:
                held = media.read_base64(part.file_data, media.type_by_name(name))
            text = media.plain_text(held)
            if text is not None:
                return File(text=text, media_type=held.media_type, name=name, cache=mark)
            return File(data=held.data, media_type=held.media_type, name=name, cache=mark)
        if part.file_id is not None:
            self.features[Feature.FILE_ID] = None
            return None
        raise bad_request(f"`{path}` must hold `file_data` or `file_url`.", path)

    # --- what the model did ------------------------------------------------------------------------------------

    def _assistant(self) -> list[Part]:
        """Return the parts of the model's turn that is being read; begins one behind anything else."""
        if self._answering is None:
            self._answering = []
            self._turns.append((Role.ASSISTANT, self._answering))
            self._results = None
            self._results_at = len(self._turns)
        return self._answering

    def _end_turn(self) -> None:
        self._answering = None
        self._call_proof = None

    def _add_reasoning(self, item: ClientItem) -> None:
        shown = [part.text for part in item.summary or () if part.text]
        if not shown and isinstance(item.content, list):
            shown = [part.text for part in item.content if part.text]
        proof = None
        if item.encrypted_content:
            proof, of_call = carried_proof.read_back(item.encrypted_content)
            if of_call:
                self._call_proof = proof
                return
        if shown or proof is not None:
            # A part without words stands for reasoning that was left out rather than hidden, see `event_writer`.
            redacted = proof is not None and not item.summary and not item.content
            self._assistant().append(Reasoning("\n\n".join(shown), proof, redacted))

    def _add_call(self, item: ClientItem, path: str, *, custom: bool) -> None:
        call_id = _call_id(item, path)
        if not item.name:
            raise bad_request(f"`{path}.name` must name a tool.", f"{path}.name")
        if item.namespace is not None:
            self.extras["input.namespace"] = None
        arguments = item.input or "" if custom else argument_text(item.arguments)
        self._names[call_id] = item.name
        self._assistant().append(ToolCall(call_id, item.name, arguments, custom, self._call_proof))
        self._call_proof = None

    def _add_result(self, item: ClientItem, path: str, *, custom: bool) -> None:
        call_id = _call_id(item, path)
        held = self._parts(output_parts(item.output, f"{path}.output"), f"{path}.output")
        parts = tuple([Text(part.text) if isinstance(part, Refusal) else part for part in held])
        self._end_turn()
        if self._results is None:
            self._results = []
            self._turns.insert(self._results_at, (Role.USER, self._results))
        self._results.append(ToolResult(call_id, self._names.get(call_id, item.name or ""), parts, custom=custom))

    def _add_hosted(self, kind: str, source: msgspec.Raw) -> None:
        """Keep what a hosted tool did as a text: other providers have no such items (DIALECTS section 2.4)."""
        words = LONG_BASE64.sub(b'""', bytes(source)).decode(errors="replace")
        text = Text(f"[{kind}] {words[:HOSTED_SUMMARY_CHARS_MAX]}")
        self.extras[f"input.{kind}"] = None
        if kind in _HOSTED_BY_MODEL:
            self._assistant().append(text)
        else:
            self._end_turn()
            self._turns.append((Role.USER, [text]))


def _implied(item: ClientItem) -> str:
    """Return the type of an item that does not say it."""
    if item.role is not None:
        return "message"
    return "item_reference" if item.id is not None else ""


def _call_id(item: ClientItem, path: str) -> str:
    if not item.call_id:
        raise bad_request(f"`{path}.call_id` must join the call and its output.", f"{path}.call_id")
    return item.call_id


def _mark(found: Breakpoint | None) -> CacheMark | None:
    if found is None:
        return None
    return CacheMark.LONG if found.ttl == "12h" else CacheMark.SHORT
