/**
 * Signing in: name and password, then a code if the login wants one; or at the site's OpenID provider.
 */
import { api } from "../../core/api.js";
import { html, useEffect, useState } from "../../core/html.js";
import { known, rich, t } from "../../core/words.js";
import { navigate } from "../../core/router.js";
import { signedIn, useSession } from "../../core/session.js";
import { PasswordField, TextField } from "../../parts/fields.js";
import { Form, useForm } from "../../parts/form.js";
import { Notice } from "../../parts/notice.js";
import { Sign, useSite } from "./sign/frame.js";
import { said } from "./sign/said.js";

export default function SignIn({ query }) {
  const session = useSession();
  const site = useSite();
  const [token, setToken] = useState(null);
  const to = query.get("to");
  useEffect(() => {
    if (session) navigate(to?.startsWith("/") ? to : "/", { replace: true });
  }, []);
  if (token) return html`<${SecondFactor} token=${token} to=${to} onBack=${() => setToken(null)} />`;
  const features = site.data?.features ?? {};
  const foot = html`
    ${features.registration && html`<a href="#/sign-up">${t("sign.no_login")}</a>`}
    ${features.password_reset && html`<a href="#/set-password">${t("sign.forgotten")}</a>`}
  `;
  return html`<${Sign} title=${site.data ? t("sign.in_to", { site: site.data.name }) : t("nav.sign_in")} foot=${foot}>
    <${Reasons} reason=${query.get("oidc")} first=${site.data?.first_operator_missing} />
    ${features.oidc &&
    html`<a class="button wide" href=${features.oidc.start}>${t("sign.with", { provider: features.oidc.name })}</a>
      <p class="sign-or">${t("sign.or")}</p>`}
    <${Password} to=${to} onSecondFactor=${setToken} />
  </${Sign}>`;
}

function Reasons({ reason, first }) {
  const key = `sign.oidc.${reason}`;
  return html`
    ${reason && html`<${Notice} kind="warning">${known(key) ? t(key) : t("sign.oidc.failed")}</${Notice}>`}
    ${first && html`<${Notice} title=${t("sign.first_missing")}>${rich("sign.first_missing_text", { command: html`<code>trunkline logins first-link</code>` })}</${Notice}>`}
  `;
}

function Password({ to, onSecondFactor }) {
  const form = useForm({ name: "", password: "" }, {
    submit: async (values) => {
      const result = await said({ 401: "sign.wrong", 429: "sign.too_many" }, () => api.post("session", values, { quiet: true }));
      if (result.state === "second_factor") onSecondFactor(result.token);
      else await signedIn(to);
    },
  });
  return html`<${Form} form=${form} submit=${t("nav.sign_in")}>
    <${TextField} form=${form} name="name" label=${t("sign.name_or_email")} autocomplete="username" autocapitalize="none" required autofocus />
    <${PasswordField} form=${form} name="password" label=${t("sign.password")} required />
  </${Form}>`;
}

function SecondFactor({ token, to, onBack }) {
  const form = useForm({ code: "" }, {
    submit: async ({ code }) => {
      const send = () => api.post("session/second-factor", { token, code: code.trim() }, { quiet: true });
      await said({ 401: "sign.code_wrong", 429: "sign.too_many" }, send);
      await signedIn(to);
    },
  });
  return html`<${Sign} title=${t("sign.second")} text=${t("sign.second_text")}>
    <div class="sign-code">
      <${Form} form=${form} submit=${t("sign.go_on")} onCancel=${onBack}>
        <${TextField} form=${form} name="code" label=${t("sign.code")} help=${t("sign.code_help")} autocomplete="one-time-code" required autofocus />
      </${Form}>
    </div>
  </${Sign}>`;
}
