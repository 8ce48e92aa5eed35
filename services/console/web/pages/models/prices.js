/**
 * Prices as people read them: per million tokens, per image, per minute; nano-USD per million units from the API.
 */
import { money } from "../../core/format.js";
import { known, t } from "../../core/words.js";

const MILLION = 1_000_000n;
const VARIANT = "images@";

/** By kind of unit, how many of them a price is said for. */
const PER = { searches: 1000n, seconds: 60n, images: 1n, characters: MILLION, requests: 1n };

/** The order in which kinds are listed. */
const ORDER = ["input", "cache_read", "cache_write_5m", "cache_write_1h", "output", "reasoning"];

/** How many units a price is said for. @param {string} kind of unit @returns {bigint} */
export const perOf = (kind) => (kind.startsWith(VARIANT) ? 1n : (PER[kind] ?? MILLION));

/**
 * A price in the unit that people say it in.
 * @param {string} kind of unit
 * @param {number|bigint} nano per million units
 */
export function price(kind, nano) {
  return money((BigInt(nano) * perOf(kind)) / MILLION);
}

/** What a price is for: "Input, 1M tokens". */
export function kindName(kind) {
  if (kind.startsWith(VARIANT)) return t("models.kind.images_of", { variant: kind.slice(VARIANT.length) });
  return known(`models.kind.${kind}`) ? t(`models.kind.${kind}`) : kind;
}

/** Kinds of prices, in the order of the list. */
export function kindsOf(prices) {
  const place = (kind) => (ORDER.includes(kind) ? ORDER.indexOf(kind) : ORDER.length);
  return Object.keys(prices).sort((one, other) => place(one) - place(other) || one.localeCompare(other));
}

/** The group through which a model costs least. */
export function cheapest(model) {
  return model.groups.reduce((best, group) => (total(group.prices) < total(best.prices) ? group : best), model.groups[0]);
}

const total = (prices) => Object.values(prices).reduce((sum, nano) => sum + BigInt(nano), 0n);

/**
 * What a model costs, in one line.
 * @param {any} model of the model square
 */
export function priceLine(model) {
  const prices = cheapest(model)?.prices ?? {};
  if (model.free) return t("models.free");
  if (prices.input !== undefined && prices.output !== undefined) {
    return t("models.in_out", { input: price("input", prices.input), output: price("output", prices.output) });
  }
  const [kind] = kindsOf(prices);
  return kind ? `${price(kind, prices[kind])} · ${kindName(kind)}` : "";
}

/** What a model is sorted by: a million tokens, three parts of them input. */
export function weightOf(model) {
  const prices = cheapest(model)?.prices ?? {};
  if (model.free) return 0;
  const input = Number(prices.input ?? 0);
  return prices.output === undefined ? input || Number(Object.values(prices)[0] ?? 0) : (3 * input + Number(prices.output)) / 4;
}
