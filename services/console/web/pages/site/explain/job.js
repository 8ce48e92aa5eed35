/**
 * What became of a request: its attempts as they were written down then, and beside them what its plan would be now.
 */
import { duration } from "../../../core/format.js";
import { html } from "../../../core/html.js";
import { setQuery, to } from "../../../core/router.js";
import { t } from "../../../core/words.js";
import { Badge } from "../../../parts/badge.js";
import { CopyText } from "../../../parts/code.js";
import { TextField } from "../../../parts/fields.js";
import { Form, useForm } from "../../../parts/form.js";
import { Notice } from "../../../parts/notice.js";
import { Card, Definitions } from "../../../parts/page.js";
import { Table } from "../../../parts/table.js";
import { Time } from "../../../parts/time.js";
import { errorName } from "../live/names.js";
import { Plan } from "./plan.js";

/** @param {{id: string, again: () => void}} props again: asks for the same once more */
export function RequestForm({ id, again }) {
  const form = useForm({ request: id }, {
    submit: async ({ request }) => {
      if (request.trim() === id) again();
      else setQuery({ request: request.trim() });
    },
  });
  return html`<${Form} form=${form} submit=${t("explain.look_up")}>
    <${TextField} form=${form} name="request" label=${t("explain.request_id")} help=${t("explain.request_id_help")} required autocomplete="off" />
  </${Form}>`;
}

/** @param {{job: object}} props */
export function Job({ job }) {
  const { then, now } = job;
  const items = [
    [t("explain.request_id"), html`<${CopyText} text=${job.request} />`],
    [t("explain.account"), then.account],
    [t("explain.key"), then.key],
    [t("explain.asked"), then.asked],
    [t("explain.served"), then.served ?? html`<span class="bad">${t("explain.nobody_answered")}</span>`],
    [t("explain.form"), t(then.stream ? "explain.form.stream" : "explain.form.whole")],
  ];
  return html`<div class="page">
    <${Card} title=${t("explain.then")} text=${t("explain.then_text")} flush>
      <div class="explain-facts"><${Definitions} items=${items} columns /></div>
      <${Table} label=${t("explain.then")} columns=${columns()} rows=${then.attempts} rowKey=${(attempt) => `${attempt.offer}-${attempt.attempt}`} />
    </${Card}>
    <${Notice} kind="info" title=${t("explain.not_kept")}>
      <ul>${then.not_kept.map((each) => html`<li key=${each}>${t(`explain.not_kept.${each}`)}</li>`)}</ul>
    </${Notice}>
    <${Plan} plan=${now} title=${t("explain.now")} text=${t("explain.now_text")} />
  </div>`;
}

const columns = () => [
  {
    key: "channel",
    label: t("explain.channel"),
    narrow: "title",
    cell: (attempt) => html`${attempt.channel.startsWith("#")
        ? html`<span class="cell-title">${attempt.channel}</span>`
        : html`<a class="cell-title" href=${to`/site/channels/${attempt.channel}`}>${attempt.channel}</a>`}
      <span class="cell-note">${attempt.upstream_model} · ${t("explain.group", { name: attempt.group })}</span>`,
  },
  { key: "model", label: t("explain.model"), cell: (attempt) => attempt.model },
  {
    key: "outcome",
    label: t("explain.outcome"),
    cell: (attempt) => html`<${Badge} tone=${attempt.outcome === null ? "good" : "bad"}>${outcomeName(attempt.outcome)}</${Badge}>
      ${note(attempt) && html`<span class="cell-note">${note(attempt)}</span>`}`,
  },
  { key: "started", label: t("explain.started"), cell: (attempt) => html`<${Time} at=${attempt.started_at} exact />` },
  { key: "first", label: t("explain.first_token"), align: "end", cell: (attempt) => (attempt.first_token_ms === null ? null : duration(attempt.first_token_ms)) },
  { key: "took", label: t("explain.took"), align: "end", cell: (attempt) => duration(attempt.duration_ms) },
  { key: "credential", label: t("explain.credential"), narrow: "hide", cell: (attempt) => attempt.credential && html`<code>${attempt.credential}</code>` },
  { key: "charged", label: t("explain.charged"), cell: (attempt) => t(attempt.charged ? "explain.charged.yes" : "explain.charged.no") },
];

function outcomeName(outcome) {
  return outcome === null ? t("explain.whole_answer") : errorName(outcome);
}

function note(attempt) {
  const parts = [];
  if (attempt.outcome !== null && attempt.status) parts.push(t("explain.status", { status: String(attempt.status) }));
  if (attempt.continues) parts.push(t("explain.went_on"));
  return parts.join(" · ");
}
