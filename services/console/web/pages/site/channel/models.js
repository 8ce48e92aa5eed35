/**
 * The models that a channel serves: their names at the provider, what they cost us, and what we take for them.
 */
import { api, at } from "../../../core/api.js";
import { html, useState } from "../../../core/html.js";
import { useLoad } from "../../../core/load.js";
import { to } from "../../../core/router.js";
import { t } from "../../../core/words.js";
import { Button } from "../../../parts/button.js";
import { confirm } from "../../../parts/dialog.js";
import { Card } from "../../../parts/page.js";
import { Table } from "../../../parts/table.js";
import { Time } from "../../../parts/time.js";
import { kindName, kindsOf, price } from "../../models/prices.js";
import { changeChannel } from "../channels/apply.js";
import { AddModels } from "./add-models.js";
import { CostsDialog } from "./costs.js";
import { MapDialog } from "./map.js";

/** @param {{channel: object, test: (what: object) => void, done: (sentence: string) => void}} props */
export function ChannelModels({ channel, test, done }) {
  const costs = useLoad((signal) => api.get(at`channels/${channel.name}/costs`, {}, { signal }), [channel]);
  const models = useLoad((signal) => api.get("models", {}, { signal }), [channel]);
  const [dialog, setDialog] = useState(null);
  const close = () => setDialog(null);
  const changed = (sentence) => {
    close();
    done(sentence);
  };
  const rows = Object.entries(channel.models).map(([name, upstream]) => ({
    name,
    upstream,
    cost: costs.data?.find((each) => each.model === name && each.state === "in force"),
    next: costs.data?.findLast((each) => each.model === name && each.state === "to come"),
    model: models.data?.find((each) => each.name === name),
  }));
  const buttons = html`<${Button} icon="plus" onClick=${() => setDialog({ kind: "add", find: false })}>${t("channels.add_by_hand")}</${Button}>
    <${Button} kind="primary" icon="search" onClick=${() => setDialog({ kind: "add", find: true })}>${t("channels.discover")}</${Button}>`;
  return html`
    <${Card} flush title=${t("channels.models")} text=${t("channels.models_text")} actions=${buttons}>
      <${Table}
        label=${t("channels.models")}
        columns=${columns()}
        rows=${rows}
        rowKey=${(row) => row.name}
        order=${{ key: "name", down: false }}
        actions=${(row) => actions(channel, row, { test, setDialog, done })}
        error=${costs.error ?? models.error}
        retry=${costs.reload}
      />
    </${Card}>
    ${dialog?.kind === "add" && html`<${AddModels} channel=${channel} find=${dialog.find} known=${models.data?.map((each) => each.name) ?? []} onClose=${close} onDone=${(count) => changed(t("channels.models_added", { count }))} />`}
    ${dialog?.kind === "map" && html`<${MapDialog} channel=${channel} row=${dialog.row} onClose=${close} onDone=${() => changed(t("channels.changed"))} />`}
    ${dialog?.kind === "costs" && html`<${CostsDialog} channel=${channel} model=${dialog.row.name} versions=${costs.data?.filter((each) => each.model === dialog.row.name) ?? []} onClose=${close} onChanged=${costs.reload} />`}
  `;
}

const columns = () => [
  {
    key: "name",
    label: t("channels.public_name"),
    narrow: "title",
    sort: (row) => row.name,
    cell: (row) => html`<a class="cell-title" href=${`${to`/site/models`}?model=${encodeURIComponent(row.name)}`}>${row.name}</a>`,
  },
  { key: "upstream", label: t("channels.upstream_name"), sort: (row) => row.upstream, cell: (row) => html`<code class=${row.upstream === row.name ? "quiet" : ""}>${row.upstream}</code>` },
  { key: "cost", label: t("channels.cost"), cell: (row) => (row.cost ? html`<${Brief} prices=${row.cost.prices} />` : html`<span class="quiet">${t("channels.no_cost")}</span>`) },
  { key: "next", label: t("channels.cost_to_come"), cell: (row) => (row.next ? html`<${Brief} prices=${row.next.prices} /><span class="cell-note"><${Time} at=${row.next.effective_from} exact /></span>` : null) },
  { key: "price", label: t("channels.price"), cell: (row) => (row.model?.free ? t("channels.free") : row.model ? html`<${Brief} prices=${row.model.prices} />` : null) },
];

/** Input and output, or the first kind that there is. */
function Brief({ prices }) {
  const { input, output } = prices;
  if (input !== undefined && output !== undefined) return html`<span class="number">${price("input", input)} / ${price("output", output)}</span>`;
  const [kind] = kindsOf(prices);
  return kind ? html`<span class="number">${price(kind, prices[kind])}</span><span class="cell-note">${kindName(kind)}</span>` : html`<span class="quiet">–</span>`;
}

function actions(channel, row, { test, setDialog, done }) {
  const remove = async () => {
    const agreed = await confirm({
      title: t("channels.remove_model_title", { name: row.name }),
      text: t("channels.remove_model_text"),
      action: t("channels.remove_model"),
      danger: true,
      work: () => changeChannel(channel.name, (entry) => ({ ...entry, models: Object.fromEntries(Object.entries(entry.models).filter(([name]) => name !== row.name)) })),
    });
    if (agreed) done(t("channels.model_removed", { name: row.name }));
  };
  return [
    { label: t("channels.test"), icon: "pulse", run: () => test({ model: row.name }) },
    { label: t("channels.set_costs"), icon: "tag", run: () => setDialog({ kind: "costs", row }) },
    { label: t("channels.change_map"), icon: "edit", run: () => setDialog({ kind: "map", row }) },
    null,
    { label: t("channels.remove_model"), icon: "trash", danger: true, disabled: Object.keys(channel.models).length === 1, note: Object.keys(channel.models).length === 1 ? t("channels.last_model") : undefined, run: remove },
  ];
}
