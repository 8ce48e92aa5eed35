/**
 * The site this second, and in the last two minutes: a board for a wall.
 */
import { compact, duration } from "../../core/format.js";
import { cx, html, useEffect, useRef, useState } from "../../core/html.js";
import { loadStyle } from "../../core/styles.js";
import { t } from "../../core/words.js";
import { Badge } from "../../parts/badge.js";
import { Button } from "../../parts/button.js";
import { Empty } from "../../parts/notice.js";
import { Card, PageHeader } from "../../parts/page.js";
import { BarList } from "../../parts/progress.js";
import { LiveChart } from "./live/chart.js";
import { errorName } from "./live/names.js";
import { useLive } from "./live/stream.js";
import { Channels, Processes } from "./live/tables.js";
import { failed, rate, Tiles } from "./live/tiles.js";

await loadStyle("styles/live.css");

const ERRORS_MAX = 6;

export default function Live() {
  const { points, now, line } = useLive();
  const board = useRef(null);
  const [whole, enter] = useFullscreen(board);
  const state = line === "open" ? html`<${Badge} tone="good">${t("live.line.open")}</${Badge}>` : html`<${Badge} tone="warn">${t("live.line.waiting")}</${Badge}>`;
  const action = !whole && html`<${Button} icon="overview" onClick=${enter}>${t("live.full_screen")}</${Button}>`;
  return html`<div ref=${board} class=${cx("page", "live-board", whole && "whole")}>
    <${PageHeader} title=${t("live.title")} text=${!whole && t("live.text")} badge=${state} actions=${action} />
    <${Tiles} points=${points} point=${now?.point} />
    <div class="live-charts">
      <${Card} title=${t("live.chart.requests")}>
        <${LiveChart}
          label=${t("live.chart.requests")}
          points=${points}
          format=${rate}
          stacked
          series=${[
            { key: "good", label: t("live.chart.good"), tone: "series-1", value: (point) => Math.max(0, point.requests_per_s - failed(point)) },
            { key: "failed", label: t("live.chart.failed"), tone: "bad", value: failed },
          ]}
        />
      </${Card}>
      <${Card} title=${t("live.chart.first_token")}>
        <${LiveChart}
          label=${t("live.chart.first_token")}
          points=${points}
          format=${duration}
          series=${[
            { key: "p50", label: t("live.chart.p50"), tone: "series-4", value: (point) => point.first_token_p50_ms },
            { key: "p95", label: t("live.chart.p95"), tone: "series-3", value: (point) => point.first_token_p95_ms },
          ]}
        />
      </${Card}>
      <${Card} title=${t("live.chart.tokens")}>
        <${LiveChart}
          label=${t("live.chart.tokens")}
          points=${points}
          format=${compact}
          stacked
          series=${[{ key: "tokens", label: t("live.tokens"), tone: "series-6", value: (point) => point.tokens_per_s }]}
        />
      </${Card}>
      <${Card} title=${t("live.failures")} text=${t("live.failures_text")}>
        <${FailuresByType} points=${points} />
      </${Card}>
    </div>
    <${Channels} now=${now} />
    <${Processes} now=${now} />
  </div>`;
}

function FailuresByType({ points }) {
  const sums = new Map();
  for (const point of points) {
    for (const [type, each] of Object.entries(point.errors_per_s)) sums.set(type, (sums.get(type) ?? 0) + each);
  }
  const rows = [...sums]
    .filter(([, sum]) => sum >= 0.5)
    .sort((one, other) => other[1] - one[1])
    .slice(0, ERRORS_MAX)
    .map(([type, sum]) => ({ key: type, label: errorName(type), value: sum, shown: compact(Math.round(sum)) }));
  return rows.length ? html`<${BarList} label=${t("live.failures")} rows=${rows} />` : html`<${Empty} icon="check" title=${t("live.no_failures")} />`;
}

/** Whether an element fills the screen, and what makes it. */
function useFullscreen(ref) {
  const [whole, setWhole] = useState(false);
  useEffect(() => {
    const changed = () => setWhole(document.fullscreenElement !== null && document.fullscreenElement === ref.current);
    document.addEventListener("fullscreenchange", changed);
    return () => document.removeEventListener("fullscreenchange", changed);
  }, []);
  return [whole, () => ref.current.requestFullscreen()];
}
