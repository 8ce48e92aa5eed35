/**
 * Why a job goes where it goes: who would serve one now, and what became of one by its id.
 */
import { api, at } from "../../core/api.js";
import { html } from "../../core/html.js";
import { useLoad } from "../../core/load.js";
import { setQuery, useLocation } from "../../core/router.js";
import { loadStyle } from "../../core/styles.js";
import { t } from "../../core/words.js";
import { Loaded } from "../../parts/notice.js";
import { Card, PageHeader } from "../../parts/page.js";
import { Tabs } from "../../parts/tabs.js";
import { Question, questionOf } from "./explain/form.js";
import { Job, RequestForm } from "./explain/job.js";
import { Plan } from "./explain/plan.js";

await loadStyle("styles/explain.css");

export default function Explain() {
  const { query } = useLocation();
  // What is asked stands in the address: an explanation can be linked to, and usage links to requests.
  const tab = query.has("request") || query.get("by") === "request" ? "request" : "question";
  const choose = (key) => setQuery({ by: key === "request" ? key : null, request: null });
  return html`
    <${PageHeader} title=${t("explain.title")} text=${t("explain.text")} />
    <${Tabs}
      label=${t("explain.title")}
      tabs=${[
        { key: "question", label: t("explain.tab.question") },
        { key: "request", label: t("explain.tab.request") },
      ]}
      value=${tab}
      onChange=${choose}
    >
      ${tab === "question" ? html`<${ByQuestion} query=${query} />` : html`<${ByRequest} id=${query.get("request") ?? ""} />`}
    </${Tabs}>
  `;
}

function ByQuestion({ query }) {
  const question = questionOf(query);
  const text = JSON.stringify(question);
  const plan = useLoad((signal) => (question ? api.post("explain", question, { signal }) : Promise.resolve(null)), [text]);
  return html`
    <${Card}><${Question} key=${query.get("model") ? "asked" : "new"} query=${query} again=${plan.reload} /></${Card}>
    ${question && html`<${Loaded} of=${plan}>${(data) => data && html`<${Plan} plan=${data} />`}</${Loaded}>`}
  `;
}

function ByRequest({ id }) {
  const job = useLoad((signal) => (id ? api.get(at`explain/${id}`, {}, { signal }) : Promise.resolve(null)), [id]);
  return html`
    <${Card}><${RequestForm} key=${id} id=${id} again=${job.reload} /></${Card}>
    ${id && html`<${Loaded} of=${job}>${(data) => data && html`<${Job} job=${data} />`}</${Loaded}>`}
  `;
}
