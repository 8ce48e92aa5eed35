"""Mistral, Groq, Together, Fireworks and OpenRouter: what each refuses and how it answers (DIALECTS section 6)."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import ClassVar

from tests.support.vendor_base import (
    ASKED_TOKENS,
    BLOCKED,
    BOUND_TOKENS,
    LIMITED,
    OVERLONG,
    TEXT,
    UNPAID,
    Asked,
    Body,
    Errors,
    RefusedError,
    Reply,
    Vendor,
    frame,
    halves,
)

SIGNATURE = "c2lnbmF0dXJl"
"""What OpenRouter wants back with the reasoning."""

_FIELDS = """
    model messages temperature top_p max_tokens stream stop random_seed response_format tools tool_choice n
    presence_penalty frequency_penalty prediction parallel_tool_calls prompt_mode safe_prompt
"""
_MESSAGE_FIELDS = "role content tool_calls tool_call_id name prefix"
"""All that Mistral takes."""

_NINE = re.compile(r"[a-zA-Z0-9]{9}")


def _flat(message: str, kind: str, code: str | None = None) -> Body:
    return {"object": "error", "message": message, "type": kind, "param": None, "code": code}


class Mistral(Vendor):
    """Mistral: strict about ids, order and fields; thoughts stand in a list of parts; errors are flat."""

    name = "mistral"
    reports_usage = False
    errors: ClassVar[Errors] = {
        OVERLONG: (
            400,
            _flat(
                f"Prompt contains {ASKED_TOKENS} tokens and 0 draft tokens, too large for model with {BOUND_TOKENS} "
                "maximum context length",
                "invalid_request_prompt",
                "3051",
            ),
        ),
        UNPAID: (401, {"detail": "Unauthorized"}),
        LIMITED: (429, _flat("Requests rate limit exceeded", "rate_limited", "1300")),
    }

    def bad(self, message: str, code: str | None = None) -> RefusedError:
        """See `Vendor`."""
        return RefusedError(400, _flat(message, "invalid_request_error", code))

    def refuse(self, asked: Asked) -> None:
        """See `Vendor`."""
        super().refuse(asked)
        body = asked.body
        unknown: list[list[object]] = [["body", name] for name in body if name not in _FIELDS.split()]
        for index, message in enumerate(asked.messages):
            at = ["body", "messages", index, message["role"]]
            unknown += [[*at, name] for name in message if name not in _MESSAGE_FIELDS.split()]
        if unknown:
            detail = [
                {"type": "extra_forbidden", "loc": loc, "msg": "Extra inputs are not permitted", "input": "quoted"}
                for loc in unknown
            ]
            raise RefusedError(422, {"object": "error", "message": {"detail": detail}, "type": "invalid_request_error"})
        if body.get("tool_choice") == "required":
            raise self.bad("tool_choice must be one of auto, any, none")
        self._check_order(asked.messages)

    def _check_order(self, messages: list[Body]) -> None:
        before = ""
        for message in messages:
            role = message["role"]
            if before == "tool" and role not in {"tool", "assistant"}:
                raise self.bad(f"Unexpected role '{role}' after role 'tool'", "3230")
            before = role
            ids = [call["id"] for call in message.get("tool_calls") or ()]
            for identity in [*ids, message.get("tool_call_id", "000000000")]:
                if not _NINE.fullmatch(identity):
                    raise self.bad(
                        f"Tool call id was {identity} but must be a-z, A-Z, 0-9, with a length of 9.", "3280"
                    )
        if before == "assistant" and not messages[-1].get("prefix"):
            raise self.bad(
                "Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant"
            )

    def call_id(self, asked: Asked) -> str:
        """See `Vendor`."""
        return f"Mi{len(self.seen):07}"

    def reply(self, asked: Asked) -> Reply:
        """See `Vendor`."""
        reply = super().reply(asked)
        finish = {"full": "model_length", "broken": "error"}.get(asked.model)
        return reply if finish is None else reply._replace(finish=finish)

    def message(self, asked: Asked, reply: Reply) -> Body:
        """See `Vendor`."""
        message = super().message(asked, reply._replace(thought=""))
        text = [{"type": "text", "text": reply.text}] if reply.text else []
        return message | {"content": [*_thinking(reply.thought), *text]}

    def thought_delta(self, piece: str) -> Body:
        """See `Vendor`."""
        return {"content": _thinking(piece)}

    def call_deltas(self, asked: Asked) -> Iterator[Body]:
        """See `Vendor`. It comes whole."""
        yield {"tool_calls": [{"index": 0, **self.call(asked)}]}

    def closing(self, asked: Asked, reply: Reply) -> Iterator[bytes]:
        """See `Vendor`."""
        yield self.chunk(asked, {"content": ""}, reply.finish, usage=self.usage())

    def usage(self) -> Body:
        """See `Vendor`. It tells no details."""
        return {name: value for name, value in super().usage().items() if not name.endswith("_details")}


def _thinking(text: str) -> list[Body]:
    return [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}] if text else []


class Groq(Vendor):
    """Groq: reasoning in the text unless parsed, usage in two places, and calls that it could not read itself."""

    name = "groq"
    prefix = "/openai/v1"
    thought_field = "reasoning"
    errors: ClassVar[Errors] = {
        OVERLONG: (
            400,
            {
                "error": {
                    "message": "Please reduce the length of the messages or completion.",
                    "type": "invalid_request_error",
                    "param": "messages",
                    "code": "context_length_exceeded",
                }
            },
        ),
        LIMITED: (
            429,
            {
                "error": {
                    "message": "Rate limit reached for model `main` on tokens per minute (TPM): Limit 6000, Used 5990. "
                    "Please try again in 7.66s.",
                    "type": "tokens",
                    "code": "rate_limit_exceeded",
                }
            },
        ),
    }

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[str] = Counter()

    def refuse(self, asked: Asked) -> None:
        """See `Vendor`."""
        super().refuse(asked)
        if asked.body.get("n", 1) > 1:
            raise self.bad("'n' : number must be at most 1")
        if any("reasoning_content" in message for message in asked.messages):
            raise self.bad("'messages.1' : property 'reasoning_content' is unsupported")
        self.asked[asked.model] += 1
        if asked.model == "garbles" or (asked.model == "garbles-once" and self.asked[asked.model] % 2):
            error = {
                "message": "Failed to call a function. Please adjust your prompt. See 'failed_generation' for more "
                "details.",
                "type": "invalid_request_error",
                "code": "tool_use_failed",
                "failed_generation": '<function=get_weather{"city": "Bern"}',
            }
            raise RefusedError(400, {"error": error})

    def usage(self) -> Body:
        """See `Vendor`. It tells nothing of caches."""
        return {name: value for name, value in super().usage().items() if name != "prompt_tokens_details"}

    def reply(self, asked: Asked) -> Reply:
        """See `Vendor`."""
        reply = super().reply(asked)
        if asked.body.get("reasoning_format") == "parsed":
            return reply
        return reply._replace(thought="", text=f"<think>{reply.thought}</think>\n{reply.text}")

    def closing(self, asked: Asked, reply: Reply) -> Iterator[bytes]:
        """See `Vendor`."""
        yield self.chunk(asked, {}, reply.finish, x_groq={"id": "req_1", "usage": self.usage()})
        if asked.wants_usage:
            yield frame({**self.head(asked, "chat.completion.chunk"), "choices": [], "usage": self.usage()})


class Together(Vendor):
    """Together: reasoning by its newer name, usage on the last chunk with a choice."""

    name = "together"
    thought_field = "reasoning"
    reports_usage = False
    errors: ClassVar[Errors] = {
        OVERLONG: (
            422,
            {
                "id": "o1",
                "error": {
                    "message": f"Input validation error: `inputs` tokens + `max_new_tokens` must be <= {BOUND_TOKENS}. "
                    f"Given: {ASKED_TOKENS} `inputs` tokens and 0 `max_new_tokens`",
                    "type": "invalid_request_error",
                    "param": None,
                    "code": None,
                },
            },
        ),
    }

    def usage(self) -> Body:
        """See `Vendor`. It tells no details."""
        return {name: value for name, value in super().usage().items() if not name.endswith("_details")}

    def closing(self, asked: Asked, reply: Reply) -> Iterator[bytes]:
        """See `Vendor`."""
        yield self.chunk(asked, {"content": ""}, reply.finish, usage=self.usage())


class Fireworks(Together):
    """Fireworks: as Together, in its own words."""

    name = "fireworks"
    prefix = "/inference/v1"
    errors: ClassVar[Errors] = {
        OVERLONG: (
            400,
            {
                "error": {
                    "object": "error",
                    "type": "invalid_request_error",
                    "code": "invalid_request_error",
                    "message": f"The prompt is too long: {ASKED_TOKENS}, model maximum context length: {BOUND_TOKENS}",
                }
            },
        ),
    }


class OpenRouter(Vendor):
    """OpenRouter: comments while it waits, reasoning that must come back with its proof, errors inside a 200."""

    name = "openrouter"
    prefix = "/api/v1"
    thought_field = "reasoning"
    errors: ClassVar[Errors] = {
        OVERLONG: (
            400,
            {
                "error": {
                    "message": "Provider returned error",
                    "code": 400,
                    "metadata": {
                        "raw": json.dumps(
                            {
                                "error": {
                                    "message": f"This model's maximum context length is {BOUND_TOKENS} tokens, and you "
                                    f"sent {ASKED_TOKENS}."
                                }
                            }
                        ),
                        "provider_name": "Chutes",
                    },
                },
                "user_id": "user_1",
            },
        ),
        BLOCKED: (
            403,
            {
                "error": {
                    "message": 'acme/main requires moderation on Acme. Your input was flagged for "violence".',
                    "code": 403,
                    "metadata": {"reasons": ["violence"], "flagged_input": "quoted"},
                }
            },
        ),
        UNPAID: (402, {"error": {"message": "Insufficient credits. Add more using our website", "code": 402}}),
    }

    def refuse(self, asked: Asked) -> None:
        """See `Vendor`."""
        super().refuse(asked)
        body = asked.body
        if "reasoning_effort" in body and "reasoning" in body:
            raise self.bad("Only one of reasoning and reasoning_effort may be given")
        for message in asked.loop():
            details = message.get("reasoning_details") or [{}]
            if message.get("tool_calls") and details[0].get("signature") != SIGNATURE:
                raise self.bad("Expected `thinking` before `tool_use`: preserve reasoning_details")
            if message.get("tool_calls") and details[0].get("text") != self.reply(asked).thought:
                raise self.bad("`thinking` blocks cannot be modified")

    def thinks(self, asked: Asked) -> bool:
        """See `Vendor`."""
        return (asked.body.get("reasoning") or {}).get("enabled") is not False

    def usage(self) -> Body:
        """See `Vendor`."""
        return super().usage() | {"cost": 0.00042, "is_byok": False}

    def message(self, asked: Asked, reply: Reply) -> Body:
        """See `Vendor`."""
        message = super().message(asked, reply)
        if reply.thought:
            item = {"type": "reasoning.text", "text": reply.thought, "signature": SIGNATURE, "index": 0}
            message["reasoning_details"] = [{**item, "format": "anthropic-claude-v1"}]
        return message

    def deltas(self, asked: Asked, reply: Reply) -> Iterator[Body]:
        """See `Vendor`."""
        yield {"role": "assistant", "content": ""}
        item = {"type": "reasoning.text", "index": 0}
        for piece in halves(reply.thought):
            yield {"reasoning": piece, "reasoning_details": [{**item, "text": piece}]}
        if reply.thought:
            yield {"reasoning_details": [{**item, "signature": SIGNATURE, "format": "anthropic-claude-v1"}]}
        yield from (delta for delta in super().deltas(asked, reply._replace(thought="")) if "role" not in delta)

    def whole(self, asked: Asked, reply: Reply) -> Body:
        """See `Vendor`."""
        if asked.model == "fails":
            return {"error": {"message": "Provider returned error", "code": 502}, "user_id": "user_1"}
        return super().whole(asked, reply)

    def events(self, asked: Asked, reply: Reply) -> Iterator[bytes]:
        """See `Vendor`."""
        yield b": OPENROUTER PROCESSING\n\n" * 2
        if asked.model in {"fails", "fails-midway"}:
            if asked.model == "fails-midway":
                yield self.chunk(asked, {"role": "assistant", "content": TEXT})
            error = {"code": 502, "message": "Provider disconnected"}
            yield self.chunk(asked, {"content": ""}, "error", error=error)
            return
        yield from super().events(asked, reply)
