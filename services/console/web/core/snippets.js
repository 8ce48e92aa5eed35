/**
 * Examples of calling a model, as people paste them into a terminal. The key is named, never shown: $TRUNKLINE_API_KEY.
 */
const SAID = "Say hello in three languages.";
const OUTPUT_TOKENS = 1024;

const PLAIN = /^[\w.,:/@%+-]+$/;

/** A text as one word of a POSIX shell. */
export const shellWord = (text) => (PLAIN.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`);

/** A text as a literal of Python or JavaScript: both read JSON's. */
const literal = (text) => JSON.stringify(text);

/** A model's name as part of a path: its slashes stay. */
const inPath = (model) => model.split("/").map(encodeURIComponent).join("/");

function curl(url, headers, body) {
  return [`curl ${shellWord(url)}`, ...headers.map((header) => `-H "${header}"`), `-d ${shellWord(JSON.stringify(body, null, 2))}`].join(" \\\n  ");
}

const BEARER = "Authorization: Bearer $TRUNKLINE_API_KEY";
const JSON_TYPE = "Content-Type: application/json";

const WAYS = {
  "openai-chat": {
    curl: (base, model) => curl(`${base}/v1/chat/completions`, [BEARER, JSON_TYPE], { model, messages: [{ role: "user", content: SAID }] }),
    python: (base, model) => `# pip install openai
import os

from openai import OpenAI

client = OpenAI(base_url=${literal(`${base}/v1`)}, api_key=os.environ["TRUNKLINE_API_KEY"])
answer = client.chat.completions.create(
    model=${literal(model)},
    messages=[{"role": "user", "content": ${literal(SAID)}}],
)
print(answer.choices[0].message.content)
`,
    javascript: (base, model) => `// npm install openai
import OpenAI from "openai";

const client = new OpenAI({ baseURL: ${literal(`${base}/v1`)}, apiKey: process.env.TRUNKLINE_API_KEY });
const answer = await client.chat.completions.create({
  model: ${literal(model)},
  messages: [{ role: "user", content: ${literal(SAID)} }],
});
console.log(answer.choices[0].message.content);
`,
  },
  anthropic: {
    curl: (base, model) =>
      curl(`${base}/v1/messages`, ["x-api-key: $TRUNKLINE_API_KEY", "anthropic-version: 2023-06-01", JSON_TYPE], {
        model,
        max_tokens: OUTPUT_TOKENS,
        messages: [{ role: "user", content: SAID }],
      }),
    python: (base, model) => `# pip install anthropic
import os

from anthropic import Anthropic

client = Anthropic(base_url=${literal(base)}, api_key=os.environ["TRUNKLINE_API_KEY"])
message = client.messages.create(
    model=${literal(model)},
    max_tokens=${OUTPUT_TOKENS},
    messages=[{"role": "user", "content": ${literal(SAID)}}],
)
print("".join(block.text for block in message.content if block.type == "text"))
`,
    javascript: (base, model) => `// npm install @anthropic-ai/sdk
import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({ baseURL: ${literal(base)}, apiKey: process.env.TRUNKLINE_API_KEY });
const message = await client.messages.create({
  model: ${literal(model)},
  max_tokens: ${OUTPUT_TOKENS},
  messages: [{ role: "user", content: ${literal(SAID)} }],
});
console.log(message.content.map((block) => (block.type === "text" ? block.text : "")).join(""));
`,
  },
  gemini: {
    curl: (base, model) =>
      curl(`${base}/v1beta/models/${inPath(model)}:generateContent`, ["x-goog-api-key: $TRUNKLINE_API_KEY", JSON_TYPE], {
        contents: [{ role: "user", parts: [{ text: SAID }] }],
      }),
    python: (base, model) => `# pip install google-genai
import os

from google import genai
from google.genai import types

client = genai.Client(
    api_key=os.environ["TRUNKLINE_API_KEY"],
    http_options=types.HttpOptions(base_url=${literal(base)}),
)
answer = client.models.generate_content(model=${literal(model)}, contents=${literal(SAID)})
print(answer.text)
`,
    javascript: (base, model) => `// npm install @google/genai
import { GoogleGenAI } from "@google/genai";

const client = new GoogleGenAI({
  apiKey: process.env.TRUNKLINE_API_KEY,
  httpOptions: { baseUrl: ${literal(base)} },
});
const answer = await client.models.generateContent({ model: ${literal(model)}, contents: ${literal(SAID)} });
console.log(answer.text);
`,
  },
  "openai-responses": {
    curl: (base, model) => curl(`${base}/v1/responses`, [BEARER, JSON_TYPE], { model, input: SAID }),
    python: (base, model) => `# pip install openai
import os

from openai import OpenAI

client = OpenAI(base_url=${literal(`${base}/v1`)}, api_key=os.environ["TRUNKLINE_API_KEY"])
answer = client.responses.create(model=${literal(model)}, input=${literal(SAID)})
print(answer.output_text)
`,
    javascript: (base, model) => `// npm install openai
import OpenAI from "openai";

const client = new OpenAI({ baseURL: ${literal(`${base}/v1`)}, apiKey: process.env.TRUNKLINE_API_KEY });
const answer = await client.responses.create({ model: ${literal(model)}, input: ${literal(SAID)} });
console.log(answer.output_text);
`,
  },
};

const BESIDE = {
  embeddings: ["/v1/embeddings", { input: "The quick brown fox" }],
  images: ["/v1/images/generations", { prompt: "A lighthouse at dawn, watercolour" }],
  speech: ["/v1/audio/speech", { input: "Hello!", voice: "alloy" }],
  rerank: ["/v1/rerank", { query: "capital of France", documents: ["Paris is in France.", "Berlin is in Germany."] }],
  moderation: ["/v1/moderations", { input: "A harmless sentence." }],
};

/** The languages of examples, by the name of their tab. */
export const LANGUAGES = { curl: "curl", python: "Python", javascript: "JavaScript" };

/**
 * An example of a conversation.
 * @param {"curl"|"python"|"javascript"} language
 * @param {"openai-chat"|"openai-responses"|"anthropic"|"gemini"} dialect
 * @param {string} baseUrl of the gateway
 * @param {string} model
 * @returns {string}
 */
export const snippet = (language, dialect, baseUrl, model) => WAYS[dialect][language](baseUrl, model);

/**
 * An example of what is no conversation, for curl.
 * @param {string} kind of the model
 * @param {string} baseUrl
 * @param {string} model
 * @returns {string}
 */
export function besideSnippet(kind, baseUrl, model) {
  if (kind === "transcripts") {
    return [`curl ${shellWord(`${baseUrl}/v1/audio/transcriptions`)}`, `-H "${BEARER}"`, "-F file=@speech.mp3", `-F ${shellWord(`model=${model}`)}`].join(" \\\n  ");
  }
  const [path, body] = BESIDE[kind];
  const call = curl(`${baseUrl}${path}`, [BEARER, JSON_TYPE], { model, ...body });
  return kind === "speech" ? `${call} \\\n  -o speech.mp3` : call;
}

/**
 * A request of Chat Completions for curl.
 * @param {string} baseUrl
 * @param {object} body
 * @returns {string}
 */
export const chatCurl = (baseUrl, body) => curl(`${baseUrl}/v1/chat/completions`, [BEARER, JSON_TYPE], body);
