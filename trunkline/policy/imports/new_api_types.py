"""New API's types of channels, by number, and what they are here (its ``constant/channel.go`` names them)."""

from typing import Final

import msgspec

from trunkline.policy.imports.vendors import VENDORS
from trunkline.protocol import names


class ChannelType(msgspec.Struct, frozen=True):
    """A type of channel.

    Attributes:
        name: for people, and for channels without one.
        host: the address where a channel names none; empty where each must.
        path: what stands between the host and the endpoints.
        vendor: one of `vendors.VENDORS`, for its dialect and options.
    """

    name: str
    host: str = ""
    path: str = "/v1"
    vendor: str = "openai_like"

    @property
    def dialect(self) -> str:
        """See `protocol.names.UPSTREAMS`."""
        return VENDORS[self.vendor].dialect


AZURE: Final = 3
CUSTOM: Final = 8

TYPES: Final[dict[int, ChannelType]] = {
    1: ChannelType("OpenAI", "https://api.openai.com", vendor="openai"),
    AZURE: ChannelType("Azure", path="", vendor="azure"),
    4: ChannelType("Ollama", "http://localhost:11434", vendor="ollama"),
    6: ChannelType("OpenAIMax", "https://api.openaimax.com"),
    7: ChannelType("OhMyGPT", "https://api.ohmygpt.com"),
    CUSTOM: ChannelType("Custom", path=""),
    9: ChannelType("AILS", "https://api.caipacity.com"),
    10: ChannelType("AIProxy", "https://api.aiproxy.io"),
    12: ChannelType("API2GPT", "https://api.api2gpt.com"),
    13: ChannelType("AIGC2D", "https://api.aigc2d.com"),
    14: ChannelType("Anthropic", "https://api.anthropic.com", vendor="anthropic"),
    17: ChannelType("Ali", "https://dashscope.aliyuncs.com", "/compatible-mode/v1", "dashscope"),
    19: ChannelType("360", "https://api.360.cn"),
    20: ChannelType("OpenRouter", "https://openrouter.ai/api", vendor="openrouter"),
    22: ChannelType("FastGPT", "https://fastgpt.run/api/openapi"),
    24: ChannelType("Gemini", "https://generativelanguage.googleapis.com", "/v1beta", "gemini"),
    25: ChannelType("Moonshot", "https://api.moonshot.cn", vendor="moonshot"),
    26: ChannelType("Zhipu", "https://open.bigmodel.cn", "/api/paas/v4", "zhipu"),
    27: ChannelType("Perplexity", "https://api.perplexity.ai", "", "perplexity"),
    31: ChannelType("LingYiWanWu", "https://api.lingyiwanwu.com"),
    35: ChannelType("MiniMax", "https://api.minimax.chat"),
    38: ChannelType("Jina", "https://api.jina.ai"),
    40: ChannelType("SiliconFlow", "https://api.siliconflow.cn"),
    42: ChannelType("Mistral", "https://api.mistral.ai", vendor="mistral"),
    43: ChannelType("DeepSeek", "https://api.deepseek.com", vendor="deepseek"),
    45: ChannelType("VolcEngine", "https://ark.cn-beijing.volces.com", "/api/v3", "volcengine"),
    46: ChannelType("Baidu", "https://qianfan.baidubce.com", "/v2"),
    47: ChannelType("Xinference"),
    48: ChannelType("xAI", "https://api.x.ai", vendor="xai"),
    53: ChannelType("Submodel", "https://llm.submodel.ai"),
}
"""Those that speak one of our dialects. New API puts an OpenAI path behind the host, so base URLs get it here."""

OTHERS: Final[dict[int, str]] = {
    2: "Midjourney",
    5: "Midjourney",
    11: "PaLM",
    15: "Baidu's older API",
    16: "Zhipu's older API",
    18: "Xunfei",
    21: "AIProxy's library",
    23: "Tencent's own API",
    33: "AWS Bedrock",
    34: "Cohere's own API",
    36: "Suno",
    37: "Dify",
    39: "Cloudflare",
    41: "Vertex AI",
    44: "MokaAI",
    49: "Coze",
    50: "Kling",
    51: "Jimeng",
    52: "Vidu",
    54: "Doubao's videos",
    55: "Sora",
    56: "Replicate",
    57: "Codex",
}
"""Those that speak none."""

PLANS: Final = {
    "glm-coding-plan": "https://open.bigmodel.cn/api/coding/paas/v4",
    "glm-coding-plan-international": "https://api.z.ai/api/coding/paas/v4",
    "kimi-coding-plan": "https://api.kimi.com/coding/v1",
    "doubao-coding-plan": "https://ark.cn-beijing.volces.com/api/coding/v3",
}
"""Words that may stand in place of a base URL."""

PLAN_DIALECTS: Final = frozenset({names.UPSTREAM_OPENAI})
