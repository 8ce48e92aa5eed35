/**
 * Models that a channel is to serve: the public name, the provider's, and a price where no list has one.
 */
import { cx, html } from "../../../core/html.js";
import { loadStyle } from "../../../core/styles.js";
import { t } from "../../../core/words.js";
import { Button } from "../../../parts/button.js";
import { faultsUnder, within } from "../../../parts/faults.js";
import { Icon } from "../../../parts/icon.js";

await loadStyle("styles/rows.css");
await loadStyle("styles/supply.css");

const PRICES = ["input", "output"];
const UNLISTED = /^no list price/i;

export const emptyModel = (name = "") => ({ public: name, upstream: name, priced: false, free: false, input: "", output: "" });

const filled = (rows) => rows.filter((row) => row.public.trim() || row.upstream.trim());
const publicName = (row) => row.public.trim() || row.upstream.trim();

/** @param {object[]} rows @returns {Record<string, string>} public names to the provider's */
export const modelMap = (rows) => Object.fromEntries(filled(rows).map((row) => [publicName(row), row.upstream.trim() || row.public.trim()]));

/** @param {object[]} rows @param {string[]} known models that are there: their prices are not said here @returns {object[]} entries with prices */
export const modelEntries = (rows, known) =>
  filled(rows)
    .filter((row) => row.priced && !known.includes(publicName(row)) && (row.free || PRICES.some((kind) => row[kind].trim())))
    .map((row) => ({ name: publicName(row), ...(row.free ? { free: true } : { price: Object.fromEntries(PRICES.filter((kind) => row[kind].trim()).map((kind) => [kind, row[kind].trim()])) }) }));

/** For a form's `check`: a name that stands twice, or none at all. */
export function modelRowsFault(rows) {
  const names = filled(rows).map(publicName);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) return t("forms.twice", { name: twice });
  return names.length ? null : t("channels.one_model");
}

/**
 * @param {{form: object, known: string[], fixed?: boolean}} props known: models that have a price; fixed: no lines are added
 */
export function ModelRows({ form, known, fixed }) {
  const name = "models";
  form.register(name, t("channels.models"), false);
  const rows = form.get(name);
  const faults = faultsUnder(form, name);
  const own = (row) => faults.filter((fault) => within(fault.place, publicName(row)));
  const rest = faults.filter((fault) => !rows.some((row) => own(row).includes(fault)));
  const wrong = faults.length === 0 && form.errorOf(name);
  const change = (index, values) => form.set(name, rows.map((row, at) => (at === index ? { ...row, ...values } : row)));
  return html`<fieldset class=${cx("field rows", (faults.length > 0 || wrong) && "wrong")}>
    <legend>${t("channels.models")}</legend>
    <p class="field-help">${t("channels.models_help")}</p>
    ${rows.length > 0 && html`<div class="rows-head" aria-hidden="true"><span>${t("channels.public_name")}</span><span>${t("channels.upstream_name")}</span><span class="rows-end"></span></div>`}
    ${rows.map((row, index) => html`<${Row} key=${index} ...${{ row, index, known }} faults=${own(row)} onChange=${(values) => change(index, values)} onRemove=${() => form.set(name, rows.filter((_, at) => at !== index))} />`)}
    ${[...rest.map((fault) => (fault.place ? `${fault.place}: ${fault.text}` : fault.text)), wrong].filter(Boolean).map((text) => html`<p class="field-error" key=${text}><${Icon} name="alert" size=${14} />${text}</p>`)}
    ${!fixed && html`<div><${Button} small icon="plus" onClick=${() => form.set(name, [...rows, emptyModel()])}>${t("channels.add_model")}</${Button}></div>`}
  </fieldset>`;
}

function Row({ row, index, known, faults, onChange, onRemove }) {
  const unlisted = faults.some((fault) => UNLISTED.test(fault.text)) && !row.priced;
  const wrong = faults.length > 0;
  const field = (key, label) => html`<input class="input mono" aria-label=${`${label} ${index + 1}`} aria-invalid=${wrong ? "true" : undefined} placeholder=${label} autocomplete="off" spellcheck=${false} value=${row[key]} onInput=${(event) => onChange({ [key]: event.target.value })} />`;
  const priced = row.priced && !known.includes(publicName(row));
  return html`<div class="rows-row">
    ${field("public", t("channels.public_name"))}${field("upstream", t("channels.upstream_name"))}
    <${Button} kind="quiet" icon="close" label=${t("common.remove", { name: publicName(row) || String(index + 1) })} onClick=${onRemove} />
    ${wrong && html`<p class="field-error"><${Icon} name="alert" size=${14} /><span>${faults.map((fault) => fault.text).join(" ")}
      ${unlisted && html` <button type="button" class="link" onClick=${() => onChange({ priced: true })}>${t("channels.give_price")}</button>`}</span></p>`}
    ${priced &&
    html`<div class="row-prices">
      <label class="row-free"><input type="checkbox" checked=${row.free} onChange=${(event) => onChange({ free: event.target.checked })} /> ${t("channels.free")}</label>
      ${!row.free && PRICES.map((kind) => html`<span class="affixed" key=${kind}><span>$</span><input class="input" inputmode="decimal" aria-label=${`${t(`channels.price.${kind}`)} ${index + 1}`} placeholder=${t(`channels.price.${kind}`)} value=${row[kind]} onInput=${(event) => onChange({ [kind]: event.target.value.replace(",", ".") })} /></span>`)}
    </div>`}
  </div>`;
}
