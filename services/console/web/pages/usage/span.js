/**
 * Spans of time: the last day, whole days up to now, or from one day to another; kept in the address.
 */
import { html, useMemo } from "../../core/html.js";
import { setQuery, useLocation } from "../../core/router.js";
import { t } from "../../core/words.js";
import { Segments } from "../../parts/tabs.js";

const HOUR_MS = 3_600_000;
const DAYS = { "7d": 7, "30d": 30, "90d": 90 };
const DAY = /^\d{4}-\d{2}-\d{2}$/;

export const SPANS = ["24h", "7d", "30d", "90d"];
export const SPAN_DEFAULT = "7d";
const CHOSEN = "days";

/** The calendar date of a moment in a time zone, as `2030-01-31`. */
export function dateIn(ms, timeZone) {
  const parts = new Intl.DateTimeFormat("en-CA", { timeZone, year: "numeric", month: "2-digit", day: "2-digit" });
  return parts.format(new Date(ms));
}

/** The moment at which a calendar date begins in a time zone. */
function beginning(date, timeZone) {
  const wanted = Date.parse(`${date}T00:00:00Z`);
  // Twice: the zone's distance from UTC is asked for near the moment that it is needed at.
  let found = wanted;
  for (let turn = 0; turn < 2; turn += 1) found = wanted - (wall(found, timeZone) - found);
  return found;
}

function wall(ms, timeZone) {
  const form = { timeZone, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric" };
  const of = Object.fromEntries(new Intl.DateTimeFormat("en-US", form).formatToParts(new Date(ms)).map(({ type, value }) => [type, Number(value)]));
  return Date.UTC(of.year, of.month - 1, of.day, of.hour, of.minute);
}

function later(date, days) {
  return new Date(Date.parse(`${date}T00:00:00Z`) + days * 24 * HOUR_MS).toISOString().slice(0, 10);
}

/**
 * A span as the API takes it: from the beginning of a day, so that no point of a chart is half a day.
 * @param {{span: string, from?: string|null, to?: string|null}} chosen from, to: days, both are in it
 * @param {string} timeZone IANA
 * @param {number} [now] milliseconds
 * @returns {{since: string, until: string}}
 */
export function bounds({ span, from, to }, timeZone, now = Date.now()) {
  const hour = Math.ceil(now / HOUR_MS) * HOUR_MS;
  const iso = (since, until) => ({ since: new Date(since).toISOString(), until: new Date(until).toISOString() });
  if (span === "24h") return iso(hour - 24 * HOUR_MS, hour);
  if (span !== CHOSEN || !DAY.test(from ?? "") || !DAY.test(to ?? "")) {
    const days = DAYS[span] ?? DAYS[SPAN_DEFAULT];
    return iso(beginning(later(dateIn(now, timeZone), 1 - days), timeZone), hour);
  }
  const [first, last] = from <= to ? [from, to] : [to, from];
  const since = beginning(first, timeZone);
  return iso(since, Math.max(since + HOUR_MS, Math.min(hour, beginning(later(last, 1), timeZone))));
}

/** What the address says of the span. */
export function useSpan() {
  const { query } = useLocation();
  const from = query.get("from");
  const to = query.get("to");
  const span = from && to ? CHOSEN : (query.get("span") ?? SPAN_DEFAULT);
  return useMemo(() => ({ span, from, to }), [span, from, to]);
}

/**
 * @param {{chosen: ReturnType<typeof useSpan>, timeZone: string, days?: boolean}} props days: single days may be chosen, too
 */
export function SpanChooser({ chosen, timeZone, days }) {
  const choose = (span) => {
    if (span !== CHOSEN) return setQuery({ span: span === SPAN_DEFAULT ? null : span, from: null, to: null });
    const now = bounds(chosen, timeZone);
    return setQuery({ from: dateIn(Date.parse(now.since), timeZone), to: dateIn(Date.parse(now.until) - 1, timeZone) });
  };
  const options = [...SPANS, ...(days ? [CHOSEN] : [])].map((value) => ({ value, label: t(`usage.span.${value}`) }));
  const today = dateIn(Date.now(), timeZone);
  const day = (name) => html`<input class="input" type="date" required max=${today} aria-label=${t(`usage.${name}`)} value=${chosen[name]} onChange=${(event) => event.target.value && setQuery({ [name]: event.target.value })} />`;
  return html`<${Segments} label=${t("usage.span")} options=${options} value=${chosen.span} onChange=${choose} />
    ${chosen.span === CHOSEN && html`<span class="usage-days">${day("from")}<span class="quiet">–</span>${day("to")}</span>`}`;
}
