// One call through an official SDK. An order as JSON on standard input, what came of it as JSON on standard output:
// {text, reasoning, calls: [{id, name, arguments}], finish, usage: {input, output}} or {error: {name, status, message}}.

import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI } from "@google/genai";
import OpenAI from "openai";
import { text as readAll } from "node:stream/consumers";

const TOOL = {
  name: "get_weather",
  description: "The weather of a city.",
  schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};

async function chat({ base_url, key, model, stream, prompt, tool }) {
  const client = new OpenAI({ baseURL: `${base_url}/v1`, apiKey: key, maxRetries: 0 });
  const body = { model, messages: [{ role: "user", content: prompt }] };
  if (tool) body.tools = [{ type: "function", function: { name: TOOL.name, description: TOOL.description, parameters: TOOL.schema } }];
  const completion = stream
    ? await client.chat.completions.stream({ ...body, stream_options: { include_usage: true } }).finalChatCompletion()
    : await client.chat.completions.create(body);
  const { message, finish_reason } = completion.choices[0];
  return {
    text: message.content ?? "",
    calls: (message.tool_calls ?? []).map((call) => ({ id: call.id, name: call.function.name, arguments: JSON.parse(call.function.arguments) })),
    finish: finish_reason,
    usage: { input: completion.usage.prompt_tokens, output: completion.usage.completion_tokens },
  };
}

async function responses({ base_url, key, model, stream, prompt, tool }) {
  const client = new OpenAI({ baseURL: `${base_url}/v1`, apiKey: key, maxRetries: 0 });
  const body = { model, input: prompt };
  if (tool) body.tools = [{ type: "function", name: TOOL.name, description: TOOL.description, parameters: TOOL.schema, strict: false }];
  const response = stream ? await client.responses.stream(body).finalResponse() : await client.responses.create(body);
  return {
    text: response.output_text,
    calls: response.output.filter((item) => item.type === "function_call").map((item) => ({ id: item.call_id, name: item.name, arguments: JSON.parse(item.arguments) })),
    finish: response.status,
    usage: { input: response.usage.input_tokens, output: response.usage.output_tokens },
  };
}

async function messages({ base_url, key, model, stream, prompt, tool }) {
  const client = new Anthropic({ baseURL: base_url, apiKey: key, maxRetries: 0 });
  const body = { model, max_tokens: 1000, messages: [{ role: "user", content: prompt }] };
  if (tool) body.tools = [{ name: TOOL.name, description: TOOL.description, input_schema: TOOL.schema }];
  const message = stream ? await client.messages.stream(body).finalMessage() : await client.messages.create(body);
  return {
    text: message.content.filter((block) => block.type === "text").map((block) => block.text).join(""),
    calls: message.content.filter((block) => block.type === "tool_use").map((block) => ({ id: block.id, name: block.name, arguments: block.input })),
    finish: message.stop_reason,
    usage: { input: message.usage.input_tokens, output: message.usage.output_tokens },
  };
}

async function gemini({ base_url, key, model, stream, prompt, tool }) {
  const client = new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: base_url } });
  const config = tool ? { tools: [{ functionDeclarations: [{ name: TOOL.name, description: TOOL.description, parametersJsonSchema: TOOL.schema }] }] } : {};
  const request = { model, contents: prompt, config };
  const answers = [];
  if (stream) for await (const answer of await client.models.generateContentStream(request)) answers.push(answer);
  else answers.push(await client.models.generateContent(request));
  const last = answers[answers.length - 1];
  const parts = answers.flatMap((answer) => answer.candidates?.[0]?.content?.parts ?? []);
  return {
    text: parts.filter((part) => part.text && !part.thought).map((part) => part.text).join(""),
    calls: parts.filter((part) => part.functionCall).map(({ functionCall }) => ({ id: functionCall.id ?? "", name: functionCall.name, arguments: functionCall.args })),
    finish: last.candidates?.[0]?.finishReason,
    usage: { input: last.usageMetadata.promptTokenCount, output: last.usageMetadata.candidatesTokenCount },
  };
}

const order = JSON.parse(await readAll(process.stdin));
const sdks = { "openai-chat": chat, "openai-responses": responses, anthropic: messages, gemini };
try {
  console.log(JSON.stringify(await sdks[order.dialect](order)));
} catch (error) {
  console.log(JSON.stringify({ error: { name: error.constructor.name, status: error.status ?? null, message: String(error.message) } }));
}
