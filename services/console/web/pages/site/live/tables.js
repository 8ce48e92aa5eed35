/**
 * Channels and processes, as they are this second.
 */
import { compact, count, duration, percent } from "../../../core/format.js";
import { cx, html } from "../../../core/html.js";
import { to } from "../../../core/router.js";
import { t } from "../../../core/words.js";
import { Badge } from "../../../parts/badge.js";
import { Empty } from "../../../parts/notice.js";
import { Card } from "../../../parts/page.js";
import { Table } from "../../../parts/table.js";
import { errorName, reasonText } from "./names.js";
import { rate } from "./tiles.js";

const TONES = { serving: "good", probing: "warn", ejected: "bad", off: "neutral", drained: "info" };
const BAD_SHARE = 0.05;
const SKEW_MS = 1000;
const OLD_BEAT_MS = 2500;

const stateOf = (channel) => (!channel.enabled ? "off" : channel.drained ? "drained" : channel.state);

/** @param {{now: object|null}} props */
export function Channels({ now }) {
  return html`<${Card} flush title=${t("live.channels")} text=${t("live.channels_text")}>
    <${Table}
      label=${t("live.channels")}
      columns=${channelColumns()}
      rows=${now?.channels}
      rowKey=${(channel) => channel.id}
      rowClass=${(channel) => cx(!channel.enabled && "live-off")}
      empty=${html`<${Empty} icon="channel" title=${t("live.no_channels")}>${t("live.no_channels_text")}</${Empty}>`}
    />
    ${now?.channels_more > 0 && html`<p class="live-more">${t("live.channels_more", { count: now.channels_more })}</p>`}
  </${Card}>`;
}

const channelColumns = () => [
  {
    key: "name",
    label: t("live.channel"),
    narrow: "title",
    cell: (channel) => html`<a class="cell-title" href=${to`/site/channels/${channel.name}`}>${channel.name}</a><span class="cell-note">${channel.dialect}</span>`,
  },
  {
    key: "state",
    label: t("live.state"),
    cell: (channel) => html`<${Badge} tone=${TONES[stateOf(channel)]}>${t(`live.state.${stateOf(channel)}`)}</${Badge}>
      ${channel.enabled && note(channel) && html`<span class="cell-note">${note(channel)}</span>`}`,
  },
  { key: "attempts", label: t("live.calls"), align: "end", cell: (channel) => (channel.traffic.error_share === null ? null : rate(channel.traffic.attempts_per_s)) },
  { key: "failed", label: t("live.failed"), align: "end", cell: (channel) => html`<${Failures} traffic=${channel.traffic} />` },
  { key: "first", label: t("live.first_token"), align: "end", cell: (channel) => html`<${FirstToken} traffic=${channel.traffic} />` },
  { key: "tokens", label: t("live.tokens"), align: "end", narrow: "hide", cell: (channel) => (channel.traffic.tokens_per_s ? compact(channel.traffic.tokens_per_s) : null) },
  { key: "credentials", label: t("live.credentials"), align: "end", cell: (channel) => html`<${Credentials} channel=${channel} />` },
];

function note(channel) {
  const parts = [];
  if (channel.weight < 1 && channel.state !== "ejected") parts.push(t("live.weight", { share: percent(channel.weight, 0) }));
  if (channel.reason) parts.push(reasonText(channel.reason));
  if (channel.refused_models) parts.push(t("live.refused_models", { count: channel.refused_models }));
  return parts.join(" · ");
}

function Failures({ traffic }) {
  if (traffic.error_share === null) return html`<span class="quiet">–</span>`;
  const most = Object.entries(traffic.errors).sort((one, other) => other[1] - one[1])[0];
  return html`<span class=${cx(traffic.error_share > BAD_SHARE && "bad")}>${percent(traffic.error_share)}</span>
    ${most && html`<span class="cell-note">${errorName(most[0])}</span>`}`;
}

function FirstToken({ traffic }) {
  if (traffic.first_token_p50_ms === null) return html`<span class="quiet">–</span>`;
  return html`${duration(traffic.first_token_p50_ms)}<span class="cell-note">${t("live.p95", { time: duration(traffic.first_token_p95_ms) })}</span>`;
}

function Credentials({ channel }) {
  const { credentials, credentials_refused: refused } = channel;
  return html`${count(credentials)}${refused > 0 && html`<span class="cell-note bad">${t("live.credentials_refused", { count: refused })}</span>`}`;
}

/** @param {{now: object|null}} props */
export function Processes({ now }) {
  return html`<${Card} flush title=${t("live.processes")} text=${t("live.processes_text")}>
    <${Table}
      label=${t("live.processes")}
      columns=${processColumns()}
      rows=${now?.processes}
      rowKey=${(process) => process.process}
      rowClass=${(process) => cx(process.lost && "live-lost")}
      empty=${html`<${Empty} icon="pulse" title=${t("live.no_processes")} />`}
    />
  </${Card}>`;
}

const processState = (process) => (process.lost ? "lost" : process.draining ? "draining" : "alive");
const PROCESS_TONES = { alive: "good", draining: "info", lost: "bad" };

const processColumns = () => [
  {
    key: "process",
    label: t("live.process"),
    narrow: "title",
    cell: (process) => html`<span class="cell-title">${t(`live.role.${process.role}`)}</span><code class="cell-note">${process.process}</code>`,
  },
  {
    key: "state",
    label: t("live.state"),
    cell: (process) => html`<${Badge} tone=${PROCESS_TONES[processState(process)]}>${t(`live.process.${processState(process)}`)}</${Badge}>`,
  },
  { key: "beat", label: t("live.beat"), align: "end", cell: (process) => html`<${Beat} process=${process} />` },
  { key: "work", label: t("live.per_second"), align: "end", cell: (process) => (works(process) ? rate(process.per_s) : null) },
  { key: "in_flight", label: t("live.in_flight"), align: "end", cell: (process) => (works(process) ? count(process.in_flight) : null) },
  { key: "room", label: t("live.room"), align: "end", cell: (process) => (process.role === "dispatcher" ? count(process.room) : null) },
  { key: "waiting", label: t("live.waiting"), align: "end", narrow: "hide", cell: (process) => (process.role === "edge" ? count(process.waiting) : null) },
  { key: "unstored", label: t("live.unstored"), align: "end", narrow: "hide", cell: (process) => (process.role === "dispatcher" ? count(process.unstored) : null) },
];

const works = (process) => process.role === "edge" || process.role === "dispatcher";

function Beat({ process }) {
  const skewed = Math.abs(process.skew_ms) > SKEW_MS;
  return html`<span class=${cx(process.age_ms > OLD_BEAT_MS && "bad")}>${duration(process.age_ms)}</span>
    ${skewed && html`<span class="cell-note warn">${t(process.skew_ms > 0 ? "live.clock_ahead" : "live.clock_behind", { time: duration(Math.abs(process.skew_ms)) })}</span>`}`;
}
