/**
 * The card that changes one's password, or sets the first one.
 */
import { api } from "../../../core/api.js";
import { html, useState } from "../../../core/html.js";
import { loadSession } from "../../../core/session.js";
import { t } from "../../../core/words.js";
import { Button } from "../../../parts/button.js";
import { Dialog } from "../../../parts/dialog.js";
import { PasswordField } from "../../../parts/fields.js";
import { Form, useForm } from "../../../parts/form.js";
import { Card } from "../../../parts/page.js";
import { toast } from "../../../parts/toast.js";

/** @param {{login: object}} props login: of the session */
export function Password({ login }) {
  const [open, setOpen] = useState(false);
  const words = t(login.password ? "me.change_password" : "me.set_password");
  const action = html`<${Button} onClick=${() => setOpen(true)}>${words}</${Button}>`;
  return html`<${Card} title=${t("sign.password")} text=${t(login.password ? "me.password_text" : "me.no_password_text")} actions=${action}>
    ${open && html`<${Change} title=${words} has=${login.password} onClose=${() => setOpen(false)} />`}
  </${Card}>`;
}

function Change({ title, has, onClose }) {
  const form = useForm({ password: "", new_password: "" }, {
    submit: async (values) => {
      await api.post("me/password", { new_password: values.new_password, password: has ? values.password : null });
      onClose();
      toast(t("me.password_changed"));
      await loadSession();
    },
  });
  return html`<${Dialog} title=${title} onClose=${onClose}>
    <${Form} form=${form} submit=${title} onCancel=${onClose}>
      ${has && html`<${PasswordField} form=${form} name="password" label=${t("me.present_password")} required />`}
      <${PasswordField} form=${form} name="new_password" label=${t("sign.new_password")} autocomplete="new-password" required />
    </${Form}>
  </${Dialog}>`;
}

/**
 * A dialog that wants one's password before something is done.
 * @param {{title: string, text?: string, action: string, danger?: boolean, login: object, work: (password: string) => Promise<unknown>, onClose: () => void}} props
 */
export function WithPassword({ title, text, action, danger, login, work, onClose }) {
  const form = useForm({ password: "" }, { submit: ({ password }) => work(password) });
  return html`<${Dialog} title=${title} onClose=${onClose}>
    ${text && html`<p>${text}</p>`}
    <${Form} form=${form} submit=${action} danger=${danger} onCancel=${onClose}>
      ${login.password && html`<${PasswordField} form=${form} name="password" label=${t("me.present_password")} required />`}
    </${Form}>
  </${Dialog}>`;
}
