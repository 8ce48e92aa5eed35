/**
 * Limits of families of models, beside those of all models: `gpt-4*,o1*` with what they may do.
 */
import { html } from "../core/html.js";
import { t } from "../core/words.js";
import { RowsField } from "./rows.js";
import { LIMITS } from "./terms.js";

/** @param {object[]} [families] as the API has them @returns {object[]} lines of the field */
export const familyRows = (families = []) =>
  families.map((family) => ({ models: family.models.join(", "), ...Object.fromEntries(LIMITS.map((name) => [name, family[name] ? String(family[name]) : ""])) }));

/** @param {object[]} rows @returns {object[]} as the API takes them; what is no number is sent as it is, and refused there */
export function familiesOf(rows) {
  const filled = (rows ?? []).filter((row) => Object.values(row).some((value) => String(value ?? "").trim()));
  return filled.map((row) => ({ models: names(row.models), ...Object.fromEntries(LIMITS.filter((name) => row[name]?.trim()).map((name) => [name, number(row[name])])) }));
}

const names = (text) => text.split(/[,，\s]+/).filter(Boolean);
const number = (text) => (/^\s*\d+\s*$/.test(text) ? Number(text) : text);

/** @param {{form: object, name: string}} props name: of the field, such as `limits.families` */
export function FamiliesField({ form, name }) {
  const columns = [
    { key: "models", label: t("supply.family_models"), placeholder: "gpt-*, o1*" },
    ...LIMITS.map((limit) => ({ key: limit, label: t(`supply.short.${limit}`), numeric: true })),
  ];
  return html`<${RowsField} form=${form} name=${name} label=${t("supply.families")} help=${t("supply.families_help")} columns=${columns} list />`;
}
