"""How a channel speaks to the vendors that other gateways know by name: what docs/dialects.md recommends, as data."""

from typing import Any, Final

import msgspec

from trunkline.protocol import names


class Vendor(msgspec.Struct, frozen=True):
    """A vendor.

    Attributes:
        base_url: its own address; empty where everybody has another.
        dialect: see `protocol.names.UPSTREAMS`.
        variable: where LiteLLM looks for its key when the file has none; empty: it needs none.
        fields: further fields of its channels, as in a configuration file.
    """

    base_url: str
    dialect: str = names.UPSTREAM_OPENAI
    variable: str = ""
    fields: dict[str, Any] = {}


_DEEPSEEK: Final = {
    "options": {
        "reasoning_replay": "always",
        "thinking_field": "thinking",
        "efforts": ["low", "medium", "high", "xhigh", "max"],
        "json_schema": False,
    },
    "params": {"drop": ["seed"]},
}
_QWEN: Final = {
    "options": {"thinking_field": "enable_thinking", "cache_marks": True},
    "params": {"drop": ["frequency_penalty"], "clamp": {"top_p": {"min": 0.01, "max": 0.99}}},
}
_MOONSHOT: Final = {
    "options": {
        "reasoning_replay": "tool_loop",
        "efforts": ["low", "high", "max"],
        "tool_schemas": "plain",
        "inline_images": True,
    },
    "params": {"clamp": {"temperature": {"min": 0, "max": 1}}},
}
_ZHIPU: Final = {
    "options": {
        "translated": True,
        "reasoning_replay": "tool_loop",
        "thinking_field": "thinking",
        "forced_tools": False,
        "json_schema": False,
    },
    "params": {"clamp": {"top_p": {"min": 0.01, "max": 0.99}}},
}
_XAI: Final = {
    "options": {"translated": True},
    "params": {"drop": ["presence_penalty", "frequency_penalty", "stop", "reasoning_effort"]},
}
_MISTRAL: Final = {
    "stream_usage": False,
    "options": {
        "translated": True,
        "required_word": "any",
        "tool_ids": "alphanumeric_9",
        "tool_bridge": "OK.",
    },
    "params": {"drop": ["seed", "reasoning_effort", "prompt_cache_key"]},
}
_OPENROUTER: Final = {
    "options": {
        "reasoning_field": "reasoning_details",
        "reasoning_replay": "tool_loop",
        "thinking_field": "reasoning",
        "cache_marks": True,
    }
}
_VLLM: Final = {
    "options": {
        "reasoning_field": "reasoning",
        "reasoning_replay": "tool_loop",
        "thinking_field": "chat_template_kwargs",
        "instructions_midway": False,
    }
}
_OLLAMA: Final = {"options": {"translated": True, "inline_images": True}}

VENDORS: Final[dict[str, Vendor]] = {
    "openai": Vendor("https://api.openai.com/v1", variable="OPENAI_API_KEY"),
    "azure": Vendor("", names.UPSTREAM_AZURE, "AZURE_API_KEY"),
    "anthropic": Vendor("https://api.anthropic.com/v1", names.UPSTREAM_ANTHROPIC, "ANTHROPIC_API_KEY"),
    "gemini": Vendor("https://generativelanguage.googleapis.com/v1beta", names.UPSTREAM_GEMINI, "GEMINI_API_KEY"),
    "deepseek": Vendor("https://api.deepseek.com/v1", variable="DEEPSEEK_API_KEY", fields=_DEEPSEEK),
    "dashscope": Vendor(
        "https://dashscope.aliyuncs.com/compatible-mode/v1", variable="DASHSCOPE_API_KEY", fields=_QWEN
    ),
    "moonshot": Vendor("https://api.moonshot.ai/v1", variable="MOONSHOT_API_KEY", fields=_MOONSHOT),
    "zai": Vendor("https://api.z.ai/api/paas/v4", variable="ZAI_API_KEY", fields=_ZHIPU),
    "zhipu": Vendor("https://open.bigmodel.cn/api/paas/v4", fields=_ZHIPU),
    "xai": Vendor("https://api.x.ai/v1", variable="XAI_API_KEY", fields=_XAI),
    "mistral": Vendor("https://api.mistral.ai/v1", variable="MISTRAL_API_KEY", fields=_MISTRAL),
    "groq": Vendor("https://api.groq.com/openai/v1", variable="GROQ_API_KEY"),
    "together_ai": Vendor("https://api.together.xyz/v1", variable="TOGETHERAI_API_KEY"),
    "fireworks_ai": Vendor("https://api.fireworks.ai/inference/v1", variable="FIREWORKS_AI_API_KEY"),
    "openrouter": Vendor("https://openrouter.ai/api/v1", variable="OPENROUTER_API_KEY", fields=_OPENROUTER),
    "perplexity": Vendor("https://api.perplexity.ai", variable="PERPLEXITYAI_API_KEY"),
    "deepinfra": Vendor("https://api.deepinfra.com/v1/openai", variable="DEEPINFRA_API_KEY"),
    "cerebras": Vendor("https://api.cerebras.ai/v1", variable="CEREBRAS_API_KEY"),
    "sambanova": Vendor("https://api.sambanova.ai/v1", variable="SAMBANOVA_API_KEY"),
    "nvidia_nim": Vendor("https://integrate.api.nvidia.com/v1", variable="NVIDIA_NIM_API_KEY"),
    "volcengine": Vendor("https://ark.cn-beijing.volces.com/api/v3", variable="VOLCENGINE_API_KEY"),
    "hosted_vllm": Vendor("", fields=_VLLM),
    "vllm": Vendor("", fields=_VLLM),
    "ollama": Vendor("http://localhost:11434/v1", fields=_OLLAMA),
    "ollama_chat": Vendor("http://localhost:11434/v1", fields=_OLLAMA),
    "openai_like": Vendor(""),
    "custom_openai": Vendor(""),
    "litellm_proxy": Vendor(""),
    "lm_studio": Vendor(""),
    "llamafile": Vendor(""),
    "xinference": Vendor(""),
    "text-completion-openai": Vendor("https://api.openai.com/v1", variable="OPENAI_API_KEY"),
}
"""By the names that LiteLLM has for its providers, as far as they speak one of our dialects."""
