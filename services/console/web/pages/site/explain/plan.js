/**
 * A plan: who would be asked in which order, who would not and why, what takes over, and what the console cannot know.
 */
import { decimal, duration, list, money, percent, count } from "../../../core/format.js";
import { html } from "../../../core/html.js";
import { to } from "../../../core/router.js";
import { t } from "../../../core/words.js";
import { Badge, Tags } from "../../../parts/badge.js";
import { Empty, Notice } from "../../../parts/notice.js";
import { Card, Definitions } from "../../../parts/page.js";
import { Table } from "../../../parts/table.js";
import { Time } from "../../../parts/time.js";
import { reasonText } from "../live/names.js";
import { needName } from "./form.js";

const TONES = { serving: "good", probing: "warn", ejected: "bad" };

/** @param {{plan: object, title?: string, text?: unknown}} props title, text: above who would be asked */
export function Plan({ plan, title = t("explain.candidates"), text }) {
  const items = [
    [t("explain.strategy"), html`${t(`explain.strategy.${plan.strategy}`)} <span class="cell-note">${t(`explain.from.${plan.strategy_from}`)}</span>`],
    [t("explain.groups"), plan.groups.length ? html`<${Tags} names=${plan.groups} most=${5} />` : null],
    [t("explain.extras"), extras(plan)],
    [t("explain.at"), html`<${Time} at=${plan.at} exact />`],
  ];
  return html`<div class="page">
    ${plan.candidates.length === 0 && html`<${Notice} kind="warning" title=${t("explain.nobody")}>${plan.refused ? t(`explain.refused.${plan.refused}`) : t("explain.nobody_left")}</${Notice}>`}
    <${Card} title=${title} text=${text ?? t("explain.candidates_text")} flush>
      <div class="explain-facts"><${Definitions} items=${items} columns /></div>
      <${Table}
        label=${title}
        columns=${columns(plan)}
        rows=${plan.candidates}
        rowKey=${(candidate) => candidate.channel}
        empty=${html`<${Empty} icon="route" title=${t("explain.no_candidates")} />`}
      />
    </${Card}>
    ${plan.left_out.length > 0 && html`<${LeftOut} rows=${plan.left_out} />`}
    ${plan.fallbacks.length > 0 && html`<${Fallbacks} rows=${plan.fallbacks} />`}
    <${Notice} kind="info" title=${t("explain.not_known")}>
      <ul>${plan.not_known.map((each) => html`<li key=${each}>${t(`explain.not_known.${each}`)}</li>`)}</ul>
    </${Notice}>
  </div>`;
}

function extras(plan) {
  const found = [plan.hedge && t("explain.hedge"), plan.continues && t("explain.continues")].filter(Boolean);
  return found.length ? found.map((each) => html`<div key=${each}>${each}</div>`) : null;
}

const columns = (plan) => [
  {
    key: "channel",
    label: t("explain.channel"),
    narrow: "title",
    cell: (candidate) => html`<div class="explain-channel">
      <span class="explain-order">${plan.candidates.indexOf(candidate) + 1}</span>
      <div><a class="cell-title" href=${to`/site/channels/${candidate.channel}`}>${candidate.channel}</a><span class="cell-note">${candidate.dialect} · ${candidate.upstream_model}</span></div>
    </div>`,
  },
  {
    key: "state",
    label: t("explain.state"),
    cell: (candidate) => html`<${Badge} tone=${TONES[candidate.state]}>${t(`explain.state.${candidate.state}`)}</${Badge}>
      ${candidate.health < 1 && html`<span class="cell-note">${t("explain.health", { share: percent(candidate.health, 0) })}</span>`}`,
  },
  { key: "why", label: t("explain.why_here"), cell: (candidate) => html`<${Place} candidate=${candidate} plan=${plan} />` },
  { key: "figures", label: t("explain.figures"), cell: (candidate) => html`<${Figures} figures=${candidate.figures} />` },
  {
    key: "credentials",
    label: t("explain.credentials"),
    align: "end",
    cell: (candidate) => html`${count(candidate.credentials)}
      ${candidate.credentials_refused > 0 && html`<span class="cell-note">${t("explain.credentials_refused", { count: candidate.credentials_refused })}</span>`}`,
  },
  ...(plan.candidates.some((candidate) => candidate.translated !== null)
    ? [{ key: "translated", label: t("explain.translation"), cell: (candidate) => html`<${Translation} candidate=${candidate} />` }]
    : []),
];

