/**
 * An account's money: what is there, what came in, what may be spent, and what it is billed.
 */
import { api, at } from "../../core/api.js";
import { money } from "../../core/format.js";
import { html } from "../../core/html.js";
import { useLoad } from "../../core/load.js";
import { useScope } from "../../core/session.js";
import { t } from "../../core/words.js";
import { Grid, PageHeader, Stat, Stats } from "../../parts/page.js";
import { Time } from "../../parts/time.js";
import { BillingAddress } from "./billing/address.js";
import { BudgetsCard } from "./billing/budgets.js";
import { Entries } from "./billing/entries.js";
import { Invoices } from "./billing/invoices.js";
import { TopUp } from "./billing/top-up.js";

export default function Billing({ params: { account } }) {
  const path = at`accounts/${account}`;
  const shown = useLoad((signal) => api.get(path, {}, { signal }), [path]);
  const statement = useLoad((signal) => api.get(`${path}/statement`, {}, { signal }), [path]);
  const invoices = useLoad((signal) => api.get(`${path}/invoices`, {}, { signal }), [path]);
  const pays = useScope("money_write", account);
  const owns = useScope("account_write", account);
  const reload = () => Promise.all([shown.reload(), statement.reload(), invoices.reload()]);
  return html`
    <${PageHeader} title=${t("nav.billing")} text=${t("billing.text")} />
    <${Figures} path=${path} shown=${shown} statement=${statement} invoices=${invoices} />
    <${Grid}>
      ${pays && html`<${TopUp} account=${account} onDone=${reload} />`}
      <${BudgetsCard} account=${account} changes=${pays} />
    </${Grid}>
    <${Invoices} account=${account} load=${invoices} />
    <${Entries} account=${account} load=${statement} />
    <${BillingAddress} account=${account} changes=${owns} />
  `;
}

function Figures({ path, shown, statement, invoices }) {
  const hadTrial = statement.data?.some(({ kind }) => kind === "trial");
  const trial = useLoad(async (signal) => (hadTrial ? api.get(`${path}/trial`, {}, { signal }) : null), [path, hadTrial]);
  const balance = shown.data?.balance_nano;
  const month = new Date().toISOString().slice(0, 7);
  const invoice = invoices.data?.find((each) => each.month === month);
  const wait = (load, value) => (load.data === undefined && !load.error ? undefined : value);
  return html`<${Stats}>
    <${Stat} label=${t("billing.balance")} value=${wait(shown, money(balance))} tone=${balance !== undefined && Number(balance) <= 0 ? "bad" : undefined} note=${balance !== undefined && Number(balance) <= 0 && t("billing.empty")} />
    <${Stat} label=${t("billing.this_month")} value=${wait(invoices, money(invoice?.charged_nano ?? 0))} note=${t("billing.in_utc")} />
    <${Stat} label=${t("billing.came_in")} value=${wait(invoices, money(invoice?.credited_nano ?? 0))} note=${t("billing.in_utc")} />
    ${trial.data && html`<${Stat} label=${t("billing.trial")} value=${money(trial.data.amount_nano)} note=${html`<${Trial} trial=${trial.data} />`} />`}
  </${Stats}>`;
}

function Trial({ trial }) {
  if (trial.ended_at) return html`<span>${t("billing.trial_ended", { taken: money(trial.taken_nano) })}</span>`;
  return html`<span>${t("billing.trial_ends")} <${Time} at=${trial.ends_at} /></span>`;
}
