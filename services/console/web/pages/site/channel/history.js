/**
 * What health saw of a channel, by minute, hour or day.
 */
import { api, at } from "../../../core/api.js";
import { count, duration, percent } from "../../../core/format.js";
import { html, useMemo } from "../../../core/html.js";
import { useLoad } from "../../../core/load.js";
import { useQuery } from "../../../core/router.js";
import { t } from "../../../core/words.js";
import { TimeChart } from "../../../parts/chart.js";
import { Loaded } from "../../../parts/notice.js";
import { Card } from "../../../parts/page.js";
import { Choice } from "../../../parts/search.js";
import { Segments } from "../../../parts/tabs.js";

/** How long a bar is, and how many are shown. */
const SPANS = { minute: [60, 120], hour: [3600, 168], day: [86_400, 90] };

/** @param {{channel: object}} props */
export function History({ channel }) {
  const [by, setBy] = useQuery("by", "hour");
  const [model, setModel] = useQuery("of");
  const [step, most] = SPANS[by] ?? SPANS.hour;
  // On the step, so that the same bars are asked for while one looks.
  const first = Math.floor(Date.now() / 1000 / step) * step - (most - 1) * step;
  const read = (signal) => api.get(at`history/${channel.name}`, { by, model: model || null, since: new Date(first * 1000).toISOString() }, { signal });
  const history = useLoad(read, [channel.name, by, model, first]);
  const options = [{ value: "", label: t("channels.all_models") }, ...Object.keys(channel.models).map((name) => ({ value: name, label: name }))];
  const controls = html`<${Choice} label=${t("channels.model")} value=${model} options=${options} onChange=${setModel} />
    <${Segments} label=${t("channels.by")} options=${Object.keys(SPANS).map((value) => ({ value, label: t(`channels.by.${value}`) }))} value=${by} onChange=${setBy} />`;
  return html`<${Card} title=${t("channels.history")} actions=${controls}>
    <${Loaded} of=${history} lines=${6}>
      ${(rows) => html`<${Charts} rows=${rows} first=${first} step=${step} most=${most} />`}
    </${Loaded}>
  </${Card}>`;
}

function Charts({ rows, first, step, most }) {
  const { times, outcomes, waits, sums } = useMemo(() => shaped(rows, first, step, most), [rows, first, step]);
  const known = sums.serving + sums.ejected + sums.probing;
  return html`<div class="history">
    <p class="history-sums">
      <span>${t("channels.attempts", { count: sums.successes + sums.failures })}</span>
      <span>${t("channels.failed_share", { share: percent(sums.successes + sums.failures ? sums.failures / (sums.successes + sums.failures) : null) })}</span>
      ${known > 0 && html`<span>${t("channels.served_share", { share: percent(sums.serving / known) })}</span>`}
    </p>
    <h3>${t("channels.attempts_and_probes")}</h3>
    <${TimeChart} label=${t("channels.attempts_and_probes")} times=${rows.length ? times : []} series=${outcomes} kind="bars" stacked height=${180} format=${count} />
    ${sums.waits > 0 &&
    html`<h3>${t("channels.first_token_mean")}</h3>
      <${TimeChart} label=${t("channels.first_token_mean")} times=${times} series=${waits} kind="bars" height=${140} format=${duration} />`}
  </div>`;
}

function shaped(rows, first, step, most) {
  const found = new Map(rows.map((row) => [new Date(row.at).getTime() / 1000, row]));
  const times = Array.from({ length: most }, (_, at) => first + at * step);
  const values = (read) => times.map((time) => (found.has(time) ? read(found.get(time)) : null));
  const sum = (read) => rows.reduce((all, row) => all + read(row), 0);
  const first_tokens = values((row) => row.first_token_ms);
  return {
    times,
    outcomes: [
      { label: t("channels.good"), values: values((row) => row.successes), colour: "--series-1" },
      { label: t("channels.bad"), values: values((row) => row.failures), colour: "--bad" },
    ],
    waits: [{ label: t("channels.first_token_mean"), values: first_tokens, colour: "--series-2" }],
    sums: {
      successes: sum((row) => row.successes),
      failures: sum((row) => row.failures),
      serving: sum((row) => row.serving_s),
      ejected: sum((row) => row.ejected_s),
      probing: sum((row) => row.probing_s),
      waits: first_tokens.filter((each) => each !== null).length,
    },
  };
}
