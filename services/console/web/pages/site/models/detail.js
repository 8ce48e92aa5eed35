/**
 * One model at the side: its prices with their dates, how it is routed, and who serves it.
 */
import { api, at } from "../../../core/api.js";
import { html } from "../../../core/html.js";
import { useLoad } from "../../../core/load.js";
import { useQuery } from "../../../core/router.js";
import { t } from "../../../core/words.js";
import { Dialog } from "../../../parts/dialog.js";
import { Loaded } from "../../../parts/notice.js";
import { Tabs } from "../../../parts/tabs.js";
import { toast } from "../../../parts/toast.js";
import { PriceList, Versions } from "../prices/versions.js";
import { Names } from "../supply/uses.js";
import { PriceForm } from "./price-form.js";
import { RoutingForm } from "./routing.js";

/** @param {{model: object, models: string[], onClose: () => void, onChanged: () => void}} props models: names of all */
export function ModelDialog({ model, models, onClose, onChanged }) {
  const [tab, setTab] = useQuery("tab", "prices");
  const versions = useLoad((signal) => api.get(at`models/${model.name}/prices`, {}, { signal }), [model.name]);
  const changed = (sentence) => {
    toast(sentence);
    versions.reload();
    onChanged();
  };
  const tabs = ["prices", "history", "routing"].map((key) => ({ key, label: t(`site_models.tab.${key}`) }));
  return html`<${Dialog} title=${model.name} onClose=${onClose} side>
    <p class="row"><span class="quiet">${t("nav.channels")}</span> <${Names} names=${model.channels} path="channels" /></p>
    <${Tabs} label=${model.name} tabs=${tabs} value=${tab} onChange=${setTab}>
      ${tab === "prices" &&
      html`<div class="stack">
        <${Listed} model=${model} />
        <${PriceForm} key=${JSON.stringify(Object.values(model.prices).map(String))} model=${model} onDone=${() => changed(t("site_models.priced"))} />
      </div>`}
      ${tab === "history" &&
      html`<${Loaded} of=${versions}>
        ${(rows) => html`<${Versions} versions=${rows} path=${at`models/${model.name}/prices`} onChanged=${() => changed(t("pricing.withdrawn"))} />`}
      </${Loaded}>`}
      ${tab === "routing" && html`<${RoutingForm} model=${model} models=${models} onDone=${() => changed(t("site_models.routed"))} />`}
    </${Tabs}>
  </${Dialog}>`;
}

function Listed({ model }) {
  if (!model.listed) return html`<p class="quiet">${t("site_models.no_list_price")}</p>`;
  return html`<div><h3 class="small-head">${t("site_models.list_price")}</h3><${PriceList} prices=${model.listed} /></div>`;
}
