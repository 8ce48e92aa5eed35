/**
 * Which models are shown, and in which order.
 */
import { weightOf } from "./prices.js";

export const CAPABILITIES = ["tools", "vision", "audio", "reasoning", "schema"];
export const KINDS = ["chat", "embeddings", "images", "speech", "transcripts", "rerank", "moderation"];
export const DIALECTS = ["openai-chat", "openai-responses", "anthropic", "gemini"];
export const ORDERS = ["name", "price", "context", "speed", "first_token", "uptime"];

/** What sorts a model, the best first; null comes last. */
const VALUES = {
  price: weightOf,
  context: (model) => negative(model.context_tokens),
  speed: (model) => negative(model.live.tokens_per_s),
  first_token: (model) => model.live.first_token_ms,
  uptime: (model) => negative(model.live.month_uptime_ppm),
};
const negative = (value) => (value === null ? null : -value);

/**
 * @param {any[]} models of the square
 * @param {{search: string, kind: string, capability: string, dialect: string, group: string, order: string}} wanted "" is any
 */
export function shownModels(models, wanted) {
  const words = wanted.search.toLowerCase().split(/\s+/).filter(Boolean);
  const found = models.filter((model) => {
    const text = `${model.name} ${model.owned_by}`.toLowerCase();
    return (
      words.every((word) => text.includes(word)) &&
      (!wanted.kind || model.kind === wanted.kind) &&
      (!wanted.capability || model.capabilities.includes(wanted.capability)) &&
      (!wanted.dialect || model.dialects.some((use) => use.name === wanted.dialect && use.native)) &&
      (!wanted.group || model.groups.some((group) => group.name === wanted.group))
    );
  });
  return found.sort((one, other) => compare(VALUES[wanted.order]?.(one), VALUES[wanted.order]?.(other)) || one.name.localeCompare(other.name, "en", { numeric: true }));
}

function compare(one, other) {
  if (one === other) return 0;
  if (one === null || one === undefined) return 1;
  if (other === null || other === undefined) return -1;
  return one - other;
}
