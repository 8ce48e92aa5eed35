/**
 * A field that narrows what is shown, and a choice in a toolbar.
 */
import { html, useId } from "../core/html.js";
import { Icon } from "./icon.js";

/** @param {{label: string, value: string, onInput: (text: string) => void}} props */
export function Search({ label, value, onInput }) {
  return html`<label class="search">
    <${Icon} name="search" size=${16} />
    <span class="off-screen">${label}</span>
    <input type="search" class="input" placeholder=${label} value=${value} onInput=${(event) => onInput(event.target.value)} />
  </label>`;
}

/**
 * @param {{label: string, value: string, options: {value: string, label: string}[], onChange: (value: string) => void}} props
 */
export function Choice({ label, value, options, onChange }) {
  const id = useId("choice");
  return html`<span class="choice">
    <label for=${id}>${label}</label>
    <select id=${id} class="input" value=${value} onChange=${(event) => onChange(event.target.value)}>
      ${options.map((each) => html`<option key=${each.value} value=${each.value} selected=${each.value === value}>${each.label}</option>`)}
    </select>
  </span>`;
}
