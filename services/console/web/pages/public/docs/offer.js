/**
 * What the examples name: the gateway's address, and models that the reader can call.
 */
import { api, at } from "../../../core/api.js";

const UNKNOWN = { base_url: "https://gateway.example.com", model: "model-name", other_model: "other-model-name" };

/** Names that stand in JSON, in a path and between a shell's quotes as they are. */
const PLAIN = /^[\w./:@-]+$/;

const known = new Map();

/**
 * @param {string|null} account whose models they are to be; null for those that everybody may see
 * @returns {Promise<{base_url: string, model: string, other_model: string}>} made-up names where nothing is known
 */
export async function readOffer(account) {
  if (!known.has(account)) known.set(account, ask(account));
  try {
    return await known.get(account);
  } catch {
    // The text is worth reading without it; the next page asks again.
    known.delete(account);
    return UNKNOWN;
  }
}

async function ask(account) {
  const path = account === null ? "public/models" : at`accounts/${account}/models`;
  const { base_url, models } = await api.get(path, {}, { quiet: true });
  const names = models.filter((model) => model.kind === "chat" && PLAIN.test(model.name)).map((model) => model.name);
  const [model = UNKNOWN.model, other_model = model] = names;
  return { base_url: base_url || UNKNOWN.base_url, model, other_model };
}
