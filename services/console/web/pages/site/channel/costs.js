/**
 * What a channel's provider asks for a model, with dates.
 */
import { api, at } from "../../../core/api.js";
import { html } from "../../../core/html.js";
import { t } from "../../../core/words.js";
import { Dialog } from "../../../parts/dialog.js";
import { SwitchField } from "../../../parts/fields.js";
import { Form, useForm } from "../../../parts/form.js";
import { toast } from "../../../parts/toast.js";
import { FromField, PriceFields, priceFaults } from "../prices/fields.js";
import { priceBody, priceValues } from "../prices/units.js";
import { Versions } from "../prices/versions.js";

/** @param {{channel: object, model: string, versions: object[], onClose: () => void, onChanged: () => void}} props */
export function CostsDialog({ channel, model, versions, onClose, onChanged }) {
  const path = at`channels/${channel.name}/costs/${model}`;
  const before = versions.find((each) => each.state === "in force")?.prices ?? {};
  const changed = (sentence) => {
    toast(sentence);
    onChanged();
  };
  const form = useForm(
    { price: priceValues(before), effective_from: null, free: false },
    {
      check: ({ free, price }) => (free ? {} : priceFaults(price)),
      submit: async ({ price, effective_from, free }) => {
        await api.put(path, { price: free ? {} : priceBody(price, before), effective_from, free });
        changed(t("channels.costs_set"));
      },
    },
  );
  return html`<${Dialog} title=${t("channels.costs_title", { name: model })} onClose=${onClose} side>
    <p class="quiet">${t("channels.costs_text")}</p>
    <${Form} form=${form} submit=${t("channels.set_costs")}>
      <${SwitchField} form=${form} name="free" label=${t("channels.costs_nothing")} />
      ${!form.get("free") && html`<div class="form-part"><${PriceFields} form=${form} /></div>`}
      <${FromField} form=${form} />
    </${Form}>
    <h3>${t("channels.costs_history")}</h3>
    <${Versions} versions=${versions} path=${path} onChanged=${() => changed(t("pricing.withdrawn"))} />
  </${Dialog}>`;
}
