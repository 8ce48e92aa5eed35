/**
 * What the site offers beside its prices: the free trial of new accounts, and volume discounts. Both are applied as that
 * section of a configuration alone.
 */
import { api } from "../../../core/api.js";
import { money, percent, usdText } from "../../../core/format.js";
import { html, useState } from "../../../core/html.js";
import { useLoad } from "../../../core/load.js";
import { t } from "../../../core/words.js";
import { Button } from "../../../parts/button.js";
import { Dialog } from "../../../parts/dialog.js";
import { MoneyField, moneyFault, NumberField } from "../../../parts/fields.js";
import { Form, useForm } from "../../../parts/form.js";
import { Loaded } from "../../../parts/notice.js";
import { Card, Definitions } from "../../../parts/page.js";
import { RowsField } from "../../../parts/rows.js";
import { Table } from "../../../parts/table.js";
import { toast } from "../../../parts/toast.js";

const PPM = 1_000_000;
const DAYS_DEFAULT = 30;

function useChange(offers, words) {
  const [open, setOpen] = useState(false);
  const done = () => {
    setOpen(false);
    toast(t(words));
    offers.reload();
  };
  const change = offers.data && html`<${Button} small icon="edit" onClick=${() => setOpen(true)}>${t("settings.change")}</${Button}>`;
  return { open, close: () => setOpen(false), done, change };
}

/** @param {{offers: ReturnType<typeof useLoad>}} props */
export function Trial({ offers }) {
  const { open, close, done, change } = useChange(offers, "settings.trial_changed");
  return html`<${Card} title=${t("settings.trial")} text=${t("settings.trial_text")} actions=${change}>
    <${Loaded} of=${offers}>
      ${({ trial }) =>
        Number(trial.amount_nano) === 0
          ? html`<p class="quiet">${t("settings.no_trial")}</p>`
          : html`<${Definitions} items=${[[t("settings.amount"), money(trial.amount_nano)], [t("settings.days"), t("settings.days_count", { count: trial.days })]]} />`}
    </${Loaded}>
    ${open && html`<${TrialDialog} trial=${offers.data.trial} onClose=${close} onDone=${done} />`}
  </${Card}>`;
}

function TrialDialog({ trial, onClose, onDone }) {
  const form = useForm({ trial: { amount: usdText(trial.amount_nano), days: trial.days || DAYS_DEFAULT } }, {
    check: (values) => ({ "trial.amount": moneyFault(values.trial.amount) }),
    submit: async (values) => {
      await api.post("apply", values);
      onDone();
    },
  });
  return html`<${Dialog} title=${t("settings.trial")} onClose=${onClose}>
    <p class="quiet">${t("settings.trial_help")}</p>
    <${Form} form=${form} submit=${t("common.save")} onCancel=${onClose}>
      <div class="form-row">
        <${MoneyField} form=${form} name="trial.amount" label=${t("settings.amount")} help=${t("settings.amount_help")} required autofocus />
        <${NumberField} form=${form} name="trial.days" label=${t("settings.days")} min="1" required />
      </div>
    </${Form}>
  </${Dialog}>`;
}

/** @param {{offers: ReturnType<typeof useLoad>}} props */
export function Discounts({ offers }) {
  const { open, close, done, change } = useChange(offers, "settings.discounts_changed");
  const columns = [
    { key: "tier", label: t("settings.for"), narrow: "title", cell: (step) => step.tier ?? t("settings.all_tiers") },
    { key: "monthly", label: t("settings.from"), align: "end", cell: (step) => money(step.monthly_nano) },
    { key: "percent", label: t("settings.off"), align: "end", cell: (step) => percent(step.discount_ppm / PPM, 4) },
  ];
  return html`<${Card} title=${t("settings.discounts")} text=${t("settings.discounts_text")} actions=${change}>
    <${Loaded} of=${offers}>
      ${({ discounts }) =>
        discounts.length === 0
          ? html`<p class="quiet">${t("settings.no_discounts")}</p>`
          : html`<${Table} label=${t("settings.discounts")} columns=${columns} rows=${discounts} rowKey=${(step) => `${step.tier}/${step.monthly_nano}`} />`}
    </${Loaded}>
    ${open && html`<${DiscountsDialog} discounts=${offers.data.discounts} onClose=${close} onDone=${done} />`}
  </${Card}>`;
}

function DiscountsDialog({ discounts, onClose, onDone }) {
  const tiers = useLoad((signal) => api.get("tiers", {}, { signal }), []);
  const rows = discounts.map((step) => ({ tier: step.tier ?? "", monthly: usdText(step.monthly_nano), percent: String((step.discount_ppm * 100) / PPM) }));
  const form = useForm({ discounts: rows }, {
    submit: async (values) => {
      const filled = values.discounts.filter((row) => row.monthly.trim() || row.percent.trim());
      await api.post("apply", { discounts: filled.map(({ tier, ...row }) => ({ ...row, ...(tier && { tier }) })) });
      onDone();
    },
  });
  const options = [{ value: "", label: t("settings.all_tiers") }, ...(tiers.data ?? []).map(({ name }) => ({ value: name, label: name }))];
  const columns = [
    { key: "monthly", label: t("settings.from_usd"), numeric: true, placeholder: "100" },
    { key: "percent", label: t("settings.off_percent"), numeric: true, placeholder: "2.5" },
    { key: "tier", label: t("settings.for"), options },
  ];
  return html`<${Dialog} title=${t("settings.discounts")} onClose=${onClose} wide>
    <${Form} form=${form} submit=${t("common.save")} onCancel=${onClose}>
      <${RowsField} form=${form} name="discounts" label=${t("settings.steps")} help=${t("settings.steps_help")} add=${t("settings.add_step")} columns=${columns} list />
    </${Form}>
  </${Dialog}>`;
}
