/**
 * Usage over time: one of several figures, chosen in the address.
 */
import { compact, duration, money, percent } from "../../core/format.js";
import { html, useMemo } from "../../core/html.js";
import { useQuery } from "../../core/router.js";
import { t, useLanguage } from "../../core/words.js";
import { TimeChart } from "../../parts/chart.js";
import { ErrorNotice, Skeleton } from "../../parts/notice.js";
import { Card } from "../../parts/page.js";
import { Segments } from "../../parts/tabs.js";
import { errorShare } from "./figures.js";
import { dateIn } from "./span.js";

const HEIGHT = 240;
const FIGURES = ["spend", "requests", "tokens", "errors", "time"];
const TOKENS = ["input", "cache_read", "cache_write", "output", "reasoning"];
const nano = (value) => money(Math.round(value));

/** Of each figure: its series, how they are drawn, and how values are shown. */
const DRAWN = {
  spend: (points, site) => ({
    kind: site ? "line" : "bars",
    format: nano,
    series: (site ? ["charge", "cost", "margin"] : ["charge"]).map((name) => ({
      label: t(`usage.series.${name}`),
      values: points.map(({ totals }) => Number(totals[`${name}_nano`])),
    })),
  }),
  requests: (points) => ({
    kind: "bars",
    stacked: true,
    format: compact,
    series: [
      { label: t("usage.series.complete"), values: points.map(({ totals }) => totals.attempts - totals.errors) },
      { label: t("usage.series.errors"), values: points.map(({ totals }) => totals.errors), colour: "--bad" },
    ],
  }),
  tokens: (points) => ({
    kind: "bars",
    stacked: true,
    format: compact,
    series: TOKENS.map((name) => ({ label: t(`usage.series.${name}`), values: points.map(({ totals }) => totals[`${name}_tokens`]) })).filter(
      ({ values }, at) => at === 0 || values.some(Boolean),
    ),
  }),
  errors: (points) => ({
    kind: "area",
    format: (value) => percent(value),
    series: [{ label: t("usage.errors"), values: points.map(({ totals }) => errorShare(totals)), colour: "--bad" }],
  }),
  time: (points) => ({
    kind: "line",
    format: duration,
    series: ["first_token", "duration"].flatMap((name) =>
      ["p50", "p95"].map((share) => ({ label: t(`usage.series.${name}_${share}`), values: points.map(({ speeds }) => speeds[name]?.[`${share}_ms`] ?? null) })),
    ),
  }),
};

/** A day is drawn where the reader's clock has its date, whatever time zone it began in. */
function moments(overview) {
  return overview.series.map(({ at }) => {
    const ms = Date.parse(at);
    return (overview.step === "day" ? new Date(`${dateIn(ms, overview.time_zone)}T00:00`).getTime() : ms) / 1000;
  });
}

/** @param {{load: ReturnType<import("../../core/load.js").useLoad>, site?: boolean}} props load: of an overview */
export function UsageChart({ load, site }) {
  const [figure, setFigure] = useQuery("figure", "spend");
  const language = useLanguage();
  const overview = load.data;
  const name = FIGURES.includes(figure) ? figure : "spend";
  const drawn = useMemo(() => overview && { times: moments(overview), ...DRAWN[name](overview.series, site) }, [overview, name, site, language]);
  const options = FIGURES.map((value) => ({ value, label: t(`usage.figure.${value}`) }));
  const title = t("usage.over_time");
  const chooser = html`<div class="usage-scroll"><${Segments} label=${title} options=${options} value=${name} onChange=${setFigure} /></div>`;
  return html`<${Card} title=${title} text=${overview && t(`usage.per.${overview.step}`, { zone: overview.time_zone })} actions=${chooser}>
    <${ErrorNotice} error=${load.error} retry=${load.reload} />
    ${drawn ? html`<${TimeChart} label=${t(`usage.figure.${name}`)} height=${HEIGHT} ...${drawn} />` : !load.error && html`<div class="usage-waiting"><${Skeleton} lines=${5} /></div>`}
  </${Card}>`;
}
