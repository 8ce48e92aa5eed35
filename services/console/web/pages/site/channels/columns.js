/**
 * The columns of the table of channels.
 */
import { compact, count, duration, percent } from "../../../core/format.js";
import { cx, html } from "../../../core/html.js";
import { to } from "../../../core/router.js";
import { t } from "../../../core/words.js";
import { Tags } from "../../../parts/badge.js";
import { errorName } from "../live/names.js";
import { rate } from "../live/tiles.js";
import { noteOf, State, stateOf, STATES } from "./state.js";

const BAD_SHARE = 0.05;

export const channelColumns = () => [
  {
    key: "name",
    label: t("channels.name"),
    narrow: "title",
    sort: (channel) => channel.name,
    cell: (channel) => html`<a class="cell-title" href=${to`/site/channels/${channel.name}`}>${channel.name}</a><span class="cell-note">${channel.dialect}</span>`,
  },
  {
    key: "state",
    label: t("channels.state"),
    sort: (channel) => STATES.indexOf(stateOf(channel, channel.live)),
    cell: (channel) => html`<${State} channel=${channel} live=${channel.live} />${noteOf(channel.live) && html`<span class="cell-note">${noteOf(channel.live)}</span>`}`,
  },
  { key: "groups", label: t("channels.groups"), cell: (channel) => html`<${Tags} names=${channel.groups} most=${2} />` },
  { key: "models", label: t("channels.models"), sort: (channel) => Object.keys(channel.models).length, cell: (channel) => html`<${Tags} names=${Object.keys(channel.models)} most=${2} />` },
  {
    key: "weight",
    label: t("channels.weight"),
    align: "end",
    sort: (channel) => channel.priority * 1e7 + channel.weight,
    cell: (channel) => html`${count(channel.weight)}${channel.priority !== 0 && html`<span class="cell-note nowrap">${t("channels.at_priority", { priority: channel.priority })}</span>`}`,
  },
  { key: "credentials", label: t("channels.credentials"), align: "end", sort: (channel) => channel.credentials.length, cell: (channel) => html`<${Credentials} channel=${channel} />` },
  { key: "calls", label: t("channels.calls"), align: "end", sort: (channel) => channel.live?.traffic.attempts_per_s, cell: (channel) => (channel.live?.traffic.error_share == null ? null : rate(channel.live.traffic.attempts_per_s)) },
  { key: "failed", label: t("channels.failed"), align: "end", sort: (channel) => channel.live?.traffic.error_share, cell: (channel) => (channel.live?.traffic.error_share == null ? null : html`<${Failed} traffic=${channel.live.traffic} />`) },
  { key: "first", label: t("channels.first_token"), align: "end", narrow: "hide", sort: (channel) => channel.live?.traffic.first_token_p50_ms, cell: (channel) => (channel.live?.traffic.first_token_p50_ms == null ? null : duration(channel.live.traffic.first_token_p50_ms)) },
];

function Credentials({ channel }) {
  const refused = channel.live?.credentials_refused ?? 0;
  return html`${count(channel.credentials.length)}${refused > 0 && html`<span class="cell-note bad">${t("channels.refused", { count: refused })}</span>`}`;
}

function Failed({ traffic }) {
  const most = Object.entries(traffic.errors).sort((one, other) => other[1] - one[1])[0];
  return html`<span class=${cx(traffic.error_share > BAD_SHARE && "bad")}>${percent(traffic.error_share)}</span>
    ${most && html`<span class="cell-note" title=${`${compact(most[1])} × ${errorName(most[0])}`}>${errorName(most[0])}</span>`}`;
}
