/**
 * What is known of vendors: where they are, which dialect they speak, and what they need beside it (docs/dialects.md).
 */
const openai = (base_url, rest = {}) => ({ dialect: "openai", base_url, ...rest });

export const VENDORS = {
  OpenAI: openai("https://api.openai.com/v1"),
  "OpenAI Responses": { dialect: "openai-responses", base_url: "https://api.openai.com/v1" },
  "Azure OpenAI": { dialect: "azure", base_url: "https://NAME.openai.azure.com" },
  Anthropic: { dialect: "anthropic", base_url: "https://api.anthropic.com/v1" },
  "Google Gemini": { dialect: "gemini", base_url: "https://generativelanguage.googleapis.com/v1beta" },
  DeepSeek: openai("https://api.deepseek.com/v1", {
    options: { reasoning_replay: "always", thinking_field: "thinking", efforts: ["low", "medium", "high", "xhigh", "max"], json_schema: false },
    params: { drop: ["seed"] },
  }),
  "Qwen (DashScope)": openai("https://dashscope.aliyuncs.com/compatible-mode/v1", {
    options: { thinking_field: "enable_thinking", cache_marks: true },
    params: { drop: ["frequency_penalty"], clamp: { top_p: { min: 0.01, max: 0.99 } } },
  }),
  "Moonshot (Kimi)": openai("https://api.moonshot.ai/v1", {
    options: { reasoning_replay: "tool_loop", efforts: ["low", "high", "max"], tool_schemas: "plain", inline_images: true },
    params: { clamp: { temperature: { min: 0, max: 1 } } },
  }),
  "Zhipu (GLM)": openai("https://open.bigmodel.cn/api/paas/v4", {
    options: { translated: true, reasoning_replay: "tool_loop", thinking_field: "thinking", forced_tools: false, json_schema: false },
    params: { clamp: { top_p: { min: 0.01, max: 0.99 } } },
  }),
  xAI: openai("https://api.x.ai/v1", {
    options: { translated: true },
    params: { drop: ["presence_penalty", "frequency_penalty", "stop", "reasoning_effort"] },
  }),
  Mistral: openai("https://api.mistral.ai/v1", {
    stream_usage: false,
    options: { translated: true, required_word: "any", tool_ids: "alphanumeric_9", tool_bridge: "OK." },
    params: { drop: ["seed", "reasoning_effort", "prompt_cache_key"] },
  }),
  Groq: openai("https://api.groq.com/openai/v1"),
  Together: openai("https://api.together.xyz/v1"),
  Fireworks: openai("https://api.fireworks.ai/inference/v1"),
  OpenRouter: openai("https://openrouter.ai/api/v1", {
    options: { reasoning_field: "reasoning_details", reasoning_replay: "tool_loop", thinking_field: "reasoning", cache_marks: true },
  }),
  vLLM: openai("http://vllm:8000/v1", {
    options: { reasoning_field: "reasoning", reasoning_replay: "tool_loop", thinking_field: "chat_template_kwargs", instructions_midway: false },
  }),
  Ollama: openai("http://ollama:11434/v1", { options: { translated: true, inline_images: true } }),
  "llama.cpp": openai("http://llamacpp:8080/v1"),
};

export const DIALECTS = ["openai", "openai-responses", "azure", "anthropic", "gemini"];
