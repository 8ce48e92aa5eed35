/**
 * Numbers, money and time as people read them, in the page's language. Money is nano-USD, exact at any size.
 */
import { locale } from "./words.js";

const NANO = 1_000_000_000n;
const SECOND_MS = 1000;
const UNITS = [
  ["year", 365 * 86_400],
  ["month", 30 * 86_400],
  ["week", 7 * 86_400],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];

const made = new Map();

/** Intl's formatters are slow to make; each is made once. */
function formatter(kind, options) {
  const key = `${kind}|${locale()}|${JSON.stringify(options)}`;
  if (!made.has(key)) made.set(key, new Intl[kind](locale(), options));
  return made.get(key);
}

/**
 * Nano-USD as a plain decimal: `12345000000` → `"12.345"`. What forms show and the API takes.
 * @param {number|bigint|string} nano
 * @returns {string}
 */
export function usdText(nano) {
  const amount = BigInt(nano);
  const size = amount < 0n ? -amount : amount;
  const rest = (size % NANO).toString().padStart(9, "0").replace(/0+$/, "");
  return `${amount < 0n ? "-" : ""}${size / NANO}${rest ? `.${rest}` : ""}`;
}

/**
 * Money. Small amounts get as many digits as say something, large ones two.
 * @param {number|bigint|string|null|undefined} nano nano-USD
 * @param {{exact?: boolean, sign?: boolean}} [how] exact: every digit; sign: a plus where it is one
 * @returns {string}
 */
export function money(nano, how = {}) {
  if (nano === null || nano === undefined) return "–";
  const amount = BigInt(nano);
  const size = amount < 0n ? -amount : amount;
  let digits = 9;
  if (!how.exact && (size >= NANO || size === 0n)) digits = 2;
  else if (!how.exact && size >= NANO / 100n) digits = 4;
  else if (!how.exact && size >= NANO / 100_000n) digits = 6;
  const options = { style: "currency", currency: "USD", currencyDisplay: "narrowSymbol", maximumFractionDigits: digits };
  // A decimal text is formatted exactly; a number would be rounded to 53 bits first.
  return formatter("NumberFormat", { ...options, signDisplay: how.sign ? "exceptZero" : "auto" }).format(usdText(amount));
}

/**
 * A price per million tokens and the like, from nano-USD per token.
 * @param {number|bigint|string} nano per one
 */
export const perMillion = (nano) => money(BigInt(nano) * 1_000_000n);

/** @param {number|bigint|null|undefined} value a whole number, with separators */
export function count(value) {
  return value === null || value === undefined ? "–" : formatter("NumberFormat", {}).format(value);
}

/** @param {number|bigint|null|undefined} value shortened: 12.3K, 4.5M */
export function compact(value) {
  if (value === null || value === undefined) return "–";
  return formatter("NumberFormat", { notation: "compact", maximumFractionDigits: 1 }).format(value);
}

/** @param {number} value with up to `digits` behind the point */
export function decimal(value, digits = 1) {
  return formatter("NumberFormat", { maximumFractionDigits: digits }).format(value);
}

/** @param {number|null|undefined} share 0 to 1 */
export function percent(share, digits = 1) {
  if (share === null || share === undefined) return "–";
  return formatter("NumberFormat", { style: "percent", maximumFractionDigits: digits }).format(share);
}

/** @param {number|null|undefined} ms a duration: 850 ms, 2.4 s, 3 min */
export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  const [value, unit, digits] =
    ms < SECOND_MS ? [ms, "millisecond", 0]
    : ms < 60_000 ? [ms / 1000, "second", ms < 10_000 ? 2 : 1]
    : ms < 3_600_000 ? [ms / 60_000, "minute", 1]
    : ms < 172_800_000 ? [ms / 3_600_000, "hour", 1]
    : [ms / 86_400_000, "day", 1];
  return formatter("NumberFormat", { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: digits }).format(value);
}

/** @param {number} bytes */
export function size(bytes) {
  const [value, unit] =
    bytes < 1000 ? [bytes, "byte"] : bytes < 1e6 ? [bytes / 1e3, "kilobyte"] : bytes < 1e9 ? [bytes / 1e6, "megabyte"] : [bytes / 1e9, "gigabyte"];
  return formatter("NumberFormat", { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: 1 }).format(value);
}

/**
 * A moment, from ISO text, milliseconds or a Date.
 * @param {string|number|Date|null|undefined} moment
 * @param {"full"|"minute"|"day"|"time"} [form]
 * @param {string} [timeZone] IANA; the reader's own if left out
 */
export function date(moment, form = "minute", timeZone = undefined) {
  if (moment === null || moment === undefined) return "–";
  const day = { year: "numeric", month: "short", day: "numeric" };
  const time = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  const forms = {
    full: { ...day, ...time, second: "2-digit", timeZoneName: "short" },
    minute: { ...day, ...time },
    day,
    time: { ...time, second: "2-digit" },
  };
  return formatter("DateTimeFormat", { ...forms[form], timeZone }).format(new Date(moment));
}

/**
 * How long ago, or until: "3 minutes ago", "in 2 days".
 * @param {string|number|Date} moment
 * @param {number} [now] milliseconds
 */
export function relative(moment, now = Date.now()) {
  const seconds = Math.round((new Date(moment).getTime() - now) / SECOND_MS);
  const [unit, length] = UNITS.find(([, each]) => Math.abs(seconds) >= each) ?? ["second", 1];
  return formatter("RelativeTimeFormat", { numeric: "auto" }).format(Math.round(seconds / length), unit);
}

/** @param {string[]} names "a, b and c" */
export const list = (names) => formatter("ListFormat", { type: "conjunction" }).format(names);
