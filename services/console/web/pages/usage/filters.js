/**
 * Which attempts are looked at, kept in the address: any dimensions together, and whether only those that failed.
 */
import { api } from "../../core/api.js";
import { compact, money } from "../../core/format.js";
import { html, useMemo, useState } from "../../core/html.js";
import { useLoad } from "../../core/load.js";
import { setQuery, useLocation } from "../../core/router.js";
import { known, t } from "../../core/words.js";
import { Button } from "../../parts/button.js";
import { Dialog } from "../../parts/dialog.js";
import { Icon } from "../../parts/icon.js";
import { Empty, Loaded } from "../../parts/notice.js";
import { Search } from "../../parts/search.js";
import { Segments } from "../../parts/tabs.js";

const VALUES_MAX = 200;
const SHOWN_MAX = 60;

/** What usage can be broken down and filtered by. The last two are for the site's operators. */
const DIMENSIONS = ["model", "key", "user", "group", "outcome", "account", "channel"];
const OF_SITE = ["account", "channel"];
const COMPLETE = "complete";

/**
 * @param {boolean} site
 * @returns {string[]}
 */
export const dimensions = (site) => (site ? [...OF_SITE, ...DIMENSIONS.slice(0, -OF_SITE.length)] : DIMENSIONS.slice(0, -OF_SITE.length));

/** An outcome in words; one that is newer than this page as it is. */
export function outcomeName(outcome) {
  if (outcome === COMPLETE) return t("usage.complete");
  return known(`live.error.${outcome}`) ? t(`live.error.${outcome}`) : outcome;
}

/** What somebody reads for a value of a dimension. */
export const valueName = (dimension, value) => (value === null ? t("usage.nobody") : dimension === "outcome" ? outcomeName(value) : value);

/** What the address says is wanted, as the API takes it. */
export function useFilters(site) {
  const { query } = useLocation();
  const text = [...dimensions(site), "errors"].map((name) => query.get(name) ?? "").join("\n");
  return useMemo(() => {
    const found = Object.fromEntries(dimensions(site).map((name) => [name, query.get(name)]).filter(([, value]) => value));
    return query.get("errors") === "true" ? { ...found, errors: "true" } : found;
  }, [text, site]);
}

/**
 * Wants only attempts like a row of a breakdown.
 * @param {string} dimension
 * @param {{value: string, account?: string}} row
 */
export function filterBy(dimension, { value, account }) {
  // Users and keys have names within their account alone.
  setQuery({ [dimension]: value, ...(account && { account }) });
}

/** @param {{source: {base: string, site: boolean}, filters: object, span: object}} props */
export function FilterBar({ source, filters, span }) {
  const [open, setOpen] = useState(false);
  const chosen = dimensions(source.site).filter((name) => filters[name]);
  const drop = (name) => setQuery({ [name]: null, ...(name === "account" && { user: null, key: null }) });
  return html`<${Button} icon="filter" onClick=${() => setOpen(true)}>${t("usage.filter")}</${Button}>
    <label class="switch usage-errors">
      <input type="checkbox" role="switch" checked=${filters.errors === "true"} onChange=${(event) => setQuery({ errors: event.target.checked ? "true" : null })} />
      <span class="switch-track" aria-hidden="true"></span><span>${t("usage.only_errors")}</span>
    </label>
    ${chosen.map((name) => html`<${Chosen} key=${name} name=${name} value=${filters[name]} onDrop=${() => drop(name)} />`)}
    ${open && html`<${FilterDialog} source=${source} filters=${filters} span=${span} onClose=${() => setOpen(false)} />`}`;
}

function Chosen({ name, value, onDrop }) {
  const shown = valueName(name, value);
  return html`<span class="chip usage-chip">
    <span>${t(`usage.by.${name}`)}: <b>${shown}</b></span>
    <button type="button" aria-label=${t("common.remove", { name: shown })} onClick=${onDrop}><${Icon} name="close" size=${14} /></button>
  </span>`;
}

function FilterDialog({ source, filters, span, onClose }) {
  const names = dimensions(source.site);
  const [by, setBy] = useState(names.find((name) => !filters[name]) ?? names[0]);
  const [text, setText] = useState("");
  // All values of a dimension are offered, not only the one that is chosen now.
  const { [by]: _now, ...others } = filters;
  const values = useLoad((signal) => api.get(`${source.base}/breakdown`, { ...others, ...span, by, top: VALUES_MAX }, { signal }), [by]);
  const choose = (row) => {
    filterBy(by, row);
    onClose();
  };
  const wanted = text.trim().toLowerCase();
  const fits = (row) => row.value !== null && `${valueName(by, row.value)} ${row.account ?? ""}`.toLowerCase().includes(wanted);
  return html`<${Dialog} title=${t("usage.filter_title")} onClose=${onClose}>
    <div class="usage-scroll"><${Segments} label=${t("usage.break_down")} options=${names.map((value) => ({ value, label: t(`usage.by.${value}`) }))} value=${by} onChange=${setBy} /></div>
    <${Search} label=${t("usage.find_value")} value=${text} onInput=${setText} />
    <${Loaded} of=${values}>${({ rows }) => html`<${Values} by=${by} rows=${rows.filter(fits)} onChoose=${choose} />`}</${Loaded}>
  </${Dialog}>`;
}

function Values({ by, rows, onChoose }) {
  if (!rows.length) return html`<${Empty} icon="search" title=${t("usage.no_value")} />`;
  return html`<ul class="usage-values">
    ${rows.slice(0, SHOWN_MAX).map(
      (row) => html`<li key=${`${row.account}/${row.value}`}>
        <button type="button" class="menu-item" onClick=${() => onChoose(row)}>
          <span class="menu-label grow">${valueName(by, row.value)}${row.account && html`<small>${row.account}</small>`}</span>
          <span class="quiet number">${compact(row.totals.attempts)} · ${money(row.totals.charge_nano)}</span>
        </button>
      </li>`,
    )}
  </ul>`;
}
