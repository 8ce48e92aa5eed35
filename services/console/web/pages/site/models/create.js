/**
 * A model that no channel serves yet: with its price, so that channels may then serve it.
 */
import { at } from "../../../core/api.js";
import { html } from "../../../core/html.js";
import { t } from "../../../core/words.js";
import { Dialog } from "../../../parts/dialog.js";
import { putEntry } from "../../../parts/entry.js";
import { TextField } from "../../../parts/fields.js";
import { Form, useForm } from "../../../parts/form.js";
import { Segments } from "../../../parts/tabs.js";
import { PriceFields, priceFaults } from "../prices/fields.js";
import { priceBody, priceValues } from "../prices/units.js";

const WAYS = ["own", "list", "free"];

const ENTRIES = {
  own: (price) => ({ price: priceBody(price) }),
  list: () => ({}),
  free: () => ({ free: true }),
};

/** @param {{onClose: () => void, onDone: () => void}} props */
export function NewModel({ onClose, onDone }) {
  const form = useForm(
    { name: "", way: "own", price: priceValues() },
    {
      // Without any it could not be used, and nobody would be told.
      check: ({ way, price }) => (way !== "own" ? {} : Object.values(price).some(Boolean) ? priceFaults(price) : { "price.input": t("site_models.price_needed") }),
      submit: async ({ name, way, price }) => {
        await putEntry("models", at`models/${name.trim()}`, ENTRIES[way](price));
        onDone();
      },
    },
  );
  const way = form.get("way");
  return html`<${Dialog} title=${t("site_models.create")} onClose=${onClose} wide>
    <p class="quiet">${t("site_models.create_text")}</p>
    <${Form} form=${form} submit=${t("site_models.create")} onCancel=${onClose}>
      <${TextField} form=${form} name="name" label=${t("site_models.name")} help=${t("site_models.name_help")} required autofocus />
      <div><${Segments} label=${t("site_models.way")} options=${WAYS.map((value) => ({ value, label: t(`site_models.way.${value}`) }))} value=${way} onChange=${(chosen) => form.set("way", chosen)} /></div>
      ${way === "own" && html`<div class="form-part"><${PriceFields} form=${form} /></div>`}
    </${Form}>
  </${Dialog}>`;
}
