/**
 * Answers that come piece by piece: lines of JSON, and server-sent events.
 */
import { parse, send, url } from "./api.js";

const RETRY_MS_MIN = 1000;
const RETRY_MS_MAX = 15_000;

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

/**
 * The steps of a long work, as the server tells them: `for await (const step of lines("POST", path)) …`.
 * @param {string} method
 * @param {string} path
 * @param {object} [options] as `send` in core/api.js
 */
export async function* lines(method, path, options = {}) {
  const answer = await send(method, path, { accept: "application/x-ndjson, application/json", ...options });
  let rest = "";
  for await (const text of texts(answer)) {
    const found = (rest + text).split("\n");
    rest = found.pop();
    // Empty lines only show that the work goes on.
    for (const line of found) if (line.trim()) yield parse(line);
  }
  if (rest.trim()) yield parse(rest);
}

/**
 * Server-sent events that answer a request of any method: `for await (const { event, data } of events("POST", path, { body })) …`.
 * @param {string} method
 * @param {string} path
 * @param {object} [options] as `send` in core/api.js
 */
export async function* events(method, path, options = {}) {
  const answer = await send(method, path, { accept: "text/event-stream", ...options });
  let rest = "";
  for await (const text of texts(answer)) {
    const blocks = (rest + text).replace(/\r\n/g, "\n").split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const found = event(block);
      if (found) yield found;
    }
  }
}

function event(block) {
  const data = [];
  let name = "message";
  for (const line of block.split("\n")) {
    const [, field, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
    if (field === "data") data.push(value);
    else if (field === "event") name = value;
  }
  return data.length ? { event: name, data: data.join("\n") } : null;
}

/**
 * Listens to a path that tells what happens, and connects anew when the line breaks.
 * @param {string} path
 * @param {Record<string, (data: any) => void>} handlers by event; they get its JSON
 * @param {(state: "open"|"waiting") => void} [onState]
 * @returns {() => void} ends it
 */
export function listen(path, handlers, onState = () => {}) {
  let source = null;
  let timer = null;
  let waitMs = RETRY_MS_MIN;
  const connect = () => {
    source = new EventSource(url(path));
    source.onopen = () => {
      waitMs = RETRY_MS_MIN;
      onState("open");
    };
    source.onerror = () => {
      onState("waiting");
      if (source.readyState !== EventSource.CLOSED) return;
      timer = setTimeout(connect, waitMs);
      waitMs = Math.min(waitMs * 2, RETRY_MS_MAX);
    };
    for (const [name, handler] of Object.entries(handlers)) {
      source.addEventListener(name, (message) => handler(parse(message.data)));
    }
  };
  connect();
  return () => {
    clearTimeout(timer);
    source.close();
  };
}
