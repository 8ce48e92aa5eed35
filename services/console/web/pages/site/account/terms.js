/**
 * What an account is and may: tier, groups, time zone, limits, budgets.
 */
import { api } from "../../../core/api.js";
import { count, date } from "../../../core/format.js";
import { html, useState } from "../../../core/html.js";
import { useLoad } from "../../../core/load.js";
import { t } from "../../../core/words.js";
import { Tags } from "../../../parts/badge.js";
import { Button } from "../../../parts/button.js";
import { ChipsField } from "../../../parts/chips.js";
import { Dialog } from "../../../parts/dialog.js";
import { familiesOf, FamiliesField, familyRows } from "../../../parts/families.js";
import { SelectField } from "../../../parts/fields.js";
import { Form, useForm } from "../../../parts/form.js";
import { Card, Definitions, Grid } from "../../../parts/page.js";
import { LimitFields, LIMITS, limitsOf } from "../../../parts/terms.js";
import { toast } from "../../../parts/toast.js";
import { BudgetsCard } from "../../account/billing/budgets.js";
import { readChoices, timeZones } from "../accounts/form.js";

/** @param {{account: object, path: string, onChange: () => void}} props */
export function Terms({ account, path, onChange }) {
  const [dialog, setDialog] = useState(null);
  const close = () => setDialog(null);
  const done = () => {
    close();
    toast(t("account.changed"));
    onChange();
  };
  const change = (kind) => html`<${Button} small icon="edit" onClick=${() => setDialog(kind)}>${t("account.change")}</${Button}>`;
  const about = [
    [t("accounts.tier"), account.tier ?? html`<span class="quiet">${t("accounts.no_tier")}</span>`],
    [t("accounts.groups"), html`<${Tags} names=${account.groups} most=${20} />`],
    [t("accounts.time_zone"), account.time_zone],
    [t("accounts.created_at"), date(account.created_at)],
  ];
  return html`<${Grid} wide>
      <${Card} title=${t("account.about")} actions=${change("about")}><${Definitions} items=${about} /></${Card}>
      <${Card} title=${t("account.limits")} text=${t("account.limits_text")} actions=${change("limits")}><${Limits} limits=${account.limits} /></${Card}>
      <${BudgetsCard} account=${account.name} changes />
    </${Grid}>
    ${dialog === "about" && html`<${AboutDialog} account=${account} path=${path} onClose=${close} onDone=${done} />`}
    ${dialog === "limits" && html`<${LimitsDialog} limits=${account.limits} path=${path} onClose=${close} onDone=${done} />`}`;
}

function Limits({ limits }) {
  const own = LIMITS.filter((name) => limits[name]).map((name) => [t(`terms.limit.${name}`), count(limits[name])]);
  const families = (limits.families ?? []).map((family) => [
    html`<code>${family.models.join(", ")}</code>`,
    LIMITS.filter((name) => family[name])
      .map((name) => `${t(`supply.short.${name}`)} ${count(family[name])}`)
      .join(" · "),
  ]);
  if (own.length + families.length === 0) return html`<p class="quiet">${t("account.no_limits")}</p>`;
  return html`<${Definitions} items=${[...own, ...families]} />`;
}

function AboutDialog({ account, path, onClose, onDone }) {
  const choices = useLoad(readChoices, []);
  const form = useForm({ tier: account.tier, groups: account.groups, time_zone: account.time_zone }, {
    submit: async (values) => {
      await api.patch(path, values);
      onDone();
    },
  });
  return html`<${Dialog} title=${t("account.change_of", { name: account.name })} onClose=${onClose}>
    <${Form} form=${form} submit=${t("common.save")} onCancel=${onClose}>
      <${SelectField} form=${form} name="tier" label=${t("accounts.tier")} empty=${t("accounts.no_tier")} options=${choices.data?.tiers ?? []} />
      <${ChipsField} form=${form} name="groups" label=${t("accounts.groups")} help=${t("accounts.groups_help")} options=${choices.data?.groups ?? []} required />
      <${SelectField} form=${form} name="time_zone" label=${t("accounts.time_zone")} help=${t("account.time_zone_help")} options=${timeZones()} required />
    </${Form}>
  </${Dialog}>`;
}

function LimitsDialog({ limits, path, onClose, onDone }) {
  const form = useForm({ limits: { ...limits, families: familyRows(limits.families) } }, {
    submit: async (values) => {
      await api.put(`${path}/limits`, { ...limitsOf(values.limits), families: familiesOf(values.limits.families) });
      onDone();
    },
  });
  return html`<${Dialog} title=${t("account.limits")} onClose=${onClose} wide>
    <p class="quiet">${t("account.limits_text")}</p>
    <${Form} form=${form} submit=${t("common.save")} onCancel=${onClose}>
      <${LimitFields} form=${form} />
      <${FamiliesField} form=${form} name="limits.families" />
    </${Form}>
  </${Dialog}>`;
}
