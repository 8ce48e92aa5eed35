/**
 * The usage of all accounts, with channels, costs and margin.
 */
import { html } from "../../core/html.js";
import { t } from "../../core/words.js";
import { Explorer } from "../usage/explorer.js";

const SOURCE = { base: "usage", site: true };

export default function SiteUsage() {
  return html`<${Explorer} source=${SOURCE} timeZone="UTC" text=${t("usage.text_site")} />`;
}
