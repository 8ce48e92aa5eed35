/**
 * When an account's owners are told, and where: to be read, and to be changed.
 */
import { api } from "../../../core/api.js";
import { list, money, percent, usdText } from "../../../core/format.js";
import { html, useState } from "../../../core/html.js";
import { t } from "../../../core/words.js";
import { Button } from "../../../parts/button.js";
import { ChipsField } from "../../../parts/chips.js";
import { CopyText } from "../../../parts/code.js";
import { MoneyField, moneyFault, TextField } from "../../../parts/fields.js";
import { Form, useForm } from "../../../parts/form.js";
import { Card, Definitions } from "../../../parts/page.js";

const SHARES = ["50", "80", "90", "100"];
const PERCENT = /^([1-9]\d?|100)$/;

function check({ budget_percent: shares, balance_below: below, webhook, email }) {
  const told = shares.length > 0 || below;
  return {
    budget_percent: shares.every((share) => PERCENT.test(share)) ? null : t("alerts.not_percent"),
    balance_below: moneyFault(below),
    email: told && !webhook?.trim() && !email.length ? t("alerts.nobody") : null,
  };
}

/** @param {{path: string, terms: object, onDone: (terms: object) => void}} props */
export function TermsForm({ path, terms, onDone }) {
  const below = terms.balance_below_nano;
  const form = useForm(
    { budget_percent: terms.budget_percent.map(String), balance_below: below === null ? null : usdText(below), webhook: terms.webhook ?? "", email: terms.email },
    {
      check,
      submit: async ({ budget_percent: shares, balance_below, webhook, email }) => {
        const ordered = shares.map(Number).sort((one, other) => one - other);
        onDone(await api.put(path, { budget_percent: ordered, balance_below: balance_below || null, webhook: webhook.trim() || null, email }));
      },
    },
  );
  return html`<${Form} form=${form} submit=${t("common.save")}>
    <div class="form-row">
      <${MoneyField} form=${form} name="balance_below" label=${t("alerts.balance_below")} help=${t("alerts.balance_below_help")} />
      <${ChipsField} form=${form} name="budget_percent" label=${t("alerts.budget_percent")} help=${t("alerts.budget_percent_help")} options=${SHARES} free />
    </div>
    <div class="form-row">
      <${ChipsField} form=${form} name="email" label=${t("alerts.email")} help=${t("alerts.email_help")} placeholder="ops@example.com" free />
      <${TextField} form=${form} name="webhook" type="url" label=${t("alerts.webhook")} help=${t("alerts.webhook_help")} placeholder="https://example.com/alerts" />
    </div>
  </${Form}>`;
}

/** @param {{terms: object}} props */
export function Terms({ terms }) {
  const shares = terms.budget_percent.map((share) => percent(share / 100, 0));
  return html`<${Definitions}
    items=${[
      [t("alerts.balance_below"), terms.balance_below_nano === null ? null : money(terms.balance_below_nano)],
      [t("alerts.budget_percent"), shares.length ? list(shares) : null],
      [t("alerts.email"), terms.email.length ? list(terms.email) : null],
      [t("alerts.webhook"), terms.webhook],
    ]}
  />`;
}

/** @param {{secret: string}} props what webhooks are signed with */
export function Signature({ secret }) {
  const [shown, setShown] = useState(false);
  const link = html`<a href="https://www.standardwebhooks.com" target="_blank" rel="noopener noreferrer">Standard Webhooks</a>`;
  return html`<${Card} title=${t("alerts.signature")} text=${html`${t("alerts.signature_text")} ${link}`}>
    ${shown ? html`<${CopyText} text=${secret} />` : html`<${Button} small icon="eye" onClick=${() => setShown(true)}>${t("alerts.show_secret")}</${Button}>`}
  </${Card}>`;
}
