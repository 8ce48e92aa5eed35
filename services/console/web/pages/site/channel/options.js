/**
 * The options of vendors: name, default, and what else they may be (docs/dialects.md).
 */
const SWITCH = "true, false";

export const OPTIONS = [
  ["translated", "false", SWITCH],
  ["max_completion_tokens", "false", SWITCH],
  ["developer_role", "false", SWITCH],
  ["instructions_midway", "null", `${SWITCH}, null`],
  ["parallel_switch", "true", SWITCH],
  ["forced_tools", "true", SWITCH],
  ["tool_strict", "true", SWITCH],
  ["tool_schemas", "any", "any, plain"],
  ["json_schema", "true", SWITCH],
  ["required_word", "required", "…"],
  ["tool_ids", "any", "any, alphanumeric_9"],
  ["tool_bridge", '""', "…"],
  ["reasoning_field", "reasoning_content", "…"],
  ["reasoning_replay", "never", "never, tool_loop, always"],
  ["thinking_field", "reasoning_effort", "reasoning_effort, thinking, enable_thinking, reasoning, chat_template_kwargs"],
  ["efforts", "[]", "none, minimal, low, medium, high, xhigh, max"],
  ["think_tags", "false", SWITCH],
  ["lenient_end", "false", SWITCH],
  ["cache_marks", "false", SWITCH],
  ["auth_bearer", "false", SWITCH],
  ["tools_by_responses", "false", SWITCH],
  ["completions", "true", SWITCH],
  ["api_version", '""', "2024-10-21 …"],
  ["betas", '["*"]', "…"],
  ["max_output", "0", "0, 1, 2 …"],
  ["forward_fields", "[]", "top_k, service_tier"],
  ["inline_images", "null", `${SWITCH}, null`],
  ["prefix", "none", "none, last_message, prefix, partial, continue_final_message"],
];
