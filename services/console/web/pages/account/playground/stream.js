/**
 * One request of the playground, and its answer as it comes.
 */
import { ApiError, at, send } from "../../../core/api.js";

const EVENT_END = /\r?\n\r?\n/;

/**
 * Sends a request of Chat Completions; yields `{head}` once, then `{chunk}` for every event.
 * @param {string} account
 * @param {object} body with `stream: true`
 * @param {AbortSignal} signal
 */
export async function* chat(account, body, signal) {
  const answer = await send("POST", at`accounts/${account}/playground/chat`, { body, signal, accept: "text/event-stream, application/json" });
  yield {
    head: {
      requestId: answer.headers.get("x-request-id"),
      servedBy: answer.headers.get("x-trunkline-model"),
      changed: answer.headers.get("x-trunkline-fidelity"),
    },
  };
  let rest = "";
  let whole = false;
  for await (const text of texts(answer)) {
    const blocks = (rest + text).split(EVENT_END);
    rest = blocks.pop();
    for (const block of blocks) {
      const data = dataOf(block);
      if (data === "[DONE]") whole = true;
      else if (data) yield { chunk: chunkOf(data) };
    }
  }
  // An answer that only stops has been cut on its way.
  if (!whole) throw new ApiError(0, "cut", "");
}

async function* texts(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function dataOf(block) {
  return block
    .split(/\r?\n/)
    .filter((line) => line.startsWith("data:"))
    .map((line) => line.slice(line[5] === " " ? 6 : 5))
    .join("\n");
}

function chunkOf(data) {
  const chunk = JSON.parse(data);
  if (!chunk.error) return chunk;
  throw new ApiError(Number(chunk.error.status) || 502, chunk.error.code ?? chunk.error.type ?? "", chunk.error.message ?? "");
}

/** An answer before anything of it has come. */
export const EMPTY = { text: "", reasoning: "", calls: [], finish: null, usage: null };

/**
 * An answer with one more chunk.
 * @param {typeof EMPTY} answer
 * @param {any} chunk
 */
export function withChunk(answer, chunk) {
  const next = { ...answer, usage: chunk.usage ?? answer.usage };
  const choice = chunk.choices?.[0];
  if (!choice) return next;
  const delta = choice.delta ?? {};
  next.text += delta.content ?? delta.refusal ?? "";
  next.reasoning += delta.reasoning_content ?? (typeof delta.reasoning === "string" ? delta.reasoning : "");
  if (delta.tool_calls) next.calls = withCalls(answer.calls, delta.tool_calls);
  next.finish = choice.finish_reason ?? answer.finish;
  return next;
}

/** Calls come in pieces; each says of which one it is. */
function withCalls(calls, pieces) {
  const next = [...calls];
  for (const piece of pieces) {
    const place = piece.index ?? next.length;
    const before = next[place] ?? { id: "", name: "", arguments: "" };
    next[place] = {
      id: piece.id || before.id,
      name: before.name || piece.function?.name || "",
      arguments: before.arguments + (piece.function?.arguments ?? ""),
    };
  }
  return next;
}
