/**
 * Prices between what people write, in dollars for a million tokens, an image or a minute, and what the API has: in answers
 * nano-USD, in requests USD, always for a million units. Exact at any size.
 */
import { usdText } from "../../../core/format.js";
import { perOf } from "../../models/prices.js";

const MILLION = 1_000_000n;
const NANO_DIGITS = 9;

/** What stands in the form from the beginning; others are added. */
export const USUAL = ["input", "output", "cache_read", "cache_write_5m"];

export const OTHERS = ["cache_write_1h", "reasoning", "input_audio", "output_audio", "input_image", "output_image", "images", "seconds", "characters", "searches", "requests"];

export const VARIANT = "images@";

/** A name with a dot would be a path in a form; such kinds are left as they are. */
const inForm = (kind) => !kind.includes(".");

/** @param {Record<string, number|bigint>} prices in nano-USD @returns {Record<string, string|null>} as a form has them */
export const priceValues = (prices = {}) =>
  Object.fromEntries([...new Set([...USUAL, ...Object.keys(prices).filter(inForm)])].map((kind) => [kind, kind in prices ? textOf(kind, prices[kind]) : null]));

const textOf = (kind, nano) => usdText((BigInt(nano) * perOf(kind)) / MILLION);

/**
 * @param {Record<string, string|null>} values of a form
 * @param {Record<string, number|bigint>} [before] what the form began with: what was not touched stays to the last digit
 * @returns {Record<string, string>} for the API
 */
export function priceBody(values, before = {}) {
  const kept = Object.entries(before).filter(([kind]) => !inForm(kind));
  const typed = Object.entries(values).filter(([, text]) => text !== null && text !== undefined && text !== "");
  return Object.fromEntries([
    ...kept.map(([kind, nano]) => [kind, usdText(nano)]),
    ...typed.map(([kind, text]) => [kind, kind in before && textOf(kind, before[kind]) === text ? usdText(before[kind]) : forMillion(kind, text)]),
  ]);
}

function forMillion(kind, text) {
  const found = /^(\d+)(?:\.(\d{0,9})\d*)?$/.exec(text);
  // What is no amount is sent as it is: the API says what is wrong with it.
  if (!found) return text;
  const nano = BigInt(found[1] + (found[2] ?? "").padEnd(NANO_DIGITS, "0"));
  return usdText((nano * MILLION) / perOf(kind));
}

/**
 * How far prices are from those of the list, of a million tokens, three parts of them input.
 * @returns {number|null} 0.1 for ten per cent above; null if they cannot be compared
 */
export function overList(prices, listed) {
  const kinds = ["input", "output"].filter((kind) => kind in prices && listed && kind in listed);
  if (kinds.length === 0 || kinds.length !== ["input", "output"].filter((kind) => kind in (listed ?? {})).length) return null;
  const sum = (from) => kinds.reduce((all, kind) => all + Number(from[kind]) * (kind === "input" ? 3 : 1), 0);
  return sum(listed) > 0 ? sum(prices) / sum(listed) - 1 : null;
}
