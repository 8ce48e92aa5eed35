/**
 * A field for JSON: line numbers, a check while it is typed, and the API's faults at the lines that they mean.
 */
import { parse } from "../core/api.js";
import { cx, html, useRef } from "../core/html.js";
import { loadStyle } from "../core/styles.js";
import { t } from "../core/words.js";
import { faultsUnder } from "./faults.js";
import { Field } from "./fields.js";
import { linesOf } from "./json-lines.js";

await loadStyle("styles/rows.css");

const LINES_MIN = 4;
const LINES_MAX = 28;

/** @param {unknown} value @returns {string} as people read it; integers of any size as they are */
export const jsonText = (value) => JSON.stringify(value, (_key, each) => (typeof each === "bigint" ? JSON.rawJSON(String(each)) : each), 2);

/** @param {string} text of the field @param {unknown} [empty] what no text means */
export const readJson = (text, empty) => (text.trim() === "" && empty !== undefined ? empty : parse(text));

/** For a form's `check`: what is wrong with a text of the field, or null. */
export function jsonFault(text, emptyAllowed = true) {
  if (text.trim() === "") return emptyAllowed ? null : t("forms.json_empty");
  const { broken } = linesOf(text);
  return broken === null ? null : t("forms.json_broken", { line: broken });
}

/** @param {{form: object, name: string, label: string, help?: unknown, required?: boolean, lines?: number}} props its value is the text */
export function JsonField({ form, name, label, help, required, lines = LINES_MIN }) {
  const area = useRef(null);
  const gutter = useRef(null);
  const text = form.get(name) ?? "";
  const { places, broken } = linesOf(text);
  const faults = faultsUnder(form, name).map((fault) => ({ ...fault, line: lineOf(places, fault.place) }));
  const marked = new Set([...faults.map((fault) => fault.line), text.trim() && broken]);
  const count = text.split("\n").length;
  const scroll = () => (gutter.current.scrollTop = area.current.scrollTop);
  const go = (line) => {
    const start = text.split("\n").slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
    area.current.focus();
    area.current.setSelectionRange(start, start + text.split("\n")[line - 1].length);
  };
  // The field says how many there are; each stands below, with its line.
  const counted = faults.length ? { ...form, errorOf: () => t("forms.faults", { count: faults.length }) } : form;
  return html`<div class="json-field">
    <${Field} ...${{ form: counted, name, label, help, required }}>
      ${(props) => html`<div class="json">
        <div class="json-lines" aria-hidden="true" ref=${gutter}>
          ${Array.from({ length: count }, (_, at) => html`<span key=${at} class=${cx(marked.has(at + 1) && "bad")}>${at + 1}</span>`)}
        </div>
        <textarea ref=${area} ...${props} wrap="off" spellcheck=${false} rows=${Math.min(LINES_MAX, Math.max(lines, count))} onScroll=${scroll} value=${text} onInput=${(event) => form.set(name, event.target.value)}></textarea>
      </div>`}
    </${Field}>
    ${text.trim() && broken !== null && !form.errorOf(name) && html`<p class="field-help">${t("forms.json_broken", { line: broken })}</p>`}
    ${faults.length > 0 &&
    html`<ul class="json-faults field-error">
      ${faults.map((fault) => html`<li key=${fault.place + fault.text}><button type="button" onClick=${() => go(fault.line)}>${t("forms.line", { line: fault.line })}</button> ${fault.place && html`<code>${fault.place}</code> `}${fault.text}</li>`)}
    </ul>`}
  </div>`;
}

/** The line of a place, or of the innermost thing around it that is there. */
function lineOf(places, place) {
  let best = "";
  for (const each of places.keys()) if (each.length > best.length && (place === each || place.startsWith(`${each}.`) || place.startsWith(`${each}[`))) best = each;
  return places.get(best) ?? 1;
}
