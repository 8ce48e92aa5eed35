/**
 * How far a long work is, and shares of a whole.
 */
import { cx, html } from "../core/html.js";
import { percent } from "../core/format.js";

/**
 * @param {{label: string, value?: number, max?: number, note?: unknown, tone?: "good"|"warn"|"bad"}} props
 *   value: left out while it is not known how far it goes
 */
export function Progress({ label, value, max = 1, note, tone }) {
  const share = value === undefined ? null : max > 0 ? Math.min(1, Math.max(0, value / max)) : 0;
  return html`<div class="progress">
    <div class="progress-head"><span>${label}</span><span class="quiet">${note ?? (share === null ? "" : percent(share, 0))}</span></div>
    <div class=${cx("progress-track", tone, share === null && "unknown")} role="progressbar" aria-label=${label} aria-valuemin="0" aria-valuemax="100" aria-valuenow=${share === null ? undefined : Math.round(share * 100)}>
      <span style=${{ width: share === null ? "30%" : `${share * 100}%` }}></span>
    </div>
  </div>`;
}

/**
 * Amounts as bars, the largest first as given: what models cost, which errors there were.
 * @param {{label: string, rows: {key: string, label: unknown, value: number, shown: string, href?: string, note?: unknown}[]}} props
 */
export function BarList({ label, rows }) {
  const most = Math.max(...rows.map((row) => Number(row.value)), 0);
  return html`<ul class="bars" aria-label=${label}>
    ${rows.map(
      (row) => html`<li key=${row.key}>
        <span class="bar-head">
          <span class="bar-name">${row.href ? html`<a href=${row.href}>${row.label}</a>` : row.label}</span>
          <span class="bar-value">${row.shown}${row.note && html`<small>${row.note}</small>`}</span>
        </span>
        <span class="bar-track" aria-hidden="true"><span style=${{ width: `${most ? (100 * Number(row.value)) / most : 0}%` }}></span></span>
      </li>`,
    )}
  </ul>`;
}
