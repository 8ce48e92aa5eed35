/**
 * The audit log of the site: every change at the console, who made it, what was there before and after.
 */
import { html } from "../../core/html.js";
import { setQuery, useQuery } from "../../core/router.js";
import { t } from "../../core/words.js";
import { AuditTable } from "../../parts/audit.js";
import { Button } from "../../parts/button.js";
import { PageHeader, Toolbar } from "../../parts/page.js";
import { Choice, Search } from "../../parts/search.js";

const SPANS = { all: null, day: 1, week: 7, month: 30 };
const DAY_MS = 86_400_000;

export default function Audit() {
  const [actor, setActor] = useQuery("actor");
  const [account, setAccount] = useQuery("account");
  const [operation, setOperation] = useQuery("operation");
  const [span, setSpan] = useQuery("span", "all");
  const days = SPANS[span];
  // By the day, so that the address of what is read stays the same while one looks.
  const since = days ? new Date(Math.floor(Date.now() / DAY_MS - days + 1) * DAY_MS).toISOString() : null;
  const clear = () => setQuery({ actor: null, account: null, operation: null, span: null });
  return html`
    <${PageHeader} title=${t("nav.audit")} text=${t("audit.text")} />
    <${Toolbar}>
      <${Search} label=${t("audit.actor")} value=${actor} onInput=${setActor} />
      <${Search} label=${t("nav.account")} value=${account} onInput=${setAccount} />
      <${Search} label=${t("audit.operation")} value=${operation} onInput=${setOperation} />
      <${Choice} label=${t("audit.span")} value=${span} onChange=${setSpan} options=${Object.keys(SPANS).map((value) => ({ value, label: t(`audit.span.${value}`) }))} />
      ${(actor || account || operation || days) && html`<${Button} kind="quiet" icon="close" onClick=${clear}>${t("audit.clear")}</${Button}>`}
    </${Toolbar}>
    <${AuditTable} path="audit" query=${{ actor, account, operation, since }} />
  `;
}
