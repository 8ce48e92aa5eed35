/**
 * When and where an account's owners are told something, and what they were told.
 */
import { api, at } from "../../core/api.js";
import { html } from "../../core/html.js";
import { useLoad } from "../../core/load.js";
import { useScope } from "../../core/session.js";
import { loadStyle } from "../../core/styles.js";
import { t } from "../../core/words.js";
import { Button } from "../../parts/button.js";
import { Loaded, errorText } from "../../parts/notice.js";
import { Card, PageHeader } from "../../parts/page.js";
import { toast } from "../../parts/toast.js";
import { History } from "./alerts/history.js";
import { Signature, Terms, TermsForm } from "./alerts/terms.js";

await loadStyle("styles/usage.css");

export default function Alerts({ params: { account } }) {
  const path = at`accounts/${account}/alerts`;
  const changes = useScope("money_write", account);
  const terms = useLoad((signal) => api.get(path, {}, { signal }), [path]);
  const history = useLoad((signal) => api.get(`${path}/history`, {}, { signal }), [path]);
  const reachable = terms.data && (terms.data.webhook || terms.data.email.length > 0);
  const test = async () => {
    try {
      await api.post(`${path}/test`);
      toast(t("alerts.test_sent"));
      await history.reload();
    } catch (error) {
      toast(errorText(error), "error");
    }
  };
  const changed = (data) => {
    terms.setData(data);
    toast(t("alerts.changed"));
  };
  const actions = changes && html`<${Button} icon="send" disabled=${!reachable} title=${reachable ? undefined : t("alerts.no_target")} onClick=${test}>${t("alerts.test")}</${Button}>`;
  return html`
    <${PageHeader} title=${t("nav.alerts")} text=${t("alerts.text")} actions=${actions} />
    <${Card} title=${t("alerts.terms")}>
      <${Loaded} of=${terms} lines=${6}>${(data) => (changes ? html`<${TermsForm} path=${path} terms=${data} onDone=${changed} />` : html`<${Terms} terms=${data} />`)}</${Loaded}>
    </${Card}>
    ${terms.data?.webhook && terms.data.signing_secret && html`<${Signature} secret=${terms.data.signing_secret} />`}
    <${History} load=${history} />
  `;
}
