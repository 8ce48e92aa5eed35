/**
 * What a conversation looks like to a model: the body of a request.
 */
import { sent } from "./parameters.js";

/**
 * @param {any} settings `{system, parameters, tools, toolChoice, format, schema}`
 * @param {any[]} turns up to the answer that is wanted
 * @param {string} name of the model
 * @param {any} model of the model square
 */
export function bodyOf(settings, turns, name, model) {
  const body = { model: name, messages: messagesOf(settings.system, turns), stream: true, ...sent(settings.parameters, model) };
  const tools = toolsOf(settings.tools).tools;
  if (tools?.length) {
    body.tools = tools;
    if (settings.toolChoice !== "auto") body.tool_choice = settings.toolChoice;
  }
  const format = formatOf(settings);
  if (format) body.response_format = format;
  return body;
}

function messagesOf(system, turns) {
  const messages = system.trim() ? [{ role: "system", content: system }] : [];
  const given = new Set(turns.map((turn) => turn.callId));
  const called = new Set();
  for (const turn of turns) {
    // Every model refuses a call without a result, and a result without its call.
    const calls = (turn.calls ?? []).filter((call) => given.has(call.id));
    for (const call of calls) called.add(call.id);
    if (turn.role === "user") messages.push({ role: "user", content: contentOf(turn) });
    else if (turn.role === "tool" && called.has(turn.callId)) messages.push({ role: "tool", tool_call_id: turn.callId, content: turn.text });
    // An answer that failed before its first word says nothing to the next model.
    else if (turn.role === "assistant" && (turn.text || calls.length)) messages.push(answerOf(turn, calls));
  }
  return messages;
}

function answerOf({ text }, calls) {
  const message = { role: "assistant", content: text || null };
  if (calls.length) {
    message.tool_calls = calls.map(({ id, name, arguments: given }) => ({ id, type: "function", function: { name, arguments: given || "{}" } }));
  }
  return message;
}

function contentOf({ text, images }) {
  if (!images.length) return text;
  const pictures = images.map((image) => ({ type: "image_url", image_url: { url: image.url } }));
  return text ? [{ type: "text", text }, ...pictures] : pictures;
}

/**
 * Tools as they were typed.
 * @param {string} text a JSON array of tools, or of bare functions
 * @returns {{tools?: object[], fault?: "json"|"array"|"name"}}
 */
export function toolsOf(text) {
  if (!text.trim()) return { tools: [] };
  let found;
  try {
    found = JSON.parse(text);
  } catch {
    return { fault: "json" };
  }
  if (!Array.isArray(found)) found = [found];
  const tools = found.map((each) => (each?.type === "function" || !each?.name ? each : { type: "function", function: each }));
  if (tools.some((each) => typeof each !== "object" || each === null)) return { fault: "array" };
  return tools.every((each) => each.type !== "function" || each.function?.name) ? { tools } : { fault: "name" };
}

/** @returns {{schema?: object, fault?: "json"|"array"}} of a JSON schema as it was typed */
export function schemaOf(text) {
  try {
    const schema = JSON.parse(text);
    return schema && typeof schema === "object" && !Array.isArray(schema) ? { schema } : { fault: "array" };
  } catch {
    return { fault: "json" };
  }
}

function formatOf({ format, schema }) {
  if (format === "json_object") return { type: "json_object" };
  const found = format === "json_schema" ? schemaOf(schema).schema : null;
  return found && { type: "json_schema", json_schema: { name: nameOf(found), schema: found, strict: true } };
}

function nameOf(schema) {
  return String(schema.title ?? "answer").replace(/[^\w-]+/g, "_").slice(0, 64) || "answer";
}
