/**
 * Payments that providers have announced; those that no account could be found for wait for a person.
 */
import { api, at } from "../../core/api.js";
import { usdText } from "../../core/format.js";
import { html, useState } from "../../core/html.js";
import { useLoad } from "../../core/load.js";
import { to, useQuery } from "../../core/router.js";
import { locale, t } from "../../core/words.js";
import { Badge } from "../../parts/badge.js";
import { Button } from "../../parts/button.js";
import { Dialog } from "../../parts/dialog.js";
import { MoneyField, moneyFault, TextField } from "../../parts/fields.js";
import { Form, useForm } from "../../parts/form.js";
import { Empty } from "../../parts/notice.js";
import { Card, Definitions, PageHeader, Toolbar } from "../../parts/page.js";
import { Segments } from "../../parts/tabs.js";
import { Table } from "../../parts/table.js";
import { Money, Time } from "../../parts/time.js";
import { toast } from "../../parts/toast.js";

const waits = (payment) => payment.account === null;

export default function Payments() {
  const [which, setWhich] = useQuery("show", "all");
  const payments = useLoad((signal) => api.get("payments", { aside: which === "aside" ? true : null }, { signal }), [which]);
  const [assigned, setAssigned] = useState(null);
  const done = (payment) => {
    setAssigned(null);
    toast(t("payments.assigned", { account: payment.account }));
    payments.reload();
  };
  const assign = (payment) => html`<${Button} small onClick=${() => setAssigned(payment)}>${t("payments.assign")}</${Button}>`;
  return html`
    <${PageHeader} title=${t("nav.payments")} text=${t("payments.text")} />
    <${Toolbar}>
      <${Segments} label=${t("payments.show")} value=${which} onChange=${setWhich} options=${["all", "aside"].map((value) => ({ value, label: t(`payments.show.${value}`) }))} />
    </${Toolbar}>
    <${Card} flush>
      <${Table}
        label=${t("nav.payments")}
        columns=${columns(assign)}
        rows=${payments.data}
        rowKey=${(payment) => `${payment.provider}/${payment.reference}`}
        error=${payments.error}
        retry=${payments.reload}
        empty=${which === "aside"
          ? html`<${Empty} icon="check" title=${t("payments.none_aside")} />`
          : html`<${Empty} icon="card" title=${t("payments.none")}>${t("payments.none_text")}</${Empty}>`}
      />
    </${Card}>
    ${assigned && html`<${AssignDialog} payment=${assigned} onClose=${() => setAssigned(null)} onDone=${done} />`}
  `;
}

/** In the smallest unit of a currency: a cent of a dollar, a whole yen. */
function paid({ amount, currency }) {
  try {
    const format = new Intl.NumberFormat(locale(), { style: "currency", currency: currency.toUpperCase() });
    return format.format(Number(amount) / 10 ** format.resolvedOptions().maximumFractionDigits);
  } catch {
    return `${amount} ${currency}`;
  }
}

const columns = (assign) => [
  { key: "received", label: t("payments.received"), sort: (payment) => payment.received_at, cell: (payment) => html`<${Time} at=${payment.received_at} />` },
  {
    key: "reference",
    label: t("payments.payment"),
    narrow: "title",
    cell: (payment) => html`<span class="cell-title">${payment.provider}</span><code class="cell-note">${payment.reference}</code>`,
  },
  {
    key: "account",
    label: t("nav.account"),
    cell: (payment) =>
      waits(payment)
        ? html`<span class="quiet">${payment.named || t("payments.unnamed")}</span>`
        : html`<a href=${to`/site/accounts/${payment.account}`}>${payment.account}</a>`,
  },
  {
    key: "state",
    label: t("payments.state"),
    cell: (payment) =>
      waits(payment)
        ? html`<${Badge} tone="warn">${t("payments.waits")}</${Badge}><span class="cell-note">${payment.reason}</span>`
        : html`<${Badge} tone="good">${t("payments.booked")}</${Badge}>${payment.reason && html`<span class="cell-note">${t("payments.by_hand")}</span>`}`,
  },
  { key: "amount", label: t("payments.amount"), align: "end", cell: (payment) => paid(payment) },
  { key: "worth", label: t("payments.worth"), align: "end", cell: (payment) => (waits(payment) ? assign(payment) : html`<${Money} nano=${payment.amount_nano} />`) },
];

function AssignDialog({ payment, onDone, onClose }) {
  const dollars = payment.currency === "usd";
  const worth = dollars ? usdText(BigInt(payment.amount) * 10_000_000n) : null;
  const form = useForm({ account: payment.named ?? "", usd: worth }, {
    check: ({ usd }) => ({ usd: moneyFault(usd) }),
    submit: async ({ account, usd }) => {
      onDone(await api.post(at`payments/${payment.provider}/${payment.reference}/assign`, { account: account.trim(), ...(usd && { usd }) }));
    },
  });
  const items = [
    [t("payments.payment"), html`${payment.provider} <code>${payment.reference}</code>`],
    [t("payments.amount"), paid(payment)],
    [t("payments.reason"), payment.reason],
    [t("payments.named"), payment.named],
  ];
  return html`<${Dialog} title=${t("payments.assign_title")} onClose=${onClose}>
    <${Definitions} items=${items} />
    <${Form} form=${form} submit=${t("payments.assign")} onCancel=${onClose}>
      <${TextField} form=${form} name="account" label=${t("nav.account")} help=${t("payments.account_help")} required autofocus />
      <${MoneyField} form=${form} name="usd" label=${t("payments.worth")} help=${t("payments.worth_help")} required />
    </${Form}>
  </${Dialog}>`;
}
