/**
 * Making a login for oneself, where the site lets people do so.
 */
import { api } from "../../core/api.js";
import { html, useState } from "../../core/html.js";
import { language, t } from "../../core/words.js";
import { PasswordField, TextField } from "../../parts/fields.js";
import { Form, useForm } from "../../parts/form.js";
import { Empty, Loaded, Notice } from "../../parts/notice.js";
import { Sign, useSite } from "./sign/frame.js";

export default function SignUp() {
  const site = useSite();
  const [made, setMade] = useState(null);
  if (made) return html`<${Made} state=${made.state} name=${made.name} />`;
  const foot = html`<a href="#/sign-in">${t("sign.have_login")}</a>`;
  return html`<${Sign} title=${t("nav.sign_up")} text=${site.data?.approval && t("sign.approval")} foot=${foot}>
    <${Loaded} of=${site}>
      ${(found) =>
        found.features.registration
          ? html`<${Registration} site=${found} onMade=${setMade} />`
          : html`<${Empty} icon="lock" title=${t("sign.closed")}>${t("sign.closed_text")}</${Empty}>`}
    </${Loaded}>
  </${Sign}>`;
}

function Registration({ site, onMade }) {
  const form = useForm({ name: "", email: "", password: "" }, {
    check: ({ name, password }) => ({
      name: site.name_pattern && !fits(site.name_pattern, name) && (nameHelp(site) || t("sign.name_wrong")),
      password: password.length < site.password_chars_min && t("sign.password_short", { count: site.password_chars_min }),
    }),
    submit: async ({ name, email, password }) => {
      onMade(await api.post("registrations", { name, password, language: language(), ...(email && { email }) }));
    },
  });
  const domains = site.email_domains.length > 0 && t("sign.email_domains", { domains: site.email_domains.join(", ") });
  return html`<${Form} form=${form} submit=${t("nav.sign_up")}>
    <${TextField} form=${form} name="name" label=${t("sign.name")} help=${nameHelp(site)} autocomplete="username" autocapitalize="none" required autofocus />
    ${(site.email_required || site.features.email) &&
    html`<${TextField} form=${form} name="email" type="email" label=${t("sign.email")} help=${domains || t("sign.email_help")} autocomplete="email" required=${site.email_required} />`}
    <${PasswordField} form=${form} name="password" label=${t("sign.password")} autocomplete="new-password" required />
  </${Form}>`;
}

const nameHelp = (site) => site.name_help[language()] ?? site.name_help.en ?? "";

/** Whether a name fits; the server has the last word, also on patterns that only it understands. */
function fits(pattern, name) {
  try {
    return new RegExp(`^(?:${pattern})$`, "u").test(name);
  } catch {
    return true;
  }
}

function Made({ state, name }) {
  const foot = html`<a href="#/sign-in">${t("sign.to_sign_in")}</a>`;
  return html`<${Sign} title=${t("sign.made", { name })} foot=${foot}>
    <${Notice} kind="done">${t(`sign.made.${state}`)}</${Notice}>
  </${Sign}>`;
}
