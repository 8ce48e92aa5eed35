/**
 * Why there is no answer, in the gateway's words, and what one can do about it.
 */
import { html } from "../../../core/html.js";
import { to } from "../../../core/router.js";
import { useScope } from "../../../core/session.js";
import { known, t } from "../../../core/words.js";
import { Button } from "../../../parts/button.js";
import { Notice } from "../../../parts/notice.js";

/** What helps, by the error's type or code; else by its status. */
function hintOf({ type, status }) {
  if (known(`playground.hint.${type}`)) return t(`playground.hint.${type}`);
  if (status === 400 || status === 422) return t("playground.hint.request");
  if (status === 429) return t("playground.hint.rate_limit_error");
  if (status >= 500) return t("playground.hint.upstream");
  return "";
}

/**
 * @param {{error: {status: number, type: string, message: string, faults: string[]}, account: string, retry: () => void}} props
 */
export function Failure({ error, account, retry }) {
  const pays = useScope("money_read", account);
  const message = error.message || t(error.type === "cut" ? "playground.cut" : "common.unreachable");
  const hint = hintOf(error);
  const noMoney = error.type === "insufficient_quota" && pays;
  return html`<${Notice} kind="error">
    <p class="as-is">${message}</p>
    ${error.faults.length > 0 && html`<ul>${error.faults.map((fault) => html`<li key=${fault}>${fault}</li>`)}</ul>`}
    ${hint && html`<p class="quiet">${hint}</p>`}
    <p class="row">
      <${Button} small icon="refresh" onClick=${retry}>${t("common.retry")}</${Button}>
      ${noMoney && html`<${Button} small icon="wallet" href=${to`/a/${account}/billing`}>${t("nav.billing")}</${Button}>`}
      ${error.type === "policy_key_blocked" && html`<${Button} small icon="key" href=${to`/a/${account}/keys`}>${t("nav.keys")}</${Button}>`}
    </p>
  </${Notice}>`;
}
