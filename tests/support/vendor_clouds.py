"""DeepSeek, Qwen, Moonshot, Zhipu and xAI: what each refuses and how it answers (DIALECTS sections 2.5 and 6).

Their errors are worded as their users quote them in public trackers.
"""

from collections.abc import Iterator
from typing import ClassVar

from tests.support.vendor_base import (
    ASKED_TOKENS,
    BLOCKED,
    BOUND_TOKENS,
    CACHED_TOKENS,
    COMPLETION_TOKENS,
    LIMITED,
    OVERLONG,
    PROMPT_TOKENS,
    REASONING_TOKENS,
    UNPAID,
    Asked,
    Body,
    Errors,
    RefusedError,
    Reply,
    Vendor,
    frame,
)


def _error(message: str, kind: str = "invalid_request_error", code: object = None) -> Body:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


class DeepSeek(Vendor):
    """DeepSeek: its reasoning must come back on every turn, and it shows that it lives by comments and blank lines."""

    name = "deepseek"
    errors: ClassVar[Errors] = {
        OVERLONG: (
            400,
            _error(
                f"This model's maximum context length is {BOUND_TOKENS} tokens. However, you requested {ASKED_TOKENS} "
                "tokens. Please reduce the length of the messages or completion.",
                code="invalid_request_error",
            ),
        ),
        BLOCKED: (400, _error("Content Exists Risk", code="invalid_request_error")),
        UNPAID: (402, _error("Insufficient Balance", "unknown_error", "invalid_request_error")),
    }

    def refuse(self, asked: Asked) -> None:
        """See `Vendor`."""
        super().refuse(asked)
        body = asked.body
        if body.get("thinking", {"type": "enabled"}).get("type") not in {"enabled", "disabled"}:
            raise self.bad("thinking.type must be enabled or disabled")
        if body.get("reasoning_effort") not in {None, "low", "medium", "high", "xhigh", "max"}:
            raise self.bad(f"reasoning_effort: unknown variant `{body['reasoning_effort']}`")
        if (body.get("response_format") or {}).get("type") == "json_schema":
            raise self.bad("This response_format type is unavailable now")
        for field in ("seed", "top_k"):
            if field in body:
                raise self.bad(f"{field} is not supported")
        for message in asked.messages:
            if message["role"] == "developer":
                raise self.bad("messages: unknown variant `developer`, expected one of `system`, `user`, `assistant`")
            if self.thinks(asked) and message["role"] == "assistant" and "reasoning_content" not in message:
                raise self.bad("The `reasoning_content` in the thinking mode must be passed back to the API.")

    def thinks(self, asked: Asked) -> bool:
        """See `Vendor`."""
        return bool(asked.body.get("thinking", {}).get("type") != "disabled")

    def reply(self, asked: Asked) -> Reply:
        """See `Vendor`."""
        reply = super().reply(asked)
        return reply._replace(finish="insufficient_system_resource") if asked.model == "exhausted" else reply

    def usage(self) -> Body:
        """See `Vendor`."""
        hits = {"prompt_cache_hit_tokens": CACHED_TOKENS, "prompt_cache_miss_tokens": PROMPT_TOKENS - CACHED_TOKENS}
        usage = super().usage() | hits
        del usage["prompt_tokens_details"]
        return usage

    def write(self, whole: Body) -> bytes:
        """See `Vendor`."""
        return b"\n\n\n" + super().write(whole)

    def events(self, asked: Asked, reply: Reply) -> Iterator[bytes]:
        """See `Vendor`."""
        yield b": keep-alive\n\n: keep-alive\n\n"
        yield from super().events(asked, reply)


