/**
 * Moments and money inside a text.
 */
import { html } from "../core/html.js";
import { date, money, relative } from "../core/format.js";

/**
 * How long ago; the exact moment on hover.
 * @param {{at: string|number|null|undefined, exact?: boolean, timeZone?: string}} props exact: the moment itself
 */
export function Time({ at, exact, timeZone }) {
  if (at === null || at === undefined) return html`<span class="quiet">–</span>`;
  return html`<time datetime=${new Date(at).toISOString()} title=${date(at, "full", timeZone)}>${exact ? date(at, "minute", timeZone) : relative(at)}</time>`;
}

/**
 * @param {{nano: number|bigint|null|undefined, sign?: boolean}} props nano-USD; every digit on hover
 */
export function Money({ nano, sign }) {
  if (nano === null || nano === undefined) return html`<span class="quiet">–</span>`;
  return html`<span class="money" title=${money(nano, { exact: true, sign })}>${money(nano, { sign })}</span>`;
}
