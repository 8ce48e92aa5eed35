/**
 * The groups of the site: sets of channels with a multiplier on prices, limits, and an order in which channels are asked.
 */
import { api, at } from "../../core/api.js";
import { decimal } from "../../core/format.js";
import { html, useState } from "../../core/html.js";
import { useLoad } from "../../core/load.js";
import { t } from "../../core/words.js";
import { Badge } from "../../parts/badge.js";
import { Button } from "../../parts/button.js";
import { confirm, Dialog } from "../../parts/dialog.js";
import { putEntry } from "../../parts/entry.js";
import { familiesOf, FamiliesField, familyRows } from "../../parts/families.js";
import { TextField } from "../../parts/fields.js";
import { Form, useForm } from "../../parts/form.js";
import { Empty } from "../../parts/notice.js";
import { Card, PageHeader } from "../../parts/page.js";
import { StrategyField, strategyName } from "../../parts/strategy.js";
import { Table } from "../../parts/table.js";
import { LimitFields, limitsOf } from "../../parts/terms.js";
import { toast } from "../../parts/toast.js";
import { LimitLines, Names, Newcomers } from "./supply/uses.js";

const PPM = 1_000_000;
const ALWAYS_THERE = "default";

export default function Groups() {
  const groups = useLoad(async (signal) => {
    const [all, uses] = await Promise.all([api.get("groups", {}, { signal }), api.get("group-uses", {}, { signal })]);
    return all.map((group) => ({ ...group, uses: uses.find((each) => each.name === group.name) }));
  }, []);
  const [open, setOpen] = useState(null);
  const done = (sentence) => {
    setOpen(null);
    toast(sentence);
    groups.reload();
  };
  const create = html`<${Button} kind="primary" icon="plus" onClick=${() => setOpen({})}>${t("groups.create")}</${Button}>`;
  return html`
    <${PageHeader} title=${t("nav.groups")} text=${t("groups.text")} actions=${create} />
    <${Card} flush>
      <${Table}
        label=${t("nav.groups")}
        columns=${columns(setOpen)}
        rows=${groups.data}
        rowKey=${(group) => group.name}
        order=${{ key: "name", down: false }}
        actions=${(group) => actions(group, { setOpen, done })}
        error=${groups.error}
        retry=${groups.reload}
        empty=${html`<${Empty} icon="layers" title=${t("groups.none")} action=${create} />`}
      />
    </${Card}>
    ${open && html`<${GroupDialog} group=${open.name ? open : null} onClose=${() => setOpen(null)} onDone=${() => done(t(open.name ? "groups.changed" : "groups.created"))} />`}
  `;
}

const columns = (setOpen) => [
  {
    key: "name",
    label: t("groups.name"),
    narrow: "title",
    sort: (group) => group.name,
    cell: (group) => html`<button type="button" class="link cell-title" onClick=${() => setOpen(group)}>${group.name}</button>
      ${group.uses?.newcomers && html` <${Newcomers} />`}`,
  },
  {
    key: "multiplier",
    label: t("groups.multiplier"),
    align: "end",
    sort: (group) => group.multiplier_ppm,
    cell: (group) => (group.multiplier_ppm === PPM ? html`<span class="quiet">× 1</span>` : html`<strong>× ${decimal(group.multiplier_ppm / PPM, 6)}</strong>`),
  },
  { key: "strategy", label: t("groups.strategy"), cell: (group) => (group.strategy ? html`<${Badge} tone="info" dot=${false}>${strategyName(group.strategy)}</${Badge}>` : null) },
  { key: "limits", label: t("groups.limits"), cell: (group) => html`<${LimitLines} limits=${group.limits} />` },
  { key: "channels", label: t("nav.channels"), sort: (group) => group.uses?.channels.length, cell: (group) => html`<${Names} names=${group.uses?.channels ?? []} path="channels" />` },
  { key: "accounts", label: t("nav.accounts"), sort: (group) => group.uses?.accounts.length, cell: (group) => html`<${Names} names=${group.uses?.accounts ?? []} path="accounts" />` },
  { key: "keys", label: t("groups.keys"), align: "end", sort: (group) => group.uses?.keys, cell: (group) => group.uses?.keys },
];

function actions(group, { setOpen, done }) {
  const remove = async () => {
    const agreed = await confirm({
      title: t("groups.delete_title", { name: group.name }),
      text: t("groups.delete_text"),
      action: t("groups.delete"),
      danger: true,
      work: () => api.delete(at`groups/${group.name}`),
    });
    if (agreed) done(t("groups.deleted", { name: group.name }));
  };
  return [
    { label: t("groups.change"), icon: "edit", run: () => setOpen(group) },
    null,
    { label: t("groups.delete"), icon: "trash", danger: true, disabled: group.name === ALWAYS_THERE, note: group.name === ALWAYS_THERE ? t("groups.always_there") : undefined, run: remove },
  ];
}

function GroupDialog({ group, onClose, onDone }) {
  const initial = {
    name: group?.name ?? "",
    multiplier: group ? String(group.multiplier_ppm / PPM) : "1",
    strategy: group?.strategy ?? null,
    limits: { ...group?.limits, families: familyRows(group?.limits.families) },
  };
  const form = useForm(initial, {
    submit: async ({ name, multiplier, strategy, limits }) => {
      const entry = { multiplier: multiplier.trim().replace(",", "."), strategy, limits: { ...limitsOf(limits), families: familiesOf(limits.families) } };
      await putEntry("groups", at`groups/${name.trim()}`, entry);
      onDone();
    },
  });
  return html`<${Dialog} title=${group ? t("groups.change_title", { name: group.name }) : t("groups.create")} onClose=${onClose} wide>
    <${Form} form=${form} submit=${group ? t("common.save") : t("groups.create")} onCancel=${onClose}>
      <div class="form-row">
        <${TextField} form=${form} name="name" label=${t("groups.name")} help=${group ? undefined : t("groups.name_help")} required disabled=${Boolean(group)} autofocus=${!group} />
        <${TextField} form=${form} name="multiplier" label=${t("groups.multiplier")} help=${t("groups.multiplier_help")} required prefix="×" inputMode="decimal" autocomplete="off" />
      </div>
      <${StrategyField} form=${form} label=${t("groups.strategy")} help=${t("groups.strategy_help")} empty=${t("groups.no_strategy")} />
      <div class="form-part">
        <h3>${t("groups.limits")}</h3>
        <p class="quiet">${t("groups.limits_help")}</p>
        <${LimitFields} form=${form} />
        <${FamiliesField} form=${form} name="limits.families" />
      </div>
    </${Form}>
  </${Dialog}>`;
}
