/**
 * The parameters that the playground knows, and what a model makes of them. Nothing is sent that its user has not set.
 */

/**
 * @typedef {object} Parameter
 * @property {string} name as Chat Completions calls it
 * @property {"number"|"integer"|"lines"|"choice"} kind
 * @property {number} [min]
 * @property {number} [max]
 * @property {number} [step]
 * @property {string[]} [options]
 */

/** @type {Parameter[]} */
export const PARAMETERS = [
  { name: "temperature", kind: "number", min: 0, max: 2, step: 0.1 },
  { name: "top_p", kind: "number", min: 0, max: 1, step: 0.05 },
  { name: "max_tokens", kind: "integer", min: 1, step: 1 },
  { name: "reasoning_effort", kind: "choice", options: ["none", "minimal", "low", "medium", "high"] },
  { name: "frequency_penalty", kind: "number", min: -2, max: 2, step: 0.1 },
  { name: "presence_penalty", kind: "number", min: -2, max: 2, step: 0.1 },
  { name: "seed", kind: "integer", step: 1 },
  { name: "stop", kind: "lines" },
];

const STOPS_MAX = 4;

/**
 * What a model makes of a parameter.
 * @param {any} model of the model square; undefined while it is not known
 * @param {string} name
 * @returns {{accepted: boolean, everywhere: boolean, min?: number, max?: number}}
 */
export function termsOf(model, name) {
  return model?.parameters.find((each) => each.name === name) ?? { accepted: true, everywhere: true };
}

/** The bounds of a parameter at a model. */
export function boundsOf(parameter, model) {
  const terms = termsOf(model, parameter.name);
  const most = parameter.name === "max_tokens" ? (model?.output_tokens_max ?? undefined) : parameter.max;
  return { min: terms.min ?? parameter.min, max: terms.max ?? most };
}

/** Whether at least one of some models takes a parameter. */
export const anyAccepts = (models, name) => models.length === 0 || models.some((model) => termsOf(model, name).accepted);

/**
 * What a form's text means.
 * @param {Parameter} parameter
 * @param {string} text
 * @returns {unknown} null if nothing is set, undefined if it cannot be
 */
export function valueOf(parameter, text) {
  if (text === null || text === undefined || text.trim() === "") return null;
  if (parameter.kind === "choice") return text;
  if (parameter.kind === "lines") return text.split("\n").filter(Boolean).slice(0, STOPS_MAX);
  const number = Number(text);
  if (!Number.isFinite(number) || (parameter.kind === "integer" && !Number.isInteger(number))) return undefined;
  return number;
}

/**
 * What is wrong with a parameter's text, for a model: a bound, or null.
 * @returns {{min?: number, max?: number}|null}
 */
export function faultOf(parameter, text, model) {
  const value = valueOf(parameter, text);
  const bounds = boundsOf(parameter, model);
  if (value === undefined) return bounds;
  if (typeof value !== "number") return null;
  return value < (bounds.min ?? -Infinity) || value > (bounds.max ?? Infinity) ? bounds : null;
}

/**
 * The parameters of a request: those that were set, and that the model takes.
 * @param {Record<string, string>} texts by name
 * @param {any} model
 */
export function sent(texts, model) {
  const fields = {};
  for (const parameter of PARAMETERS) {
    const value = valueOf(parameter, texts[parameter.name]);
    if (value !== null && value !== undefined && termsOf(model, parameter.name).accepted) fields[parameter.name] = value;
  }
  return fields;
}
