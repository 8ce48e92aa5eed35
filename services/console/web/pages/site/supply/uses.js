/**
 * What uses a group or tier, and what limits it has: cells of tables.
 */
import { count } from "../../../core/format.js";
import { html } from "../../../core/html.js";
import { to } from "../../../core/router.js";
import { loadStyle } from "../../../core/styles.js";
import { t } from "../../../core/words.js";
import { Badge } from "../../../parts/badge.js";
import { LIMITS } from "../../../parts/terms.js";

await loadStyle("styles/supply.css");

const NAMED_MAX = 3;

/** @param {{names: string[], path: "channels"|"accounts"}} props names that lead to pages */
export function Names({ names, path }) {
  if (names.length === 0) return html`<span class="quiet">–</span>`;
  const rest = names.slice(NAMED_MAX);
  return html`<span class="tags">
    ${names.slice(0, NAMED_MAX).map((name) => html`<a class="tag" key=${name} href=${path === "channels" ? to`/site/channels/${name}` : to`/site/accounts/${name}`}>${name}</a>`)}
    ${rest.length > 0 && html`<span class="tag" title=${rest.join(", ")}>+${rest.length}</span>`}
  </span>`;
}

/** @param {{limits: object}} props */
export function LimitLines({ limits }) {
  const there = LIMITS.filter((name) => limits[name] ?? false);
  const families = limits.families?.length ?? 0;
  if (there.length === 0 && families === 0) return html`<span class="quiet">${t("supply.no_limits")}</span>`;
  return html`<span class="limit-lines">
    ${there.map((name) => html`<span key=${name} class="nowrap"><b>${count(limits[name])}</b> <span class="quiet">${t(`supply.short.${name}`)}</span></span>`)}
    ${families > 0 && html`<span class="quiet nowrap">${t("supply.families_more", { count: families })}</span>`}
  </span>`;
}

/** Who registers gets it. */
export const Newcomers = () => html`<${Badge} tone="info" dot=${false}>${t("supply.newcomers")}</${Badge}>`;
