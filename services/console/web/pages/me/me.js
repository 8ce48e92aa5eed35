/**
 * One's own login: who one is, the password, the second factor, the sessions.
 */
import { api } from "../../core/api.js";
import { html } from "../../core/html.js";
import { to } from "../../core/router.js";
import { loadSession, useSession } from "../../core/session.js";
import { setLanguage, known, language, t, useLanguage } from "../../core/words.js";
import { Badge } from "../../parts/badge.js";
import { Notice } from "../../parts/notice.js";
import { Card, Definitions, PageHeader } from "../../parts/page.js";
import { Segments } from "../../parts/tabs.js";
import { Password } from "./me/password.js";
import { Provider } from "./me/provider.js";
import { SecondFactor } from "./me/second-factor.js";
import { Sessions } from "./me/sessions.js";

export default function Me({ query }) {
  const { login, accounts, features } = useSession();
  const reason = query.get("oidc");
  return html`
    <${PageHeader} title=${t("nav.me")} text=${t("me.text")} />
    ${reason && html`<${Notice} kind=${reason === "linked" ? "done" : "warning"}>${said(reason)}</${Notice}>`}
    <${Card} title=${t("me.who")}><${Who} login=${login} /></${Card}>
    <${Card} title=${t("me.accounts")}><${Accounts} accounts=${accounts} /></${Card}>
    <${Password} login=${login} />
    <${SecondFactor} login=${login} />
    ${features.oidc && html`<${Provider} login=${login} provider=${features.oidc} />`}
    <${Sessions} />
  `;
}

function said(reason) {
  if (known(`me.oidc.${reason}`)) return t(`me.oidc.${reason}`);
  return known(`sign.oidc.${reason}`) ? t(`sign.oidc.${reason}`) : t("sign.oidc.failed");
}

function Who({ login }) {
  useLanguage();
  const choose = async (value) => {
    await setLanguage(value);
    await api.put("me/language", { language: value });
    await loadSession();
  };
  const email = login.email && html`${login.email} <${Badge} tone=${login.email_confirmed ? "good" : "warn"}>${t(login.email_confirmed ? "me.confirmed" : "me.unconfirmed")}</${Badge}>`;
  const languages = [
    { value: "en", label: "English" },
    { value: "zh", label: "中文" },
  ];
  return html`<${Definitions}
    items=${[
      [t("sign.name"), html`${login.name} ${login.operator && html`<${Badge} tone="info">${t("me.operator")}</${Badge}>`}`],
      [t("sign.email"), email || html`<span class="quiet">${t("me.no_email")}</span>`],
      [t("nav.language"), html`<${Segments} label=${t("nav.language")} value=${language()} onChange=${choose} options=${languages} />`],
    ]}
  />`;
}

function Accounts({ accounts }) {
  if (accounts.length === 0) return html`<p class="quiet">${t("me.no_accounts")}</p>`;
  return html`<${Definitions}
    items=${accounts.map((each) => [
      html`<a href=${to`/a/${each.name}/${"overview"}`}>${each.name}</a>`,
      html`${t(`common.role.${each.role}`)} <span class="quiet">${t("me.as", { user: each.user })}</span>`,
    ])}
  />`;
}
