/**
 * States in a word, and names of things.
 */
import { cx, html } from "../core/html.js";

/**
 * A state; its colour says nothing that the word does not.
 * @param {{tone?: "good"|"warn"|"bad"|"info"|"neutral", dot?: boolean, children: unknown}} props
 */
export function Badge({ tone = "neutral", dot = true, children }) {
  return html`<span class=${cx("badge", tone)}>${dot && html`<span class="badge-dot" aria-hidden="true"></span>`}${children}</span>`;
}

/**
 * Names in small frames, those beyond `most` as a number.
 * @param {{names: string[], most?: number}} props
 */
export function Tags({ names, most = 3 }) {
  const rest = names.slice(most);
  return html`<span class="tags">
    ${names.slice(0, most).map((name) => html`<span key=${name} class="tag">${name}</span>`)}
    ${rest.length > 0 && html`<span class="tag" title=${rest.join(", ")}>+${rest.length}</span>`}
  </span>`;
}
