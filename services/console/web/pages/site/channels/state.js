/**
 * What a channel does at the moment: as configured, and as health and the dispatchers see it.
 */
import { api } from "../../../core/api.js";
import { html, useInterval } from "../../../core/html.js";
import { useLoad } from "../../../core/load.js";
import { percent } from "../../../core/format.js";
import { t } from "../../../core/words.js";
import { Badge } from "../../../parts/badge.js";
import { reasonText } from "../live/names.js";

export const STATES = ["serving", "probing", "ejected", "drained", "disabled"];

const TONES = { serving: "good", probing: "warn", ejected: "bad", drained: "info", disabled: "neutral", enabled: "neutral" };
const LIVE_S = 5;

/**
 * @param {object} channel
 * @param {object|null} [live] of the live board, which leaves out some of those that do well; null while nothing is known
 */
export function stateOf(channel, live) {
  if (!channel.enabled) return "disabled";
  if (channel.drained) return "drained";
  return live === null ? "enabled" : (live?.state ?? "serving");
}

/** The channels of the live board by name, every few seconds; null until the first answer. */
export function useLive() {
  const live = useLoad((signal) => api.get("live/now", {}, { signal, quiet: true }), []);
  useInterval(live.reload, LIVE_S);
  return live.data ? new Map(live.data.channels.map((each) => [each.name, each])) : null;
}

/** @param {{channel: object, live?: object}} props */
export function State({ channel, live }) {
  const state = stateOf(channel, live);
  return html`<${Badge} tone=${TONES[state]}>${t(`channels.state.${state}`)}</${Badge}>`;
}

/** What is to be said beside the state; empty if nothing. @param {object} [live] */
export function noteOf(live) {
  if (!live?.enabled) return "";
  const parts = [];
  if (live.weight < 1 && live.state !== "ejected") parts.push(t("channels.takes", { share: percent(live.weight, 0) }));
  if (live.reason) parts.push(reasonText(live.reason));
  if (live.refused_models) parts.push(t("channels.refused_models", { count: live.refused_models }));
  return parts.join(" · ");
}
