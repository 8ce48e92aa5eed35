"""vLLM, Ollama and llama.cpp's Python server: what each refuses and how it answers (DIALECTS section 6)."""

from collections.abc import Iterator
from typing import ClassVar

from tests.support.vendor_base import (
    ARGUMENTS,
    ASKED_TOKENS,
    BOUND_TOKENS,
    OVERLONG,
    Asked,
    Body,
    Errors,
    RefusedError,
    Reply,
    Vendor,
)


class VLLM(Vendor):
    """vLLM with a strict chat template: reasoning under its newer name, usage on every chunk where asked."""

    name = "vllm"
    thought_field = "reasoning"
    errors: ClassVar[Errors] = {
        OVERLONG: (
            400,
            {
                "object": "error",
                "message": f"This model's maximum context length is {BOUND_TOKENS} tokens. However, you requested "
                f"{ASKED_TOKENS} tokens in the messages, Please reduce the length of the messages.",
                "type": "BadRequestError",
                "param": None,
                "code": 400,
            },
        ),
    }

    def bad(self, message: str) -> RefusedError:
        """See `Vendor`."""
        error = {"message": message, "type": "BadRequestError", "param": None, "code": 400}
        return RefusedError(400, {"error": error})

    def refuse(self, asked: Asked) -> None:
        """See `Vendor`."""
        super().refuse(asked)
        if any(message["role"] == "system" for message in asked.messages[1:]):
            raise self.bad("System message must be at the beginning.")
        if any(message["role"] not in {"system", "user", "assistant", "tool"} for message in asked.messages):
            raise self.bad("Unexpected message role.")

    def thinks(self, asked: Asked) -> bool:
        """See `Vendor`."""
        return (asked.body.get("chat_template_kwargs") or {}).get("enable_thinking") is not False

    def reply(self, asked: Asked) -> Reply:
        """See `Vendor`."""
        reply = super().reply(asked)
        return reply._replace(finish="abort") if asked.model == "aborts" else reply

    def message(self, asked: Asked, reply: Reply) -> Body:
        """See `Vendor`. Its older versions used DeepSeek's name for reasoning."""
        message = super().message(asked, reply)
        if asked.model == "old" and "reasoning" in message:
            message["reasoning_content"] = message.pop("reasoning")
        return message

    def thought_delta(self, piece: str) -> Body:
        """See `Vendor`."""
        return {"reasoning_content" if self.seen[-1].model == "old" else "reasoning": piece}

    def usage(self) -> Body:
        """See `Vendor`. It does not count reasoning apart."""
        return super().usage() | {"completion_tokens_details": None}

    def chunk(self, asked: Asked, delta: Body, finish: str | None = None, **members: object) -> bytes:
        """See `Vendor`."""
        if (asked.body.get("stream_options") or {}).get("continuous_usage_stats"):
            so_far = {"prompt_tokens": 120, "completion_tokens": 1, "total_tokens": 121}
            members = {"usage": so_far, **members}
        return super().chunk(asked, delta, finish, **members)


class Ollama(Vendor):
    """Ollama: tool calls come whole and without ids, and an answer with calls says that it has stopped."""

    name = "ollama"
    thought_field = "reasoning"
    errors: ClassVar[Errors] = {
        "absent": (
            404,
            {
                "error": {
                    "message": 'model "absent" not found, try pulling it first',
                    "type": "not_found_error",
                    "param": None,
                    "code": None,
                }
            },
        ),
    }

    def refuse(self, asked: Asked) -> None:
        """See `Vendor`."""
        super().refuse(asked)
        for part in asked.parts("image_url"):
            if not part["image_url"]["url"].startswith("data:"):
                raise self.bad("invalid image input")

    def reply(self, asked: Asked) -> Reply:
        """See `Vendor`."""
        return super().reply(asked)._replace(finish="stop")

    def usage(self) -> Body:
        """See `Vendor`. It tells no details."""
        return {name: value for name, value in super().usage().items() if not name.endswith("_details")}

    def call(self, asked: Asked) -> Body:
        """See `Vendor`."""
        call = super().call(asked)
        del call["id"]
        return call

    def call_deltas(self, asked: Asked) -> Iterator[Body]:
        """See `Vendor`."""
        yield {"role": "assistant", "content": "", "tool_calls": [{"index": 0, **self.call(asked)}]}


class LlamaCpp(Vendor):
    """llama.cpp: no usage in streams from its Python server, timings beside it, and sizes beside its overflow."""

    name = "llamacpp"
    reports_usage = False
    errors: ClassVar[Errors] = {
        OVERLONG: (
            400,
            {
                "error": {
                    "code": 400,
                    "message": "the request exceeds the available context size. try increasing the context size or "
                    "enable context shift",
                    "type": "exceed_context_size_error",
                    "n_prompt_tokens": ASKED_TOKENS,
                    "n_ctx": BOUND_TOKENS,
                }
            },
        ),
        "overlong-as-500": (
            500,
            {
                "error": {
                    "code": 500,
                    "message": "the request exceeds the available context size.",
                    "type": "exceed_context_size_error",
                    "n_prompt_tokens": ASKED_TOKENS,
                    "n_ctx": BOUND_TOKENS,
                }
            },
        ),
    }

    def thinks(self, asked: Asked) -> bool:
        """See `Vendor`."""
        return False

    def usage(self) -> Body:
        """See `Vendor`. It tells no details."""
        return {name: value for name, value in super().usage().items() if not name.endswith("_details")}

    def whole(self, asked: Asked, reply: Reply) -> Body:
        """See `Vendor`."""
        return super().whole(asked, reply) | {"timings": {"prompt_n": 120, "predicted_per_second": 41.5}}

    def call_deltas(self, asked: Asked) -> Iterator[Body]:
        """See `Vendor`."""
        call = super().call(asked)
        call["function"]["arguments"] = ARGUMENTS
        yield {"tool_calls": [{"index": 0, **call}]}
