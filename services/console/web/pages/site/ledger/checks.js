/**
 * The two long works on the ledger: looking whether all of it agrees, and making anew what is projected from it.
 */
import { count } from "../../../core/format.js";
import { html, useEffect, useRef, useState } from "../../../core/html.js";
import { lines } from "../../../core/streams.js";
import { known, t } from "../../../core/words.js";
import { Badge } from "../../../parts/badge.js";
import { Button } from "../../../parts/button.js";
import { confirm } from "../../../parts/dialog.js";
import { ErrorNotice, Notice } from "../../../parts/notice.js";
import { Card } from "../../../parts/page.js";
import { Progress } from "../../../parts/progress.js";
import { Table } from "../../../parts/table.js";

/** What a check looks at, in the order in which the server does. */
const STEPS = ["balances", "zero sum", "booked once", "refunds", "monthly spending", "budgets", "usage", "credit"];

const IDLE = { kind: null, running: false, steps: [], error: null, done: false };

function nameOf(step) {
  const key = `ledger.step.${step.replaceAll(" ", "_")}`;
  return known(key) ? t(key) : step;
}

/** @param {{onRebuilt: () => void}} props */
export function Checks({ onRebuilt }) {
  const [work, setWork] = useState(IDLE);
  const running = useRef(null);
  useEffect(() => () => running.current?.abort(), []);
  const run = async (kind) => {
    running.current = new AbortController();
    const { signal } = running.current;
    setWork({ ...IDLE, kind, running: true });
    try {
      for await (const step of lines("POST", `ledger/${kind}`, { signal })) {
        if (step.error) throw new Error(step.error);
        if (!step.done) setWork((before) => ({ ...before, steps: [...before.steps, step] }));
        else setWork((before) => ({ ...before, running: false, done: true }));
      }
      setWork((before) => (before.done ? before : { ...before, running: false, error: new Error(t("ledger.broken_off")) }));
      if (kind === "rebuild") onRebuilt();
    } catch (error) {
      if (!signal.aborted) setWork((before) => ({ ...before, running: false, error }));
    }
  };
  const rebuild = async () => {
    const question = { title: t("ledger.rebuild_title"), text: t("ledger.rebuild_text"), action: t("ledger.rebuild"), danger: true };
    if (await confirm(question)) await run("rebuild");
  };
  const actions = html`<${Button} small icon="refresh" disabled=${work.running} onClick=${rebuild}>${t("ledger.rebuild")}</${Button}>
    <${Button} small kind="primary" icon="check" busy=${work.running} onClick=${() => void run("verify")}>${t("ledger.verify")}</${Button}>`;
  return html`<${Card} title=${t("ledger.checks")} text=${t("ledger.checks_text")} actions=${actions}>
    <div class="stack" aria-live="polite"><${Outcome} ...${work} /></div>
  </${Card}>`;
}

function Outcome({ kind, running, steps, error, done }) {
  if (!kind) return html`<p class="quiet">${t("ledger.not_checked")}</p>`;
  const findings = steps.flatMap((step) => (step.findings ?? []).map((finding) => ({ ...finding, step: step.step })));
  const next = kind === "verify" && running ? STEPS[steps.length] : null;
  return html`
    ${running && html`<${Progress} label=${t(`ledger.running.${kind}`)} value=${kind === "verify" ? steps.length : undefined} max=${STEPS.length} note=${next && nameOf(next)} />`}
    ${steps.length > 0 && html`<ul class="checks">${steps.map((step) => html`<${Step} key=${step.step} kind=${kind} step=${step} />`)}</ul>`}
    ${error && (error.faults ? html`<${ErrorNotice} error=${error} />` : html`<${Notice} kind="error"><p>${error.message}</p></${Notice}>`)}
    ${done && kind === "rebuild" && html`<${Notice} kind="done"><p>${t("ledger.rebuilt")}</p></${Notice}>`}
    ${done && kind === "verify" && findings.length === 0 && html`<${Notice} kind="done"><p>${t("ledger.agrees")}</p></${Notice}>`}
    ${findings.length > 0 && html`<${Notice} kind="error" title=${t("ledger.differs", { count: findings.length })}><p>${t("ledger.differs_text")}</p></${Notice}><${Findings} rows=${findings} />`}
  `;
}

function Step({ kind, step }) {
  const wrong = step.findings?.length ?? 0;
  return html`<li>
    <span>${nameOf(step.step)}</span>
    ${kind === "rebuild"
      ? html`<span class="number">${count(step.count ?? 0)}</span>`
      : html`<${Badge} tone=${wrong ? "bad" : "good"}>${wrong ? t("ledger.findings", { count: wrong }) : t("ledger.agrees_short")}</${Badge}>`}
  </li>`;
}

const Findings = ({ rows }) =>
  html`<${Table}
    label=${t("ledger.found")}
    columns=${[
      { key: "step", label: t("ledger.check"), cell: (row) => nameOf(row.step) },
      { key: "subject", label: t("ledger.subject"), narrow: "title", cell: (row) => row.subject },
      { key: "found", label: t("ledger.is"), align: "end", cell: (row) => html`<code>${row.found}</code>` },
      { key: "expected", label: t("ledger.should_be"), align: "end", cell: (row) => html`<code>${row.expected}</code>` },
    ]}
    rows=${rows}
    rowKey=${(row) => `${row.step}/${row.subject}/${row.found}`}
  />`;
