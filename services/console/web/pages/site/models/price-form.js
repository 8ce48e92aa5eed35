/**
 * New prices of a model, from now or from a moment on.
 */
import { api, at } from "../../../core/api.js";
import { html } from "../../../core/html.js";
import { t } from "../../../core/words.js";
import { Form, useForm } from "../../../parts/form.js";
import { Notice } from "../../../parts/notice.js";
import { Segments } from "../../../parts/tabs.js";
import { FromField, PriceFields, priceFaults } from "../prices/fields.js";
import { priceBody, priceValues } from "../prices/units.js";

const WAYS = ["own", "list", "free"];
const FROM_A_LIST = "genai-prices";

function wayOf(model) {
  if (model.free) return "free";
  return model.price_source === FROM_A_LIST ? "list" : "own";
}

/** What a way of pricing begins with: all prices, or what differs from the list. */
const before = (model, way) => (way === "list" ? (model.overrides ?? {}) : model.free ? {} : model.prices);

/** @param {{model: object, onDone: () => void}} props model: with `listed`, what the list says or null */
export function PriceForm({ model, onDone }) {
  const first = wayOf(model);
  const form = useForm(
    { way: first, price: priceValues(before(model, first)), effective_from: null },
    {
      check: ({ way, price }) => (way === "free" ? {} : priceFaults(price)),
      submit: async ({ way, price, effective_from }) => {
        const prices = way === "free" ? {} : priceBody(price, before(model, way));
        await api.put(at`models/${model.name}/prices`, { price: prices, effective_from, free: way === "free", over_list: way === "list" });
        onDone();
      },
    },
  );
  const way = form.get("way");
  const choose = (chosen) => {
    form.set("way", chosen);
    form.set("price", priceValues(before(model, chosen)));
  };
  const listed = way === "list" ? placeholdersOf(model.listed) : {};
  const options = WAYS.filter((value) => value !== "list" || model.listed).map((value) => ({ value, label: t(`site_models.way.${value}`) }));
  return html`<${Form} form=${form} submit=${t("site_models.set_prices")}>
    <div class="choice-text">
      <${Segments} label=${t("site_models.way")} options=${options} value=${way} onChange=${choose} />
      <p class="quiet">${t(`site_models.way_text.${way}`)}</p>
    </div>
    ${way !== "free" && html`<div class="form-part"><${PriceFields} form=${form} placeholders=${listed} /></div>`}
    <${FromField} form=${form} />
    ${model.to_come.length > 0 && html`<${Notice}>${t("site_models.to_come_stays", { count: model.to_come.length })}</${Notice}>`}
  </${Form}>`;
}

const placeholdersOf = (listed) => priceValues(listed ?? {});
