/**
 * The admin API, as this page calls it: relative to the document, with the session's cookie and token.
 */
const BASE = new URL("admin/v1/", document.baseURI);
const JSON_TYPE = "application/json";
const LARGE_INTEGER = /\d{16}/;

let csrf = "";
let unauthenticated = () => {};

/**
 * Called by core/session.js: what a change must carry, and what happens when nobody is signed in any more.
 * @param {string} token
 * @param {() => void} [onUnauthenticated]
 */
export function configure(token, onUnauthenticated = unauthenticated) {
  csrf = token;
  unauthenticated = onUnauthenticated;
}

/** An answer that is an error, or none at all (status 0). */
export class ApiError extends Error {
  /**
   * @param {number} status of HTTP; 0 if there was no answer
   * @param {string} type from the gateway's vocabulary
   * @param {string} message a sentence for people
   * @param {string[]} [faults] each with its place: `limits.rpm: must be …`
   */
  constructor(status, type, message, faults = []) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.type = type;
    this.faults = faults;
    /** Of a request that went through the gateway: what its operator can find it by. */
    this.requestId = null;
  }
}

/**
 * A path with its names escaped: at`accounts/${account}/keys`.
 * @param {TemplateStringsArray} strings
 * @param {...(string|number|bigint)} names
 * @returns {string}
 */
export function at(strings, ...names) {
  return strings.reduce((path, piece, index) => {
    const name = String(names[index - 1]);
    // A browser takes these two for the way up, however they are written.
    if (name === "." || name === "..") throw new ApiError(404, "client.not_found", name);
    return path + encodeURIComponent(name) + piece;
  });
}

/**
 * The address of a path: for links to files.
 * @param {string} path such as at`accounts/${account}/keys`
 * @param {Record<string, unknown>} [query] null and undefined are left out, arrays are repeated
 * @returns {string}
 */
export function url(path, query = {}) {
  const found = new URL(path, BASE);
  for (const [name, value] of Object.entries(query)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== null && each !== undefined && each !== "") found.searchParams.append(name, String(each));
    }
  }
  return found.href;
}

/** JSON, with integers beyond 53 bits as BigInt: money in nano-USD may be that large. */
export function parse(text) {
  if (!LARGE_INTEGER.test(text)) return JSON.parse(text);
  return JSON.parse(text, (_key, value, context) => {
    if (typeof value !== "number" || Number.isSafeInteger(value) || !/^-?\d+$/.test(context?.source ?? "")) return value;
    return BigInt(context.source);
  });
}

function serialise(body) {
  return JSON.stringify(body, (_key, value) => (typeof value === "bigint" ? JSON.rawJSON(value.toString()) : value));
}

async function failure(answer) {
  const text = await answer.text().catch(() => "");
  let error = {};
  try {
    error = JSON.parse(text).error ?? {};
  } catch {
    // Not ours: of a proxy in between.
  }
  const found = new ApiError(answer.status, error.type ?? "", error.message ?? `HTTP ${answer.status}`, error.faults ?? []);
  found.requestId = answer.headers.get("x-request-id");
  return found;
}

/**
 * Sends a request, and returns the answer if it is a good one.
 * @param {string} method
 * @param {string} path
 * @param {{query?: object, body?: unknown, signal?: AbortSignal, accept?: string, quiet?: boolean}} [options]
 *   body: JSON, or a Blob or string that is sent as it is; quiet: 401 is told to the caller alone
 * @returns {Promise<Response>}
 */
export async function send(method, path, { query, body, signal, accept = JSON_TYPE, quiet = false } = {}) {
  const headers = { accept };
  if (method !== "GET" && csrf) headers["x-csrf-token"] = csrf;
  const raw = typeof body === "string" || body instanceof Blob;
  if (body !== undefined && !raw) headers["content-type"] = JSON_TYPE;
  let answer;
  try {
    const content = body === undefined || raw ? body : serialise(body);
    answer = await fetch(url(path, query), { method, headers, body: content, signal, credentials: "same-origin", cache: "no-store" });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, "network", "");
  }
  if (answer.ok) return answer;
  if (answer.status === 401 && !quiet) unauthenticated();
  throw await failure(answer);
}

async function json(method, path, options) {
  const answer = await send(method, path, options);
  const text = await answer.text();
  return text ? parse(text) : null;
}

export const api = {
  /** @param {string} path @param {object} [query] @param {object} [options] */
  get: (path, query, options) => json("GET", path, { ...options, query }),
  /** @param {string} path @param {unknown} [body] @param {object} [options] */
  post: (path, body, options) => json("POST", path, { ...options, body }),
  put: (path, body, options) => json("PUT", path, { ...options, body }),
  patch: (path, body, options) => json("PATCH", path, { ...options, body }),
  delete: (path, options) => json("DELETE", path, options),
};
