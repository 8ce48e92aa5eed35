/**
 * The models of this gateway, for anybody.
 */
import { ApiError, api } from "../../core/api.js";
import { html } from "../../core/html.js";
import { useLoad } from "../../core/load.js";
import { t } from "../../core/words.js";
import { Empty, Loaded } from "../../parts/notice.js";
import { PageHeader } from "../../parts/page.js";
import { Square } from "../models/square.js";

const NOTHING = { base_url: "", groups: [], models: [] };

/** A gateway that shows nothing to the public is no error. */
async function read(signal) {
  try {
    return await api.get("public/models", {}, { signal });
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return NOTHING;
    throw error;
  }
}

export default function PublicModels({ query }) {
  const square = useLoad(read, []);
  const empty = html`<${Empty} icon="model" title=${t("models.none")}>${t("models.none_public_text")}</${Empty}>`;
  return html`<${PageHeader} title=${t("nav.all_models")} text=${t("models.public_text")} />
    <${Loaded} of=${square} lines=${8}>${(found) => html`<${Square} square=${found} query=${query} account=${null} empty=${empty} />`}</${Loaded}>`;
}
