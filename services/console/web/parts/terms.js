/**
 * Limits and budgets in forms, whoever's they are: an account's, a user's, a key's, a tier's or a group's.
 *
 * What is said of families of models is no part of a form, and stays as it is.
 */
import { usdText } from "../core/format.js";
import { html } from "../core/html.js";
import { t } from "../core/words.js";
import { MoneyField, moneyFault, NumberField } from "./fields.js";

export const LIMITS = ["rpm", "tpm", "rpd", "tpd", "images_per_minute", "concurrency"];
export const BUDGETS = ["daily", "monthly"];

const dollars = (nano) => (nano === null || nano === undefined ? null : usdText(nano));

/** Without what is empty: left out is none. */
const filled = (values, names) => Object.fromEntries(names.filter((name) => (values[name] ?? "") !== "").map((name) => [name, values[name]]));

/** @param {object} budgets as the API shows them @returns {object} as a form has them, in dollars */
export const budgetValues = (budgets = {}) => ({ daily: dollars(budgets.daily_nano), monthly: dollars(budgets.monthly_nano) });

/** @param {object} values of a form @param {object} [before] the limits that they replace @returns {object} for the API */
export const limitsOf = (values, before = {}) => ({ ...filled(values, LIMITS), families: before.families ?? [] });

/** @param {object} values of a form, in dollars @param {object} [before] the budgets that they replace @returns {object} for the API */
export function budgetsOf(values, before = {}) {
  const models = (before.models ?? []).map((each) => ({
    models: each.models,
    ...filled({ daily: dollars(each.daily_nano), monthly: dollars(each.monthly_nano) }, BUDGETS),
  }));
  return { ...filled(values, BUDGETS), models, cheaper: before.cheaper ?? {} };
}

/** Whether some of the named values differ. */
export const differ = (one, other, names) => names.some((name) => (one[name] ?? null) !== (other[name] ?? null));

/** For a form's `check`: what is wrong with its budgets. */
export const budgetFaults = (values, prefix = "budgets") => Object.fromEntries(BUDGETS.map((name) => [`${prefix}.${name}`, moneyFault(values?.[name])]));

/** @param {{form: object, prefix?: string}} props prefix: of the fields' names in the form */
export function LimitFields({ form, prefix = "limits" }) {
  return html`<div class="form-row">
    ${LIMITS.map((name) => html`<${NumberField} key=${name} form=${form} name=${`${prefix}.${name}`} label=${t(`terms.limit.${name}`)} min="1" />`)}
  </div>`;
}

/** @param {{form: object, prefix?: string}} props prefix: of the fields' names in the form */
export function BudgetFields({ form, prefix = "budgets" }) {
  return html`<div class="form-row">
    ${BUDGETS.map((name) => html`<${MoneyField} key=${name} form=${form} name=${`${prefix}.${name}`} label=${t(`terms.budget.${name}`)} />`)}
  </div>`;
}
