/**
 * The models that an account's people can call.
 */
import { api, at } from "../../core/api.js";
import { html, useInterval } from "../../core/html.js";
import { useLoad } from "../../core/load.js";
import { t } from "../../core/words.js";
import { Empty, Loaded } from "../../parts/notice.js";
import { PageHeader } from "../../parts/page.js";
import { Square } from "../models/square.js";

const FRESH_S = 30;

export default function Models({ params: { account }, query }) {
  const square = useLoad((signal) => api.get(at`accounts/${account}/models`, {}, { signal }), [account]);
  useInterval(square.reload, FRESH_S);
  const empty = html`<${Empty} icon="model" title=${t("models.none")}>${t("models.none_text")}</${Empty}>`;
  return html`<${PageHeader} title=${t("nav.models")} text=${t("models.text")} />
    <${Loaded} of=${square} lines=${8}>${(found) => html`<${Square} square=${found} query=${query} account=${account} empty=${empty} />`}</${Loaded}>`;
}
