/**
 * What pages are laid out with: heading, cards, figures, lists of properties.
 */
import { cx, html, useId, useRef } from "../core/html.js";
import { useFocusOnArrival, useTitle } from "../core/router.js";
import { HelpTip } from "./tip.js";

/**
 * The heading of a page; there is one on each. It gives the tab its title, too.
 * @param {{title: string, text?: unknown, actions?: unknown, back?: {href: string, label: string}, badge?: unknown}} props
 *   text: a sentence below it; actions: buttons
 */
export function PageHeader({ title, text, actions, back, badge }) {
  const heading = useRef(null);
  useTitle(title);
  useFocusOnArrival(heading);
  return html`<header class="page-head">
    ${back && html`<a class="page-back" href=${back.href}>‹ ${back.label}</a>`}
    <div class="page-head-row">
      <div class="page-head-text">
        <h1 ref=${heading} tabindex="-1">${title}${badge && html` ${badge}`}</h1>
        ${text && html`<p>${text}</p>`}
      </div>
      ${actions && html`<div class="page-actions">${actions}</div>`}
    </div>
  </header>`;
}

/**
 * @param {{title?: string, text?: unknown, actions?: unknown, flush?: boolean, class?: string, children: unknown}} props
 *   flush: without padding, for tables
 */
export function Card({ title, text, actions, flush, class: className, children }) {
  const id = useId("card");
  return html`<section class=${cx("card", flush && "flush", className)} aria-labelledby=${title ? id : undefined}>
    ${title &&
    html`<header class="card-head">
      <div><h2 id=${id}>${title}</h2>${text && html`<p>${text}</p>`}</div>
      ${actions && html`<div class="card-actions">${actions}</div>`}
    </header>`}
    <div class="card-body">${children}</div>
  </section>`;
}

/** @param {{children: unknown}} props figures beside each other */
export function Stats({ children }) {
  return html`<dl class="stats">${children}</dl>`;
}

/**
 * One figure.
 * @param {{label: string, value: unknown, note?: unknown, tone?: "good"|"bad"|"warn", help?: string, href?: string}} props
 *   note: small, below it
 */
export function Stat({ label, value, note, tone, help, href }) {
  const inside = value === undefined ? html`<span class="skeleton-line"></span>` : value;
  return html`<div class="stat">
    <dt>${label}${help && html`<${HelpTip} text=${help} />`}</dt>
    <dd class=${cx("stat-value", tone)}>${href ? html`<a href=${href}>${inside}</a>` : inside}</dd>
    ${note && html`<dd class="stat-note">${note}</dd>`}
  </div>`;
}

/**
 * Properties with their values.
 * @param {{items: ([string, unknown]|false|null)[], columns?: boolean}} props columns: several beside each other where there is room
 */
export function Definitions({ items, columns }) {
  return html`<dl class=${cx("definitions", columns && "columns")}>
    ${items.filter(Boolean).map(
      ([term, value]) => html`<div key=${term}><dt>${term}</dt><dd>${value ?? html`<span class="quiet">–</span>`}</dd></div>`,
    )}
  </dl>`;
}

/** @param {{wide?: boolean, children: unknown}} props cards beside each other where there is room */
export function Grid({ wide, children }) {
  return html`<div class=${cx("grid", wide && "wide")}>${children}</div>`;
}

/** @param {{children: unknown}} props filters and searches above a table */
export function Toolbar({ children }) {
  return html`<div class="toolbar">${children}</div>`;
}
