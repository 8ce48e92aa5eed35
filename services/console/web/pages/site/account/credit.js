/**
 * The wallet of an account, by hand: credit, corrections, refunds; its trial, and all that was booked.
 */
import { api } from "../../../core/api.js";
import { date, money } from "../../../core/format.js";
import { html, useState } from "../../../core/html.js";
import { useLoad } from "../../../core/load.js";
import { useSession } from "../../../core/session.js";
import { t } from "../../../core/words.js";
import { Button } from "../../../parts/button.js";
import { Dialog } from "../../../parts/dialog.js";
import { MoneyField, moneyFault, SelectField, TextField } from "../../../parts/fields.js";
import { Form, useForm } from "../../../parts/form.js";
import { Notice } from "../../../parts/notice.js";
import { toast } from "../../../parts/toast.js";
import { Entries } from "../../account/billing/entries.js";

/** @param {{name: string, path: string, granting: boolean, setGranting: (open: boolean) => void, onChange: () => void}} props */
export function Credit({ name, path, granting, setGranting, onChange }) {
  const statement = useLoad((signal) => api.get(`${path}/statement`, {}, { signal }), [path]);
  const hadTrial = statement.data?.some(({ kind }) => kind === "trial");
  const trial = useLoad(async (signal) => (hadTrial ? api.get(`${path}/trial`, {}, { signal }) : null), [path, hadTrial]);
  const [dialog, setDialog] = useState(null);
  const close = () => (setDialog(null), setGranting(false));
  const done = () => {
    close();
    statement.reload();
    onChange();
  };
  return html`<div class="row">
      <${Button} icon="edit" onClick=${() => setDialog("adjust")}>${t("account.adjust")}</${Button}>
      <${Button} icon="refresh" onClick=${() => setDialog("refund")}>${t("account.refund")}</${Button}>
    </div>
    ${trial.data && html`<${Trial} trial=${trial.data} />`}
    <${Entries} account=${name} load=${statement} />
    ${granting && html`<${GrantDialog} path=${path} onClose=${close} onDone=${done} />`}
    ${dialog === "adjust" && html`<${AdjustDialog} path=${path} onClose=${close} onDone=${done} />`}
    ${dialog === "refund" && html`<${RefundDialog} path=${path} onClose=${close} onDone=${done} />`}`;
}

function Trial({ trial }) {
  const amount = money(trial.amount_nano);
  const text = trial.ended_at
    ? t("account.trial_over", { amount, at: date(trial.ended_at, "day"), taken: money(trial.taken_nano) })
    : t("account.trial_runs", { amount, at: date(trial.ends_at, "day") });
  return html`<${Notice} title=${t("account.trial")}><p>${text}</p></${Notice}>`;
}

const told = (booked, words) => toast(booked ? words : t("account.booked_before"), booked ? "done" : "info");

/** @param {{path: string, onDone: () => void, onClose: () => void}} props path: of the account */
export function GrantDialog({ path, onDone, onClose }) {
  const { login } = useSession();
  // A name that no other grant has by chance; to the second, so that two in a minute are two.
  const form = useForm({ usd: null, reference: `${login.name} ${new Date().toISOString().slice(0, 19)}` }, {
    check: ({ usd }) => ({ usd: moneyFault(usd) }),
    submit: async ({ usd, reference }) => {
      const { granted, balance_nano: balance } = await api.post(`${path}/credit`, { usd, reference });
      told(granted, t("account.granted", { balance: money(balance) }));
      onDone();
    },
  });
  return html`<${Dialog} title=${t("accounts.grant")} onClose=${onClose}>
    <${Form} form=${form} submit=${t("accounts.grant")} onCancel=${onClose}>
      <${MoneyField} form=${form} name="usd" label=${t("account.amount")} required autofocus />
      <${TextField} form=${form} name="reference" label=${t("account.reference")} help=${t("account.reference_help")} required />
    </${Form}>
  </${Dialog}>`;
}

function AdjustDialog({ path, onDone, onClose }) {
  const form = useForm({ way: "take", usd: null, reference: "", corrects: "" }, {
    check: ({ usd }) => ({ usd: moneyFault(usd) }),
    submit: async ({ way, usd, reference, corrects }) => {
      const body = { usd: way === "take" ? `-${usd}` : usd, reference, ...(corrects && { corrects }) };
      const { booked, balance_nano: balance } = await api.post(`${path}/adjustments`, body);
      told(booked, t("account.adjusted", { balance: money(balance) }));
      onDone();
    },
  });
  return html`<${Dialog} title=${t("account.adjust")} onClose=${onClose}>
    <p class="quiet">${t("account.adjust_text")}</p>
    <${Form} form=${form} submit=${t("account.adjust")} onCancel=${onClose}>
      <div class="form-row">
        <${SelectField} form=${form} name="way" label=${t("account.way")} options=${["take", "give"].map((value) => ({ value, label: t(`account.way.${value}`) }))} required />
        <${MoneyField} form=${form} name="usd" label=${t("account.amount")} required autofocus />
      </div>
      <${TextField} form=${form} name="reference" label=${t("account.reference")} help=${t("account.adjust_reference_help")} required />
      <${TextField} form=${form} name="corrects" label=${t("account.corrects")} help=${t("account.corrects_help")} />
    </${Form}>
  </${Dialog}>`;
}

function RefundDialog({ path, onDone, onClose }) {
  const form = useForm({ job: "", usd: null, reference: "" }, {
    check: ({ usd }) => ({ usd: moneyFault(usd) }),
    submit: async ({ job, usd, reference }) => {
      const body = { job: job.trim(), ...(usd && { usd }), ...(reference && { reference }) };
      const { booked, amount_nano: amount } = await api.post(`${path}/refunds`, body);
      told(booked, t("account.refunded", { amount: money(amount) }));
      onDone();
    },
  });
  return html`<${Dialog} title=${t("account.refund")} onClose=${onClose}>
    <p class="quiet">${t("account.refund_text")}</p>
    <${Form} form=${form} submit=${t("account.refund")} onCancel=${onClose}>
      <${TextField} form=${form} name="job" label=${t("account.job")} help=${t("account.job_help")} required autofocus />
      <${MoneyField} form=${form} name="usd" label=${t("account.amount")} help=${t("account.refund_amount_help")} />
      <${TextField} form=${form} name="reference" label=${t("account.reference")} help=${t("account.refund_reference_help")} />
    </${Form}>
  </${Dialog}>`;
}
