/**
 * What holds for the whole site: registration, the free trial, volume discounts, where operators are told, and its state.
 */
import { api } from "../../core/api.js";
import { html } from "../../core/html.js";
import { useLoad } from "../../core/load.js";
import { loadStyle } from "../../core/styles.js";
import { t } from "../../core/words.js";
import { Grid, PageHeader } from "../../parts/page.js";
import { SiteAlerts } from "./settings/alerts.js";
import { Discounts, Trial } from "./settings/offers.js";
import { Registration } from "./settings/registration.js";
import { System } from "./settings/system.js";

await loadStyle("styles/site.css");

export default function Settings() {
  const offers = useLoad((signal) => api.get("offers", {}, { signal }), []);
  return html`
    <${PageHeader} title=${t("nav.settings")} text=${t("settings.text")} />
    <${Grid} wide>
      <${Registration} />
      <div class="sections">
        <${Trial} offers=${offers} />
        <${Discounts} offers=${offers} />
        <${SiteAlerts} />
      </div>
    </${Grid}>
    <${System} />
  `;
}
