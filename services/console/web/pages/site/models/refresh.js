/**
 * Takes the installed list's prices: first shows what would change, then does it.
 */
import { api } from "../../../core/api.js";
import { html, useState } from "../../../core/html.js";
import { useLoad } from "../../../core/load.js";
import { list } from "../../../core/format.js";
import { t } from "../../../core/words.js";
import { Button } from "../../../parts/button.js";
import { Dialog } from "../../../parts/dialog.js";
import { ErrorNotice, Notice } from "../../../parts/notice.js";
import { Progress } from "../../../parts/progress.js";

/** @param {{onClose: () => void, onDone: () => void}} props onDone: prices are others now */
export function RefreshDialog({ onClose, onDone }) {
  const foreseen = useLoad((signal) => api.post("prices/refresh?dry_run=true", undefined, { signal }), []);
  const [state, setState] = useState({ result: null, error: null, busy: false });
  const apply = async () => {
    setState({ result: null, error: null, busy: true });
    try {
      setState({ result: await api.post("prices/refresh"), error: null, busy: false });
      onDone();
    } catch (error) {
      setState({ result: null, error, busy: false });
    }
  };
  const shown = state.result ?? foreseen.data;
  const anything = foreseen.data?.changes.length > 0 && !state.result;
  const footer = html`<${Button} onClick=${onClose}>${t("common.close")}</${Button}>
    ${anything && html`<${Button} kind="primary" icon="refresh" busy=${state.busy} onClick=${apply}>${t("site_models.refresh_now")}</${Button}>`}`;
  return html`<${Dialog} title=${t("site_models.refresh")} onClose=${onClose} footer=${footer} wide>
    <p class="quiet">${t("site_models.refresh_text")}</p>
    ${(state.busy || (foreseen.loading && !shown)) && html`<${Progress} label=${t(state.busy ? "site_models.refreshing" : "site_models.comparing")} />`}
    <${ErrorNotice} error=${state.error ?? foreseen.error} />
    ${state.result && html`<${Notice} kind="done">${t("site_models.refreshed", { count: state.result.changes.length })}</${Notice}>`}
    ${shown && !state.result && (shown.changes.length === 0 ? html`<${Notice} kind="done">${t("site_models.up_to_date")}</${Notice}>` : html`<p>${t("site_models.would_change", { count: shown.changes.length })}</p>`)}
    ${shown?.changes.length > 0 && html`<${Changes} changes=${shown.changes} />`}
    ${shown?.unlisted.length > 0 && html`<${Notice} kind="warning" title=${t("site_models.not_listed_any_more")}>${list(shown.unlisted)}</${Notice}>`}
  </${Dialog}>`;
}

function Changes({ changes }) {
  return html`<ul class="changes">
    ${changes.map(
      (change) => html`<li key=${change.name}>
        <b>${change.name}</b>
        ${change.fields.map((field) => html`<p key=${field.field}><span class="quiet">${field.field}</span> <del>${field.before}</del> → <ins>${field.after}</ins></p>`)}
      </li>`,
    )}
  </ul>`;
}
