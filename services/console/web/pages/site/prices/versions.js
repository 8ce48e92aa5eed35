/**
 * Prices with their dates: in force, to come and past.
 */
import { api } from "../../../core/api.js";
import { html } from "../../../core/html.js";
import { t } from "../../../core/words.js";
import { Badge } from "../../../parts/badge.js";
import { Button } from "../../../parts/button.js";
import { confirm } from "../../../parts/dialog.js";
import { Time } from "../../../parts/time.js";
import { kindName, kindsOf, price } from "../../models/prices.js";

const STATES = { "in force": "in_force", "to come": "to_come", past: "past" };
const TONES = { "in force": "good", "to come": "info", past: "neutral" };
const FROM_A_LIST = "genai-prices";

/** Where prices come from. @param {string} source */
export function sourceName(source) {
  if (source === FROM_A_LIST) return t("pricing.source.list");
  return ["operator", "configuration", "free"].includes(source) ? t(`pricing.source.${source}`) : source;
}

/** @param {{prices: Record<string, number|bigint>, overrides?: object}} props every kind with its price */
export function PriceList({ prices, overrides = {} }) {
  return html`<ul class="price-list">
    ${kindsOf(prices).map((kind) => html`<li key=${kind}><span class="quiet">${kindName(kind)}</span> <b class="number">${price(kind, prices[kind])}</b>${kind in overrides && html` <span class="tag">${t("pricing.own")}</span>`}</li>`)}
  </ul>`;
}

/**
 * @param {{versions: object[], path: string, onChanged: () => void}} props path: of the versions, to withdraw one
 */
export function Versions({ versions, path, onChanged }) {
  const withdraw = async (version) => {
    const agreed = await confirm({
      title: t("pricing.withdraw_title"),
      text: t("pricing.withdraw_text"),
      action: t("pricing.withdraw"),
      danger: true,
      work: () => api.delete(`${path}/${version.id}`),
    });
    if (agreed) onChanged();
  };
  if (versions.length === 0) return html`<p class="quiet">${t("pricing.no_versions")}</p>`;
  return html`<ol class="price-versions">
    ${versions.map(
      (version) => html`<li key=${version.id} class=${version.state === "past" ? "past" : ""}>
        <div class="price-version-head">
          <${Badge} tone=${TONES[version.state]}>${t(`pricing.state.${STATES[version.state]}`)}</${Badge}>
          <span>${t("pricing.since")} <${Time} at=${version.effective_from} exact /></span>
          ${version.source && html`<span class="quiet">${sourceName(version.source)}</span>`}
          <span class="grow"></span>
          ${version.state === "to come" && html`<${Button} small icon="trash" onClick=${() => withdraw(version)}>${t("pricing.withdraw")}</${Button}>`}
        </div>
        ${version.source === "free" ? null : html`<${PriceList} prices=${version.prices} overrides=${version.overrides} />`}
      </li>`,
    )}
  </ol>`;
}
