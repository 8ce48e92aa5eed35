/**
 * How a channel does: the last minute, the last hours or days, and what it is.
 */
import { count, duration, percent } from "../../../core/format.js";
import { html } from "../../../core/html.js";
import { t } from "../../../core/words.js";
import { Tags } from "../../../parts/badge.js";
import { Card, Definitions, Stat, Stats } from "../../../parts/page.js";
import { BarList } from "../../../parts/progress.js";
import { errorName } from "../live/names.js";
import { rate } from "../live/tiles.js";
import { History } from "./history.js";

const BAD_SHARE = 0.05;

/** @param {{channel: object, live?: object}} props */
export function Overview({ channel, live }) {
  const traffic = live?.traffic;
  const errors = Object.entries(traffic?.errors ?? {}).sort((one, other) => other[1] - one[1]);
  return html`
    <${Stats}>
      <${Stat} label=${t("channels.calls")} value=${live ? rate(traffic.attempts_per_s) : "–"} note=${t("channels.last_minute")} />
      <${Stat} label=${t("channels.failed")} value=${percent(traffic?.error_share)} tone=${traffic?.error_share > BAD_SHARE ? "bad" : undefined} note=${t("channels.last_minute")} />
      <${Stat} label=${t("channels.first_token")} value=${duration(traffic?.first_token_p50_ms)} note=${traffic?.first_token_p95_ms != null ? t("channels.p95", { time: duration(traffic.first_token_p95_ms) }) : t("channels.last_minute")} />
      <${Stat} label=${t("channels.health_weight")} value=${live ? percent(live.weight, 0) : "–"} tone=${live && live.weight < 1 ? "warn" : undefined} note=${t("channels.of_weight", { weight: count(channel.weight) })} help=${t("channels.health_weight_help")} />
    </${Stats}>
    ${errors.length > 0 &&
    html`<${Card} title=${t("channels.errors")} text=${t("channels.last_minute")}>
      <${BarList} label=${t("channels.errors")} rows=${errors.map(([type, number]) => ({ key: type, label: errorName(type), value: number, shown: count(number) }))} />
    </${Card}>`}
    <${History} channel=${channel} />
    <${Card} title=${t("channels.about")}><${About} channel=${channel} /></${Card}>
  `;
}

function About({ channel }) {
  const { timeouts, probe, limits } = channel;
  const kept = ["jobs", "rpm", "tpm"].filter((name) => limits[name] ?? false).map((name) => `${count(limits[name])} ${t(`channels.short.${name}`)}`);
  const rules = [
    Object.keys(channel.params).length > 0 && t("channels.section.params"),
    Object.keys(channel.headers).length > 0 && t("channels.section.headers"),
    Object.keys(channel.status_map).length > 0 && t("channels.section.status_map"),
    channel.overrides.length > 0 && t("channels.section.overrides"),
    Object.keys(channel.options).length > 0 && t("channels.section.options"),
  ].filter(Boolean);
  return html`<${Definitions}
    columns
    items=${[
      [t("channels.dialect"), html`<code>${channel.dialect}</code>`],
      [t("channels.groups"), html`<${Tags} names=${channel.groups} most=${8} />`],
      [t("channels.priority"), count(channel.priority)],
      [t("channels.weight"), count(channel.weight)],
      [t("channels.credential_order"), t(`channels.order.${channel.credential_order}`)],
      [t("channels.credential_limits"), kept.length ? kept.join(", ") : null],
      [t("channels.timeouts"), ["connect_s", "first_token_s", "idle_s", "total_s"].map((name) => duration(timeouts[name] * 1000)).join(" · ")],
      [t("channels.probe"), `${t(`channels.kind.${probe.kind ?? "models"}`)}${probe.model ? `: ${probe.model}` : ""}`],
      [t("channels.rules"), rules.length ? html`<${Tags} names=${rules} most=${5} />` : null],
    ]}
  />`;
}
