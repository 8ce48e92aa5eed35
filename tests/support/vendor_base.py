"""One vendor behind OpenAI's chat as DIALECTS section 6 describes it: what it refuses, and the shape of its answers.

A vendor calls a tool where one is offered and the user spoke last, the one that is demanded or the first one, and
answers with a text otherwise; its models think unless they are told not to. What all share stands here, each vendor's
quirks in the modules beside it.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

MAIN = "main"
"""Every vendor's good model."""

OVERLONG, BLOCKED, UNPAID, LIMITED = "overlong", "blocked", "unpaid", "limited"
"""Models at which a vendor says that a context is too long, that the content is not allowed, that the gateway's account
is not paid for, or that it asks too often."""

TEXT = "It is sunny in Bern."
THOUGHT = "The user asks for the weather."
ARGUMENTS = '{"city": "Bern", "number": 12345678901234567890}'
ASKED_TOKENS, BOUND_TOKENS = 140_000, 131_072

PROMPT_TOKENS, CACHED_TOKENS = 120, 100
COMPLETION_TOKENS, REASONING_TOKENS = 30, 20
"""Of every answer; the completion includes the reasoning where the vendor counts like OpenAI."""

Body = dict[str, Any]
Errors = Mapping[str, tuple[int, object]]


class RefusedError(Exception):
    """A vendor refuses a request.

    Attributes:
        status, body, headers: of its answer.
    """

    def __init__(self, status: int, body: object, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status}: {json.dumps(body)}")
        self.status = status
        self.body = body
        self.headers = headers or {}


class Asked:
    """A request.

    Args:
        body: decoded.
    """

    def __init__(self, body: Body) -> None:
        self.body = body
        self.model: str = body["model"]
        self.stream = bool(body.get("stream"))
        self.messages: list[Body] = body["messages"]
        self.wants_usage = bool((body.get("stream_options") or {}).get("include_usage"))

    def parts(self, kind: str) -> list[Body]:
        """Return the parts of one type in all messages."""
        lists = [message["content"] for message in self.messages if isinstance(message.get("content"), list)]
        return [part for parts in lists for part in parts if part["type"] == kind]

    def loop(self) -> list[Body]:
        """Return the assistant's messages since the user's last words."""
        last = max(index for index, message in enumerate(self.messages) if message["role"] == "user")
        return [message for message in self.messages[last:] if message["role"] == "assistant"]


class Reply(NamedTuple):
    """What a model says."""

    text: str = TEXT
    thought: str = THOUGHT
    call: bool = False
    finish: str = "stop"