class Qwen(Vendor):
    """Qwen at DashScope: narrow bounds, and models that think in streams only."""

    name = "qwen"
    prefix = "/compatible-mode/v1"
    errors: ClassVar[Errors] = {
        OVERLONG: (
            400,
            _error(
                f"<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, {BOUND_TOKENS}]",
                code="invalid_parameter_error",
            ),
        ),
        BLOCKED: (
            400,
            _error("Input data may contain inappropriate content.", "data_inspection_failed", "data_inspection_failed"),
        ),
        UNPAID: (
            400,
            _error("Access denied, please make sure your account is in good standing.", "Arrearage", "Arrearage"),
        ),
    }

    def bad(self, message: str) -> RefusedError:
        """See `Vendor`."""
        return RefusedError(400, _error(message, code="invalid_parameter_error"))

    def refuse(self, asked: Asked) -> None:
        """See `Vendor`."""
        super().refuse(asked)
        body = asked.body
        if not 0 < body.get("top_p", 0.5) < 1:
            raise self.bad("<400> InternalError.Algo.InvalidParameter: Range of top_p should be (0.0, 1.0)")
        if "frequency_penalty" in body:
            raise self.bad("frequency_penalty is not supported")
        if asked.model == "open" and not asked.stream and body.get("enable_thinking") is not False:
            raise self.bad("parameter.enable_thinking must be set to false for non-streaming calls")
        if asked.model == "thinking-only" and not asked.stream:
            raise self.bad(
                "This model only support stream mode, please enable the stream parameter to access the model."
            )
        if "thinking_budget" in body and not (body.get("enable_thinking") and body["thinking_budget"] > 0):
            raise self.bad("thinking_budget needs enable_thinking and must be positive")

    def thinks(self, asked: Asked) -> bool:
        """See `Vendor`."""
        return asked.body.get("enable_thinking") is not False

    def usage(self) -> Body:
        """See `Vendor`. Ten tokens were written to the cache."""
        usage = super().usage()
        usage["prompt_tokens_details"] |= {"cache_creation_input_tokens": 10, "cache_type": "ephemeral"}
        return usage


class Moonshot(Vendor):
    """Kimi: its own flavour of schemas, no pictures by URL, a result for every call, and cool heads only."""

    name = "moonshot"
    errors: ClassVar[Errors] = {
        OVERLONG: (
            400,
            _error(
                f"Invalid request: Your request exceeded model token limit: {BOUND_TOKENS} (requested: {ASKED_TOKENS})"
            ),
        ),
        BLOCKED: (400, _error("The request was rejected because it was considered high risk", "content_filter")),
        UNPAID: (
            429,
            _error(
                "Your account is suspended due to insufficient balance, please recharge your account or check your "
                "plan and billing details",
                "exceeded_current_quota_error",
            ),
        ),
    }

    def refuse(self, asked: Asked) -> None:
        """See `Vendor`."""
        super().refuse(asked)
        body = asked.body
        if not 0 <= body.get("temperature", 0.6) <= 1:
            raise self.bad("Invalid request: invalid temperature: only values between 0 and 1 are allowed")
        if body.get("reasoning_effort") not in {None, "low", "high", "max"}:
            raise self.bad(f"Invalid request: unknown reasoning_effort {body['reasoning_effort']}")
        for part in asked.parts("image_url"):
            if not part["image_url"]["url"].startswith(("data:", "ms://")):
                raise self.bad("Invalid request: unsupported image url")
        for tool in body.get("tools") or ():
            schema = tool["function"].get("parameters") or {}
            if schema.get("type") != "object":
                raise self.bad('tools.function.parameters.type is required and must be "object"')
            self._check_schema(schema, "root")
        for index, message in enumerate(asked.messages):
            if message.get("tool_calls") and "reasoning_content" not in message:
                raise self.bad(
                    "thinking is enabled but reasoning_content is missing in assistant tool call message at index "
                    f"{index}"
                )

    def _check_schema(self, schema: object, path: str) -> None:
        if isinstance(schema, list):
            for item in schema:
                self._check_schema(item, path)
        if not isinstance(schema, dict):
            return
        flaw = ""
        if "$schema" in schema:
            flaw = "unexpected keyword $schema"
        elif "type" in schema and ("anyOf" in schema or "oneOf" in schema):
            flaw = "when using anyOf, type should be defined in anyOf items instead of the parent schema"
        if flaw:
            raise self.bad(
                f"tools.function.parameters is not a valid moonshot flavored json schema, details: <At path '{path}': "
                f"{flaw}>"
            )
        for name, value in schema.get("properties", {}).items():
            self._check_schema(value, f"properties.{name}")
        for name in ("items", "anyOf", "oneOf"):
            self._check_schema(schema.get(name), name)

    def usage(self) -> Body:
        """See `Vendor`."""
        usage = super().usage() | {"cached_tokens": CACHED_TOKENS}
        del usage["prompt_tokens_details"]
        return usage


