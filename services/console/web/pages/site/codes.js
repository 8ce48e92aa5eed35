/**
 * Redemption codes, made in batches: what they are worth, how many are used.
 */
import { api } from "../../core/api.js";
import { count, date } from "../../core/format.js";
import { html, useState } from "../../core/html.js";
import { useLoad } from "../../core/load.js";
import { loadStyle } from "../../core/styles.js";
import { t } from "../../core/words.js";
import { Badge } from "../../parts/badge.js";
import { Button } from "../../parts/button.js";
import { confirm } from "../../parts/dialog.js";
import { Empty } from "../../parts/notice.js";
import { Card, PageHeader } from "../../parts/page.js";
import { Table } from "../../parts/table.js";
import { Money, Time } from "../../parts/time.js";
import { toast } from "../../parts/toast.js";
import { MadeCodes, NewCodes } from "./codes/form.js";

await loadStyle("styles/site.css");

const TONES = { open: "good", used: "neutral", expired: "warn", withdrawn: "bad" };

function stateOf(batch) {
  if (batch.redeemed === batch.codes) return "used";
  if (batch.withdrawn_at) return "withdrawn";
  return batch.expires_at && new Date(batch.expires_at) <= new Date() ? "expired" : "open";
}

export default function Codes() {
  const batches = useLoad((signal) => api.get("codes", {}, { signal }), []);
  const [dialog, setDialog] = useState(null);
  const create = html`<${Button} kind="primary" icon="plus" onClick=${() => setDialog({ kind: "create" })}>${t("codes.create")}</${Button}>`;
  const made = (created) => {
    setDialog({ kind: "made", created });
    batches.reload();
  };
  return html`
    <${PageHeader} title=${t("nav.codes")} text=${t("codes.text")} actions=${create} />
    <${Card} flush>
      <${Table}
        label=${t("nav.codes")}
        columns=${columns()}
        rows=${batches.data}
        rowKey=${(batch) => batch.id}
        actions=${(batch) => actions(batch, batches.reload)}
        error=${batches.error}
        retry=${batches.reload}
        empty=${html`<${Empty} icon="ticket" title=${t("codes.none")} action=${create}>${t("codes.none_text")}</${Empty}>`}
      />
    </${Card}>
    ${dialog?.kind === "create" && html`<${NewCodes} onClose=${() => setDialog(null)} onDone=${made} />`}
    ${dialog?.kind === "made" && html`<${MadeCodes} created=${dialog.created} onClose=${() => setDialog(null)} />`}
  `;
}

const columns = () => [
  {
    key: "note",
    label: t("codes.batch"),
    narrow: "title",
    sort: (batch) => batch.id,
    cell: (batch) => html`<span class="cell-title">${batch.note || t("codes.number", { id: String(batch.id) })}</span>${batch.note && html`<span class="cell-note">${t("codes.number", { id: String(batch.id) })}</span>`}`,
  },
  { key: "worth", label: t("codes.worth"), align: "end", sort: (batch) => BigInt(batch.amount_nano), cell: (batch) => html`<${Money} nano=${batch.amount_nano} />` },
  {
    key: "redeemed",
    label: t("codes.redeemed"),
    align: "end",
    sort: (batch) => batch.redeemed / batch.codes,
    cell: (batch) => t("codes.of", { redeemed: count(batch.redeemed), codes: count(batch.codes) }),
  },
  {
    key: "state",
    label: t("codes.state"),
    sort: (batch) => Object.keys(TONES).indexOf(stateOf(batch)),
    cell: (batch) => html`<${Badge} tone=${TONES[stateOf(batch)]}>${t(`codes.state.${stateOf(batch)}`)}</${Badge}>`,
  },
  { key: "expires", label: t("codes.expires"), sort: (batch) => batch.expires_at, cell: (batch) => (batch.expires_at ? date(batch.expires_at) : html`<span class="quiet">${t("codes.never")}</span>`) },
  { key: "created", label: t("codes.created"), sort: (batch) => batch.created_at, cell: (batch) => html`<${Time} at=${batch.created_at} />` },
];

function actions(batch, reload) {
  const withdraw = async () => {
    const agreed = await confirm({
      title: t("codes.withdraw_title", { name: batch.note || t("codes.number", { id: String(batch.id) }) }),
      text: t("codes.withdraw_text", { count: batch.codes - batch.redeemed }),
      action: t("codes.withdraw"),
      danger: true,
      work: () => api.post(`codes/${batch.id}/withdraw`),
    });
    if (!agreed) return;
    toast(t("codes.withdrawn"));
    reload();
  };
  return [{ label: t("codes.withdraw"), icon: "stop", danger: true, disabled: stateOf(batch) !== "open", run: withdraw }];
}