/** Why a candidate stands where it stands: its tier, and what decides within that. */
function Place({ candidate, plan }) {
  const { share, score } = candidate.figures;
  const alone = plan.candidates.filter((other) => other.tier === candidate.tier).length === 1;
  const notes = [t("explain.group", { name: candidate.group })];
  if (plan.strategy === "priority") notes.unshift(t("explain.priority", { priority: candidate.priority }));
  if (!alone && share !== null) notes.push(t("explain.weight", { weight: candidate.weight }));
  if (candidate.turn < 1) notes.push(t("explain.turn", { share: percent(candidate.turn, 0) }));
  return html`${share !== null && (alone ? t("explain.alone") : t("explain.share", { share: percent(share) }))}
    ${score !== null && scoreText(plan.strategy, score)}
    <span class="cell-note">${notes.join(" · ")}</span>`;
}

function scoreText(strategy, score) {
  if (strategy === "latency") return t("explain.score.latency", { time: duration(score * 1000) });
  if (strategy === "throughput") return t("explain.score.throughput", { time: duration(score * 1000) });
  return t("explain.score.least_busy", { score: decimal(score, 4) });
}

function Figures({ figures }) {
  const shown = [
    figures.first_token_ms !== null && t("explain.figure.first_token", { time: duration(figures.first_token_ms) }),
    figures.tokens_per_s !== null && t("explain.figure.speed", { speed: count(figures.tokens_per_s) }),
    figures.cost_nano !== null && t("explain.figure.cost", { money: money(figures.cost_nano) }),
  ].filter(Boolean);
  if (shown.length === 0) return html`<span class="quiet">–</span>`;
  return html`<ul class="explain-figures">${shown.map((each) => html`<li key=${each}>${each}</li>`)}</ul>`;
}

function Translation({ candidate }) {
  if (!candidate.translated) return t("explain.as_it_is");
  return html`${t("explain.translated")}
    ${candidate.lost.length > 0 && html`<span class="cell-note">${t("explain.lost", { names: list(candidate.lost.map(needName)) })}</span>`}`;
}

function LeftOut({ rows }) {
  return html`<${Card} title=${t("explain.left_out")} text=${t("explain.left_out_text")} flush>
    <${Table}
      label=${t("explain.left_out")}
      rows=${rows}
      rowKey=${(left) => left.channel}
      columns=${[
        { key: "channel", label: t("explain.channel"), narrow: "title", cell: (left) => html`<a class="cell-title" href=${to`/site/channels/${left.channel}`}>${left.channel}</a>` },
        { key: "why", label: t("explain.reason"), cell: (left) => t(`explain.left_out.${left.why}`) },
        { key: "message", label: t("explain.details"), cell: leftOutText },
      ]}
    />
  </${Card}>`;
}

/** The sentence of the API's answer, in the page's language. */
function leftOutText({ why, names }) {
  if (why === "need") return t("explain.detail.need", { names: list(names.map(needName)) });
  if (why === "group") return t("explain.detail.group", { names: list(names) });
  if (why === "ejected" && names.length) return t("explain.detail.ejected_for", { reason: reasonText(names[0]) });
  return t(`explain.detail.${why}`);
}

function Fallbacks({ rows }) {
  return html`<${Card} title=${t("explain.fallbacks")} text=${t("explain.fallbacks_text")} flush>
    <${Table}
      label=${t("explain.fallbacks")}
      rows=${rows}
      rowKey=${(fallback) => fallback.model}
      columns=${[
        { key: "model", label: t("explain.model"), narrow: "title", cell: (fallback) => html`<span class="cell-title">${fallback.model}</span>` },
        { key: "on", label: t("explain.when"), cell: (fallback) => fallback.on.map((each) => t(`explain.on.${each}`)).join(" · ") },
        {
          key: "reached",
          label: t("explain.reached"),
          cell: (fallback) => (fallback.reached ? html`<${Badge} tone="good">${t("explain.reached.yes")}</${Badge}>` : html`<${Badge} tone="warn">${t("explain.reached.no")}</${Badge}>`),
        },
      ]}
    />
  </${Card}>`;
}