class Vendor:
    """See the module.

    Attributes:
        prefix: of its paths behind the host.
        thought_field: where its answers have the reasoning.
        reports_usage: at the end of a stream, in a chunk without choices, where asked; others say it elsewhere.
        errors: status and body by model.
    """

    name: ClassVar[str]
    prefix: ClassVar[str] = "/v1"
    thought_field: ClassVar[str] = "reasoning_content"
    reports_usage: ClassVar[bool] = True
    errors: ClassVar[Errors] = {}

    def __init__(self) -> None:
        self.seen: list[Asked] = []

    @property
    def last(self) -> Body:
        """The body that came last."""
        return self.seen[-1].body

    # --- What it refuses -----------------------------------------------------------------------------------------

    def refuse(self, asked: Asked) -> None:
        """Refuse what this vendor refuses.

        Raises:
            RefusedError: with its own error.
        """
        if asked.model in self.errors:
            raise RefusedError(*self.errors[asked.model])
        self.check_calls(asked)

    def bad(self, message: str) -> RefusedError:
        """Return its error for a request that is wrong."""
        return RefusedError(400, {"error": {"message": message, "type": "invalid_request_error", "code": None}})

    def check_calls(self, asked: Asked) -> None:
        """Refuse a call without its result right behind it, and a result without its call."""
        waiting: list[str] = []
        for message in asked.messages:
            if message["role"] == "tool":
                if message["tool_call_id"] not in waiting:
                    raise self.bad("Messages with role 'tool' must be a response to a preceding message.")
                waiting.remove(message["tool_call_id"])
                continue
            if waiting:
                break
            waiting = [call["id"] for call in message.get("tool_calls") or ()]
        if waiting:
            raise self.bad(f"The following tool_call_ids did not have response messages: {', '.join(waiting)}")

    # --- What it answers -----------------------------------------------------------------------------------------

    def thinks(self, asked: Asked) -> bool:
        """Return whether the model thinks about this."""
        return True

    def reply(self, asked: Asked) -> Reply:
        """Return what the model says."""
        thought = THOUGHT if self.thinks(asked) else ""
        free = asked.body.get("tool_choice") != "none"
        if asked.body.get("tools") and free and asked.messages[-1]["role"] == "user":
            return Reply("", thought, call=True, finish="tool_calls")
        return Reply(thought=thought)

    def usage(self) -> Body:
        """Return its report."""
        return {
            "prompt_tokens": PROMPT_TOKENS,
            "completion_tokens": COMPLETION_TOKENS,
            "total_tokens": PROMPT_TOKENS + COMPLETION_TOKENS,
            "prompt_tokens_details": {"cached_tokens": CACHED_TOKENS},
            "completion_tokens_details": {"reasoning_tokens": REASONING_TOKENS},
        }

    def call_id(self, asked: Asked) -> str:
        """Return an id for the call, another one for every request."""
        return f"call_{self.name}{len(self.seen)}"

    def call(self, asked: Asked) -> Body:
        """Return the tool call."""
        choice = asked.body.get("tool_choice")
        tool = choice if isinstance(choice, dict) else asked.body["tools"][0]
        function = {"name": tool["function"]["name"], "arguments": ARGUMENTS}
        return {"id": self.call_id(asked), "type": "function", "function": function}

    def message(self, asked: Asked, reply: Reply) -> Body:
        """Return the message of a whole answer."""
        message: Body = {"role": "assistant", "content": reply.text or None}
        if reply.thought:
            message[self.thought_field] = reply.thought
        if reply.call:
            message["tool_calls"] = [self.call(asked)]
        return message

    def whole(self, asked: Asked, reply: Reply) -> Body:
        """Return a whole answer."""
        choice = {"index": 0, "message": self.message(asked, reply), "finish_reason": reply.finish}
        return {**self.head(asked, "chat.completion"), "choices": [choice], "usage": self.usage()}

    def write(self, whole: Body) -> bytes:
        """Return the bytes of a whole answer."""
        return json.dumps(whole).encode()

    def head(self, asked: Asked, kind: str) -> Body:
        """Return what all chunks and whole answers begin with."""
        return {"id": f"{self.name}-{len(self.seen)}", "object": kind, "created": 1, "model": asked.model}

    def events(self, asked: Asked, reply: Reply) -> Iterator[bytes]:
        """Yield a stream."""
        for delta in self.deltas(asked, reply):
            yield self.chunk(asked, delta)
        yield from self.closing(asked, reply)
        yield b"data: [DONE]\n\n"

    def deltas(self, asked: Asked, reply: Reply) -> Iterator[Body]:
        """Yield what is said, in pieces."""
        yield {"role": "assistant", "content": ""}
        for piece in halves(reply.thought):
            yield self.thought_delta(piece)
        for piece in halves(reply.text):
            yield {"content": piece}
        if reply.call:
            yield from self.call_deltas(asked)

    def thought_delta(self, piece: str) -> Body:
        """Return a piece of reasoning."""
        return {self.thought_field: piece}

    def call_deltas(self, asked: Asked) -> Iterator[Body]:
        """Yield the tool call in pieces."""
        call = self.call(asked)
        call["function"]["arguments"] = ""
        yield {"tool_calls": [{"index": 0, **call}]}
        for piece in halves(ARGUMENTS):
            yield {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}

    def closing(self, asked: Asked, reply: Reply) -> Iterator[bytes]:
        """Yield the chunks with the finish reason and the usage."""
        yield self.chunk(asked, {}, reply.finish)
        if self.reports_usage and asked.wants_usage:
            yield frame({**self.head(asked, "chat.completion.chunk"), "choices": [], "usage": self.usage()})

    def chunk(self, asked: Asked, delta: Body, finish: str | None = None, **members: object) -> bytes:
        """Return a chunk with one choice."""
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return frame({**self.head(asked, "chat.completion.chunk"), "choices": [choice], **members})


def frame(chunk: object) -> bytes:
    """Return an event."""
    return b"data: %b\n\n" % json.dumps(chunk, ensure_ascii=False).encode()


def halves(text: str) -> list[str]:
    """Return a text in two pieces; nothing for an empty one."""
    middle = len(text) // 2
    return [text[:middle], text[middle:]] if text else []
