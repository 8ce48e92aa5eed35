/**
 * Everything of one account, for an operator: its terms, its money, its people and keys, and what was done to it.
 */
import { api, at } from "../../core/api.js";
import { count } from "../../core/format.js";
import { html, useState } from "../../core/html.js";
import { useLoad } from "../../core/load.js";
import { to, useQuery } from "../../core/router.js";
import { loadStyle } from "../../core/styles.js";
import { t } from "../../core/words.js";
import { AuditTable } from "../../parts/audit.js";
import { Badge } from "../../parts/badge.js";
import { Button } from "../../parts/button.js";
import { Icon } from "../../parts/icon.js";
import { Menu } from "../../parts/menu.js";
import { ErrorNotice } from "../../parts/notice.js";
import { PageHeader, Stat, Stats } from "../../parts/page.js";
import { Tabs } from "../../parts/tabs.js";
import { Money } from "../../parts/time.js";
import Keys from "../account/keys.js";
import Members from "../account/members.js";
import { Credit } from "./account/credit.js";
import { Terms } from "./account/terms.js";

await loadStyle("styles/site.css");

const TABS = ["terms", "credit", "people", "keys", "activity"];

/** The pages that its own people have. */
const PAGES = ["overview", "usage", "keys", "models", "playground", "billing", "alerts", "savings", "members"];

export default function Account({ params: { name } }) {
  const path = at`accounts/${name}`;
  const account = useLoad((signal) => api.get(path, {}, { signal }), [path]);
  const [tab, setTab] = useQuery("tab", "terms");
  const [granting, setGranting] = useState(false);
  const { data, error } = account;
  const pages = PAGES.map((page) => ({ label: t(`nav.${page}`), href: to`/a/${name}/${page}` }));
  const shown = html`<${Icon} name="external" /><span>${t("account.own_pages")}</span><${Icon} name="chevron" size=${14} />`;
  const actions = html`<${Menu} label=${t("account.own_pages")} items=${pages} button=${shown} kind="plain" />
    <${Button} kind="primary" icon="wallet" onClick=${() => (setTab("credit"), setGranting(true))}>${t("accounts.grant")}</${Button}>`;
  const chosen = TABS.includes(tab) ? tab : "terms";
  return html`
    <${PageHeader}
      title=${name}
      back=${{ href: "#/site/accounts", label: t("nav.accounts") }}
      badge=${data?.tier && html`<${Badge} dot=${false}>${data.tier}</${Badge}>`}
      actions=${data && actions}
    />
    ${error && !data
      ? html`<${ErrorNotice} error=${error} retry=${account.reload} />`
      : html`<${Stats}>
            <${Stat} label=${t("accounts.balance")} value=${data && html`<${Money} nano=${data.balance_nano} />`} tone=${data && Number(data.balance_nano) < 0 ? "bad" : undefined} />
            <${Stat} label=${t("accounts.spent")} value=${data && html`<${Money} nano=${data.spent_nano} />`} note=${t("account.in_utc")} href=${to`/a/${name}/usage`} />
            <${Stat} label=${t("accounts.users")} value=${data && count(data.users)} />
            <${Stat} label=${t("nav.keys")} value=${data && count(data.keys)} />
          </${Stats}>
          <${Tabs} label=${t("account.parts")} tabs=${TABS.map((key) => ({ key, label: t(`account.tab.${key}`) }))} value=${chosen} onChange=${setTab}>
            <div class="sections">
              ${chosen === "terms" && data && html`<${Terms} account=${data} path=${path} onChange=${account.reload} />`}
              ${chosen === "credit" && html`<${Credit} name=${name} path=${path} granting=${granting} setGranting=${setGranting} onChange=${account.reload} />`}
              ${chosen === "people" && html`<${Members} key=${name} params=${{ account: name }} head=${Section} />`}
              ${chosen === "keys" && html`<${Keys} key=${name} params=${{ account: name }} head=${Section} />`}
              ${chosen === "activity" && html`<${AuditTable} path=${`${path}/audit`} noAccount />`}
            </div>
          </${Tabs}>`}
  `;
}

/** In place of the heading that the same things have as a page of their own. */
function Section({ title, text, actions }) {
  return html`<header class="section-head">
    <div><h2>${title}</h2><p>${text}</p></div>
    ${actions && html`<div class="row">${actions}</div>`}
  </header>`;
}
