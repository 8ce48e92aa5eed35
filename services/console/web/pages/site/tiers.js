/**
 * The tiers of the site: sets of limits that accounts share, and who goes first where the gateway is full.
 */
import { api, at } from "../../core/api.js";
import { count } from "../../core/format.js";
import { html, useState } from "../../core/html.js";
import { useLoad } from "../../core/load.js";
import { t } from "../../core/words.js";
import { Button } from "../../parts/button.js";
import { confirm, Dialog } from "../../parts/dialog.js";
import { putEntry } from "../../parts/entry.js";
import { familiesOf, FamiliesField, familyRows } from "../../parts/families.js";
import { NumberField, TextField } from "../../parts/fields.js";
import { Form, useForm } from "../../parts/form.js";
import { Empty } from "../../parts/notice.js";
import { Card, PageHeader } from "../../parts/page.js";
import { Table } from "../../parts/table.js";
import { LimitFields, limitsOf } from "../../parts/terms.js";
import { toast } from "../../parts/toast.js";
import { LimitLines, Names, Newcomers } from "./supply/uses.js";

export default function Tiers() {
  const tiers = useLoad(async (signal) => {
    const [all, uses] = await Promise.all([api.get("tiers", {}, { signal }), api.get("tier-uses", {}, { signal })]);
    return all.map((tier) => ({ ...tier, uses: uses.find((each) => each.name === tier.name) }));
  }, []);
  const [open, setOpen] = useState(null);
  const done = (sentence) => {
    setOpen(null);
    toast(sentence);
    tiers.reload();
  };
  const create = html`<${Button} kind="primary" icon="plus" onClick=${() => setOpen({})}>${t("tiers.create")}</${Button}>`;
  return html`
    <${PageHeader} title=${t("nav.tiers")} text=${t("tiers.text")} actions=${create} />
    <${Card} flush>
      <${Table}
        label=${t("nav.tiers")}
        columns=${columns(setOpen)}
        rows=${tiers.data}
        rowKey=${(tier) => tier.name}
        order=${{ key: "priority", down: true }}
        actions=${(tier) => actions(tier, { setOpen, done })}
        error=${tiers.error}
        retry=${tiers.reload}
        empty=${html`<${Empty} icon="stairs" title=${t("tiers.none")} action=${create}>${t("tiers.none_text")}</${Empty}>`}
      />
    </${Card}>
    ${open && html`<${TierDialog} tier=${open.name ? open : null} onClose=${() => setOpen(null)} onDone=${() => done(t(open.name ? "tiers.changed" : "tiers.created"))} />`}
  `;
}

const columns = (setOpen) => [
  {
    key: "name",
    label: t("tiers.name"),
    narrow: "title",
    sort: (tier) => tier.name,
    cell: (tier) => html`<button type="button" class="link cell-title" onClick=${() => setOpen(tier)}>${tier.name}</button>
      ${tier.uses?.newcomers && html` <${Newcomers} />`}`,
  },
  { key: "priority", label: t("tiers.priority"), align: "end", sort: (tier) => tier.priority, cell: (tier) => count(tier.priority) },
  { key: "limits", label: t("tiers.limits"), cell: (tier) => html`<${LimitLines} limits=${tier.limits} />` },
  { key: "accounts", label: t("nav.accounts"), sort: (tier) => tier.uses?.accounts.length, cell: (tier) => html`<${Names} names=${tier.uses?.accounts ?? []} path="accounts" />` },
  { key: "discounts", label: t("tiers.discounts"), cell: (tier) => (tier.uses?.discounts ? t("tiers.steps", { count: tier.uses.discounts }) : null) },
];

function actions(tier, { setOpen, done }) {
  const remove = async () => {
    const agreed = await confirm({
      title: t("tiers.delete_title", { name: tier.name }),
      text: t("tiers.delete_text"),
      action: t("tiers.delete"),
      danger: true,
      work: () => api.delete(at`tiers/${tier.name}`),
    });
    if (agreed) done(t("tiers.deleted", { name: tier.name }));
  };
  return [{ label: t("tiers.change"), icon: "edit", run: () => setOpen(tier) }, null, { label: t("tiers.delete"), icon: "trash", danger: true, run: remove }];
}

/** The API has a tier's limits beside its priority; in the form they are together. */
function TierDialog({ tier, onClose, onDone }) {
  const initial = { name: tier?.name ?? "", limits: { priority: tier?.priority ?? 0, ...tier?.limits, families: familyRows(tier?.limits.families) } };
  const form = useForm(initial, {
    submit: async ({ name, limits }) => {
      const entry = { priority: limits.priority ?? 0, ...limitsOf(limits), families: familiesOf(limits.families) };
      await putEntry("tiers", at`tiers/${name.trim()}`, entry, "limits");
      onDone();
    },
  });
  return html`<${Dialog} title=${tier ? t("tiers.change_title", { name: tier.name }) : t("tiers.create")} onClose=${onClose} wide>
    <${Form} form=${form} submit=${tier ? t("common.save") : t("tiers.create")} onCancel=${onClose}>
      <div class="form-row">
        <${TextField} form=${form} name="name" label=${t("tiers.name")} help=${tier ? undefined : t("tiers.name_help")} required disabled=${Boolean(tier)} autofocus=${!tier} />
        <${NumberField} form=${form} name="limits.priority" label=${t("tiers.priority")} help=${t("tiers.priority_help")} />
      </div>
      <div class="form-part">
        <h3>${t("tiers.limits")}</h3>
        <p class="quiet">${t("tiers.limits_help")}</p>
        <${LimitFields} form=${form} />
        <${FamiliesField} form=${form} name="limits.families" />
      </div>
    </${Form}>
  </${Dialog}>`;
}