class Zhipu(Vendor):
    """GLM: tools by the model's choice only, codes that are numbers in strings, usage on the last chunk."""

    name = "zhipu"
    prefix = "/api/paas/v4"
    reports_usage = False
    errors: ClassVar[Errors] = {
        OVERLONG: (400, {"error": {"code": "1261", "message": "Prompt exceeds max length"}}),
        BLOCKED: (
            400,
            {
                "contentFilter": [{"level": 1, "role": "user"}],
                "error": {"code": "1301", "message": "系统检测到输入或生成内容可能包含不安全或敏感内容,请您避免输入。"},
            },
        ),
        UNPAID: (429, {"error": {"code": "1113", "message": "余额不足或无可用资源包,请充值。"}}),
        LIMITED: (429, {"error": {"code": "1302", "message": "您的账户已达到速率限制,请您控制请求频率"}}),
    }

    def bad(self, message: str) -> RefusedError:
        """See `Vendor`."""
        return RefusedError(400, {"error": {"code": "1210", "message": message}})

    def refuse(self, asked: Asked) -> None:
        """See `Vendor`."""
        super().refuse(asked)
        body = asked.body
        if not 0 < body.get("top_p", 0.5) < 1:
            raise self.bad("top_p 参数非法。请检查文档。")
        if body.get("tool_choice", "auto") != "auto":
            raise self.bad("tool_choice 参数非法。请检查文档。")
        if body.get("thinking", {"type": "enabled"}).get("type") not in {"enabled", "disabled"}:
            raise self.bad("thinking 参数非法。请检查文档。")
        if (body.get("response_format") or {}).get("type") == "json_schema":
            raise self.bad("response_format 参数非法。请检查文档。")
        if any("reasoning_content" not in message for message in asked.loop()):
            raise self.bad("messages 参数非法。请检查文档。")

    def thinks(self, asked: Asked) -> bool:
        """See `Vendor`."""
        return bool(asked.body.get("thinking", {}).get("type") != "disabled")

    def reply(self, asked: Asked) -> Reply:
        """See `Vendor`."""
        reply = super().reply(asked)
        match asked.model:
            case "sensitive":
                return reply._replace(text="", thought="", finish="sensitive")
            case "network":
                return reply._replace(finish="network_error")
            case _:
                return reply

    def closing(self, asked: Asked, reply: Reply) -> Iterator[bytes]:
        """See `Vendor`."""
        yield self.chunk(asked, {"content": ""}, reply.finish, usage=self.usage())


class XAI(Vendor):
    """xAI: reasoning outside the completion's count, and usage before an empty last chunk."""

    name = "xai"
    errors: ClassVar[Errors] = {
        OVERLONG: (
            400,
            {
                "code": "Client specified an invalid argument",
                "error": f"This model's maximum prompt length is {BOUND_TOKENS} but the request contains "
                f"{ASKED_TOKENS} tokens.",
            },
        ),
        BLOCKED: (
            403,
            {
                "code": "The caller does not have permission to execute the specified operation",
                "error": "Content violates usage guidelines. Team: 00000000-1111-2222-3333-444444444444, Model: main",
            },
        ),
        UNPAID: (
            403,
            {
                "code": "The caller does not have permission to execute the specified operation",
                "error": "Your newly created team doesn't have any credits yet.",
            },
        ),
    }

    def bad(self, message: str) -> RefusedError:
        """See `Vendor`."""
        return RefusedError(400, {"code": "Client specified an invalid argument", "error": message})

    def refuse(self, asked: Asked) -> None:
        """See `Vendor`."""
        super().refuse(asked)
        for field in ("presence_penalty", "frequency_penalty", "stop", "reasoning_effort"):
            if field in asked.body:
                raise self.bad(f"Model {asked.model} does not support parameter {field}.")

    def usage(self) -> Body:
        """See `Vendor`. The total tells that reasoning is not among the completion."""
        return super().usage() | {"completion_tokens": COMPLETION_TOKENS - REASONING_TOKENS}

    def closing(self, asked: Asked, reply: Reply) -> Iterator[bytes]:
        """See `Vendor`."""
        yield self.chunk(asked, {}, reply.finish, usage=self.usage())
        yield frame({**self.head(asked, "chat.completion.chunk"), "choices": []})
