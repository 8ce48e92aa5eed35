/**
 * The site's first operator, by the link that its start prints.
 */
import { api } from "../../core/api.js";
import { html } from "../../core/html.js";
import { signedIn } from "../../core/session.js";
import { language, t } from "../../core/words.js";
import { PasswordField, TextField } from "../../parts/fields.js";
import { Form, useForm } from "../../parts/form.js";
import { Sign, useSite } from "./sign/frame.js";

export default function First({ params: { token } }) {
  const site = useSite();
  const least = site.data?.password_chars_min ?? 0;
  const form = useForm({ name: "", password: "" }, {
    check: ({ password }) => ({ password: password.length < least && t("sign.password_short", { count: least }) }),
    submit: async (values) => {
      await api.post("first-operator", { ...values, token, language: language() });
      await signedIn();
    },
  });
  return html`<${Sign} title=${t("nav.first")} text=${t("sign.first_text")}>
    <${Form} form=${form} submit=${t("sign.go_on")}>
      <${TextField} form=${form} name="name" label=${t("sign.name")} autocomplete="username" autocapitalize="none" required autofocus />
      <${PasswordField} form=${form} name="password" label=${t("sign.password")} autocomplete="new-password" required />
    </${Form}>
  </${Sign}>`;
}
