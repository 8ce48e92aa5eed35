/**
 * A password by a link; without one, the form that asks for a link.
 */
import { api } from "../../core/api.js";
import { html, useState } from "../../core/html.js";
import { t } from "../../core/words.js";
import { PasswordField, TextField } from "../../parts/fields.js";
import { Form, useForm } from "../../parts/form.js";
import { Notice } from "../../parts/notice.js";
import { Sign, useSite } from "./sign/frame.js";

export default function SetPassword({ params: { token } }) {
  return token ? html`<${Finish} token=${token} />` : html`<${Begin} />`;
}

function Begin() {
  const [sent, setSent] = useState(false);
  const form = useForm({ name: "" }, {
    submit: async (values) => {
      await api.post("password-resets", values);
      setSent(true);
    },
  });
  const foot = html`<a href="#/sign-in">${t("sign.to_sign_in")}</a>`;
  return html`<${Sign} title=${t("sign.forgotten")} text=${t("sign.forgotten_text")} foot=${foot}>
    ${sent
      ? html`<${Notice} kind="done">${t("sign.reset_sent")}</${Notice}>`
      : html`<${Form} form=${form} submit=${t("sign.send_link")}>
          <${TextField} form=${form} name="name" label=${t("sign.name_or_email")} autocomplete="username" autocapitalize="none" required autofocus />
        </${Form}>`}
  </${Sign}>`;
}

function Finish({ token }) {
  const site = useSite();
  const [done, setDone] = useState(null);
  const least = site.data?.password_chars_min ?? 0;
  const form = useForm({ password: "" }, {
    check: ({ password }) => ({ password: password.length < least && t("sign.password_short", { count: least }) }),
    submit: async ({ password }) => setDone(await api.post("password-resets/finish", { token, password })),
  });
  const foot = html`<a href="#/sign-in">${t("sign.to_sign_in")}</a>`;
  return html`<${Sign} title=${t("nav.set_password")} foot=${foot}>
    ${done
      ? html`<${Notice} kind="done">${t("sign.password_set", { name: done.name })}</${Notice}>`
      : html`<${Form} form=${form} submit=${t("common.save")}>
          <${PasswordField} form=${form} name="password" label=${t("sign.new_password")} autocomplete="new-password" required />
        </${Form}>`}
  </${Sign}>`;
}
