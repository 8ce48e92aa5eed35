/**
 * Rules of a channel between the API and a form, where a mapping is lines of names and values.
 */
import { filledRows, objectOf } from "../../../parts/rows.js";
import { jsonText, readJson } from "../../../parts/json.js";

/** A value as people write it: JSON, and a plain word without quotes. */
function valueText(value) {
  if (typeof value !== "string") return jsonText(value).replace(/\n\s*/g, " ");
  return isJson(value) || value !== value.trim() || value === "" ? JSON.stringify(value) : value;
}

function isJson(text) {
  try {
    readJson(text);
    return true;
  } catch {
    return false;
  }
}

const readValue = (text) => (isJson(text) ? readJson(text) : text.trim());

/** A number where it is one; else what is written, and the API says what is wrong with it. */
const number = (text) => (text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text.trim());

const rows = (fields, read) => Object.entries(fields ?? {}).map(([name, value]) => ({ name, ...read(value) }));
const text = (value) => (value === null || value === undefined ? "" : String(value));

/** @param {object} params of a channel */
export const paramValues = ({ drop = [], set, default: defaults, clamp, rename }) => ({
  drop,
  set: rows(set, (value) => ({ value: valueText(value) })),
  default: rows(defaults, (value) => ({ value: valueText(value) })),
  clamp: rows(clamp, ({ min, max }) => ({ min: text(min), max: text(max) })),
  rename: rows(rename, (value) => ({ value })),
});

/** @param {object} values of the form */
export const paramsOf = ({ drop, set, default: defaults, clamp, rename }) => ({
  drop,
  set: objectOf(set, "name", (row) => readValue(row.value)),
  default: objectOf(defaults, "name", (row) => readValue(row.value)),
  clamp: objectOf(clamp, "name", ({ min, max }) => Object.fromEntries(Object.entries({ min, max }).filter(([, each]) => each.trim() !== "").map(([key, each]) => [key, number(each)]))),
  rename: objectOf(rename, "name", (row) => row.value.trim()),
});

/** @param {object} headers of a channel */
export const headerValues = ({ drop = [], set }) => ({ drop, set: rows(set, (value) => ({ value })) });

/** @param {object} values of the form */
export const headersOf = ({ drop, set }) => ({ drop, set: objectOf(set, "name", (row) => row.value.trim()) });

/** @param {Record<string, number>} map */
export const statusRows = (map) => Object.entries(map).map(([status, as]) => ({ status, read_as: String(as) }));

/** @param {object[]} lines of the form */
export const statusOf = (lines) => Object.fromEntries(filledRows(lines, "status").map((row) => [row.status.trim(), number(row.read_as)]));
