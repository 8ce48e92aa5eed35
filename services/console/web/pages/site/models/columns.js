/**
 * The columns of the table of models.
 */
import { percent } from "../../../core/format.js";
import { html } from "../../../core/html.js";
import { t } from "../../../core/words.js";
import { Badge } from "../../../parts/badge.js";
import { strategyName } from "../../../parts/strategy.js";
import { Time } from "../../../parts/time.js";
import { kindName, kindsOf, price } from "../../models/prices.js";
import { overList } from "../prices/units.js";
import { sourceName } from "../prices/versions.js";
import { Names } from "../supply/uses.js";

export const STATES = ["unpriced", "list", "operator", "free", "to_come"];

const FROM_A_LIST = "genai-prices";
const SAME = 0.0005;

/** Which filter a model is found by. */
export function stateOf(model) {
  if (unpriced(model)) return "unpriced";
  if (model.to_come.length) return "to_come";
  if (model.free) return "free";
  return model.price_source === FROM_A_LIST ? "list" : "operator";
}

const unpriced = (model) => !model.free && Object.keys(model.prices).length === 0;

/** @param {(name: string, tab: string) => void} show opens a model */
export const modelColumns = (show) => [
  {
    key: "name",
    label: t("site_models.name"),
    narrow: "title",
    sort: (model) => model.name,
    cell: (model) => html`<button type="button" class="link cell-title" onClick=${() => show(model.name, "prices")}>${model.name}</button>
      ${model.lane !== "default" && html`<span class="cell-note">${t("site_models.lane", { lane: model.lane })}</span>`}`,
  },
  // Unpriced ones are nothing to it, and so come first.
  { key: "price", label: t("site_models.price"), sort: (model) => (unpriced(model) ? null : model.name), cell: (model) => html`<${Price} model=${model} />` },
  { key: "source", label: t("site_models.source"), sort: (model) => model.price_source, cell: (model) => (unpriced(model) ? null : html`<${Source} model=${model} />`) },
  { key: "over", label: t("site_models.over_list"), align: "end", sort: (model) => overList(model.prices, model.listed), cell: (model) => html`<${Over} model=${model} />` },
  { key: "to_come", label: t("site_models.to_come"), sort: (model) => model.to_come[0]?.effective_from, cell: (model) => (model.to_come.length ? html`<${ToCome} model=${model} />` : null) },
  { key: "channels", label: t("nav.channels"), sort: (model) => model.channels.length, cell: (model) => html`<${Names} names=${model.channels} path="channels" />` },
  { key: "routing", label: t("site_models.routing"), narrow: "hide", cell: (model) => routingText(model.routing) },
];

function Price({ model }) {
  if (model.free) return html`<${Badge} tone="info" dot=${false}>${t("site_models.free")}</${Badge}>`;
  if (unpriced(model)) return html`<${Badge} tone="bad">${t("site_models.unpriced")}</${Badge}>`;
  const { input, output } = model.prices;
  const kinds = kindsOf(model.prices);
  const rest = kinds.length - (input !== undefined && output !== undefined ? 2 : 1);
  const more = rest > 0 ? html` <span class="quiet">${t("site_models.more_kinds", { count: rest })}</span>` : null;
  if (input !== undefined && output !== undefined) {
    return html`<span class="price-cell"><span><b class="number">${price("input", input)}</b> <span class="quiet">/</span> <b class="number">${price("output", output)}</b></span>
      <span class="cell-note">${t("site_models.in_out")}${more}</span></span>`;
  }
  return html`<span class="price-cell"><b class="number">${price(kinds[0], model.prices[kinds[0]])}</b><span class="cell-note">${kindName(kinds[0])}${more}</span></span>`;
}

function Source({ model }) {
  const own = Object.keys(model.overrides ?? {}).length;
  return html`${sourceName(model.price_source)}${own > 0 && html`<span class="cell-note">${t("site_models.own_kinds", { count: own })}</span>`}`;
}

function Over({ model }) {
  const share = model.free ? null : overList(model.prices, model.listed);
  if (share === null) return html`<span class="quiet">${model.listed || model.free ? "–" : t("site_models.unlisted")}</span>`;
  if (Math.abs(share) < SAME) return html`<span class="quiet">${t("site_models.as_list")}</span>`;
  return html`<span class=${share < 0 ? "warn" : ""}>${share > 0 ? "+" : ""}${percent(share)}</span>`;
}

function ToCome({ model }) {
  const [next] = model.to_come;
  const { input, output } = next.prices;
  return html`<${Time} at=${next.effective_from} exact />
    ${input !== undefined && output !== undefined && html`<span class="cell-note">${price("input", input)} / ${price("output", output)}</span>`}`;
}

function routingText(routing) {
  const parts = [];
  if (routing.strategy) parts.push(strategyName(routing.strategy));
  if (routing.fallbacks?.length) parts.push(`→ ${routing.fallbacks.join(" → ")}`);
  for (const name of ["context_fallbacks", "filter_fallbacks"]) if (routing[name]?.length) parts.push(t(`site_models.short.${name}`, { names: routing[name].join(", ") }));
  if (routing.hedge) parts.push(t("site_models.short.hedge"));
  if (routing.continues) parts.push(t("site_models.short.continues"));
  return parts.length ? html`<span class="routing-text">${parts.map((part) => html`<span key=${part}>${part}</span>`)}</span>` : null;
}
