/**
 * Usage to look around in: of an account for its people, of the site for its operators.
 */
import { api, url } from "../../core/api.js";
import { html, useMemo } from "../../core/html.js";
import { useLoad } from "../../core/load.js";
import { useLocation } from "../../core/router.js";
import { loadStyle } from "../../core/styles.js";
import { t } from "../../core/words.js";
import { Button } from "../../parts/button.js";
import { PageHeader, Toolbar } from "../../parts/page.js";
import { Attempts } from "./attempts.js";
import { Breakdown } from "./breakdown.js";
import { UsageChart } from "./chart.js";
import { Figures } from "./figures.js";
import { FilterBar, useFilters } from "./filters.js";
import { RequestDialog } from "./request.js";
import { bounds, SpanChooser, useSpan } from "./span.js";

await loadStyle("styles/usage.css");

/**
 * @param {{source: {base: string, site: boolean}, timeZone: string, text: string}} props source: base of the operations' paths,
 *   and whether it is the site's; timeZone: whose days are counted
 */
export function Explorer({ source, timeZone, text }) {
  const { query } = useLocation();
  const chosen = useSpan();
  const filters = useFilters(source.site);
  const span = useMemo(() => bounds(chosen, timeZone), [chosen, timeZone]);
  const deps = [source.base, filters, span];
  const overview = useLoad((signal) => api.get(`${source.base}/overview`, { ...filters, ...span }, { signal }), deps);
  const download = html`<${Button} icon="download" href=${url(`${source.base}/export`, { ...filters, ...span })} download>${t("usage.export")}</${Button}>`;
  const shared = { source, filters, span };
  return html`
    <${PageHeader} title=${t("nav.usage")} text=${text} actions=${download} />
    <${Toolbar}>
      <${SpanChooser} chosen=${chosen} timeZone=${timeZone} days />
      <${FilterBar} ...${shared} />
    </${Toolbar}>
    <${Figures} load=${overview} site=${source.site} />
    <${UsageChart} load=${overview} site=${source.site} />
    <${Breakdown} ...${shared} deps=${deps} />
    <${Attempts} ...${shared} deps=${deps} />
    ${query.get("request") && html`<${RequestDialog} source=${source} job=${query.get("request")} />`}
  `;
}
