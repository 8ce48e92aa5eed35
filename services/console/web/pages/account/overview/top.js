/**
 * What used most, each with a way to its usage.
 */
import { api } from "../../../core/api.js";
import { money } from "../../../core/format.js";
import { html } from "../../../core/html.js";
import { useLoad } from "../../../core/load.js";
import { to } from "../../../core/router.js";
import { t } from "../../../core/words.js";
import { Loaded } from "../../../parts/notice.js";
import { Card } from "../../../parts/page.js";
import { BarList } from "../../../parts/progress.js";
import { SPAN_DEFAULT } from "../../usage/span.js";

const TOP = 5;

/** @param {{account: string, base: string, by: "model"|"key", span: object, chosen: {span: string}}} props */
export function Top({ account, base, by, span, chosen }) {
  const load = useLoad((signal) => api.get(`${base}/breakdown`, { ...span, by, top: TOP }, { signal }), [base, by, span]);
  const address = (query) => `${to`/a/${account}/usage`}?${new URLSearchParams({ ...(chosen.span !== SPAN_DEFAULT && { span: chosen.span }), ...query })}`;
  const title = t(`overview.top.${by}`);
  return html`<${Card} title=${title} actions=${html`<a href=${address({ by })}>${t("overview.see_all")}</a>`}>
    <${Loaded} of=${load}>
      ${({ rows }) =>
        rows.length
          ? html`<${BarList} label=${title} rows=${rows.map(({ value, totals }) => ({ key: value, label: value, value: totals.charge_nano, shown: money(totals.charge_nano), note: t("overview.requests", { count: totals.requests }), href: address({ [by]: value }) }))} />`
          : html`<p class="quiet">${t("overview.nothing_used")}</p>`}
    </${Loaded}>
  </${Card}>`;
}
