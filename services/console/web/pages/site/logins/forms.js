/**
 * The dialogs that make and change a login, and the one that shows a link.
 */
import { api, at } from "../../../core/api.js";
import { date } from "../../../core/format.js";
import { html } from "../../../core/html.js";
import { t } from "../../../core/words.js";
import { Button } from "../../../parts/button.js";
import { SecretOnce } from "../../../parts/code.js";
import { Dialog } from "../../../parts/dialog.js";
import { SwitchField, TextField } from "../../../parts/fields.js";
import { Form, useForm } from "../../../parts/form.js";

/** @param {{onDone: (made: object) => void, onClose: () => void}} props */
export function NewLogin({ onDone, onClose }) {
  const form = useForm({ name: "", email: "", operator: false, account: true }, {
    submit: async ({ email, ...values }) => onDone(await api.post("logins", { ...values, ...(email && { email }) })),
  });
  return html`<${Dialog} title=${t("logins.create")} onClose=${onClose}>
    <${Form} form=${form} submit=${t("logins.create")} onCancel=${onClose}>
      <${TextField} form=${form} name="name" label=${t("sign.name")} required autofocus />
      <${TextField} form=${form} name="email" type="email" label=${t("sign.email")} help=${t("logins.email_help")} />
      <${SwitchField} form=${form} name="account" label=${t("logins.with_account")} help=${t("logins.with_account_help")} />
      <${SwitchField} form=${form} name="operator" label=${t("logins.is_operator")} help=${t("logins.is_operator_help")} />
    </${Form}>
  </${Dialog}>`;
}

/** @param {{login: object, onDone: () => void, onClose: () => void}} props */
export function ChangeLogin({ login, onDone, onClose }) {
  const form = useForm({ name: login.name, email: login.email ?? "", operator: login.operator }, {
    submit: async ({ name, email, operator }) => {
      const change = {
        ...(name !== login.name && { name }),
        ...(email !== (login.email ?? "") && { email: email || null }),
        ...(operator !== login.operator && { operator }),
      };
      await api.patch(at`logins/${login.name}`, change);
      onDone();
    },
  });
  return html`<${Dialog} title=${t("logins.change_title", { name: login.name })} onClose=${onClose}>
    <${Form} form=${form} submit=${t("common.save")} onCancel=${onClose}>
      <${TextField} form=${form} name="name" label=${t("sign.name")} required />
      <${TextField} form=${form} name="email" type="email" label=${t("sign.email")} help=${t("logins.email_help")} />
      <${SwitchField} form=${form} name="operator" label=${t("logins.is_operator")} help=${t("logins.is_operator_help")} />
    </${Form}>
  </${Dialog}>`;
}

/** @param {{title: string, link: {url: string, ends_at: string}, onClose: () => void}} props */
export function LinkDialog({ title, link, onClose }) {
  const whole = new URL(link.url, location.href).href;
  const footer = html`<${Button} kind="primary" onClick=${onClose}>${t("common.close")}</${Button}>`;
  return html`<${Dialog} title=${title} onClose=${onClose} footer=${footer} locked wide>
    <p>${t("logins.link_text", { until: date(link.ends_at) })}</p>
    <${SecretOnce} label=${t("logins.link")} secret=${whole} />
  </${Dialog}>`;
}
