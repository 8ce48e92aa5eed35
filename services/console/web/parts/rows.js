/**
 * A field for some lines of one form: names with values.
 */
import { cx, html, useId } from "../core/html.js";
import { loadStyle } from "../core/styles.js";
import { t } from "../core/words.js";
import { Button } from "./button.js";
import { faultsUnder, within } from "./faults.js";
import { Icon } from "./icon.js";

await loadStyle("styles/rows.css");

const emptyRow = (columns) => Object.fromEntries(columns.map((column) => [column.key, ""]));

/** Lines in which something stands. */
export const filledRows = (rows, key) => (rows ?? []).filter((row) => String(row[key] ?? "").trim() !== "");

/** Lines as an object: the first column names its members. */
export const objectOf = (rows, key, read) => Object.fromEntries(filledRows(rows, key).map((row) => [row[key].trim(), read(row)]));

/**
 * Its value is an array of objects with texts. Faults of the API stand at the line whose first column names their place,
 * or whose number does, where the API has a list.
 * @param {{form: object, name: string, label: string, help?: unknown, add?: string, columns: {key: string, label: string,
 *   placeholder?: string, options?: {value: string, label: string}[], numeric?: boolean, mono?: boolean}[], list?: boolean}} props
 *   add: the button's words; list: the API has a list of them; mono: false for columns of plain text
 */
export function RowsField({ form, name, label, help, columns, list, add = t("forms.add_line") }) {
  const id = useId("rows");
  form.register(name, label, false);
  const rows = form.get(name) ?? [];
  const faults = faultsUnder(form, name);
  const places = placesOf(rows, list ? null : columns[0].key);
  const own = (index) => faults.filter((fault) => places[index] && within(fault.place, places[index]));
  const rest = faults.filter((fault) => !rows.some((_, index) => own(index).includes(fault)));
  const wrong = faults.length === 0 && form.errorOf(name);
  const change = (index, key, value) => form.set(name, rows.map((row, at) => (at === index ? { ...row, [key]: value } : row)));
  return html`<fieldset class=${cx("field rows", columns.length > 4 && "many", (faults.length > 0 || wrong) && "wrong")} aria-describedby=${help ? `${id}-help` : undefined}>
    <legend>${label}</legend>
    ${help && html`<p class="field-help" id=${`${id}-help`}>${help}</p>`}
    ${rows.length > 0 &&
    html`<div class="rows-head" aria-hidden="true">${columns.map((column) => html`<span key=${column.key}>${column.label}</span>`)}<span class="rows-end"></span></div>`}
    ${rows.map((row, index) => html`<${Row} key=${index} ...${{ row, index, columns, change, id }} faults=${own(index)} onRemove=${() => form.set(name, rows.filter((_, at) => at !== index))} />`)}
    ${[...rest.map((fault) => (fault.place ? `${fault.place}: ${fault.text}` : fault.text)), wrong].filter(Boolean).map(
      (text) => html`<p class="field-error" key=${text}><${Icon} name="alert" size=${14} />${text}</p>`,
    )}
    <div><${Button} small icon="plus" onClick=${() => form.set(name, [...rows, emptyRow(columns)])}>${add}</${Button}></div>
  </fieldset>`;
}

/** How the API names each line: by what is in its first column, or in a list by its number among those that are sent. */
function placesOf(rows, key) {
  if (key !== null) return rows.map((row) => (row[key] ?? "").trim());
  let number = -1;
  return rows.map((row) => (Object.values(row).some((value) => String(value ?? "").trim()) ? `[${(number += 1)}]` : ""));
}

function Row({ row, index, columns, change, faults, id, onRemove }) {
  const wrong = faults.length > 0;
  const described = wrong ? `${id}-${index}-error` : undefined;
  const props = (column) => ({
    class: cx("input", column.mono !== false && "mono"),
    "aria-label": `${column.label} ${index + 1}`,
    "aria-invalid": wrong ? "true" : undefined,
    "aria-describedby": described,
  });
  const changed = (column) => (event) => change(index, column.key, event.target.value);
  return html`<div class="rows-row">
    ${columns.map((column) =>
      column.options
        ? html`<select key=${column.key} ...${props(column)} onChange=${changed(column)}>
            ${column.options.map((option) => html`<option key=${option.value} value=${option.value} selected=${option.value === row[column.key]}>${option.label}</option>`)}
          </select>`
        : html`<input key=${column.key} type="text" inputmode=${column.numeric ? "decimal" : undefined} spellcheck=${false} autocomplete="off" ...${props(column)} placeholder=${column.placeholder ?? column.label} value=${row[column.key] ?? ""} onInput=${changed(column)} />`,
    )}
    <${Button} kind="quiet" icon="close" label=${t("common.remove", { name: row[columns[0].key] || String(index + 1) })} onClick=${onRemove} />
    ${wrong && html`<p class="field-error" id=${described}><${Icon} name="alert" size=${14} />${faults.map((fault) => fault.text).join(" ")}</p>`}
  </div>`;
}
