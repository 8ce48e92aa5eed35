/**
 * Who has changed what: the table of the site's audit log and of an account's.
 */
import { api } from "../core/api.js";
import { date } from "../core/format.js";
import { html, useState } from "../core/html.js";
import { usePages } from "../core/load.js";
import { t } from "../core/words.js";
import { Badge } from "./badge.js";
import { Dialog } from "./dialog.js";
import { Empty } from "./notice.js";
import { Card, Definitions } from "./page.js";
import { Table } from "./table.js";
import { Time } from "./time.js";

const toneOf = (status) => (status === null ? "warn" : status < 400 ? "good" : "bad");

/** @param {{path: string, query?: object, noAccount?: boolean}} props path: of the operation that lists entries */
export function AuditTable({ path, query = {}, noAccount }) {
  const [shown, setShown] = useState(null);
  const read = async (before, signal) => {
    const page = await api.get(path, { ...query, before }, { signal });
    return { rows: page.entries, next: page.next };
  };
  const entries = usePages(read, [path, JSON.stringify(query)]);
  return html`<${Card} flush>
      <${Table}
        label=${t("audit.title")}
        columns=${columns(noAccount)}
        rows=${entries.rows}
        rowKey=${(entry) => entry.id}
        actions=${(entry) => [{ label: t("audit.show"), icon: "eye", run: () => setShown(entry) }]}
        error=${entries.error}
        retry=${entries.reload}
        more=${entries.more}
        empty=${html`<${Empty} icon="shield" title=${t("audit.none")}>${t("audit.none_text")}</${Empty}>`}
      />
    </${Card}>
    ${shown && html`<${Entry} entry=${shown} onClose=${() => setShown(null)} />`}`;
}

const columns = (noAccount) =>
  [
    { key: "at", label: t("common.time"), cell: (entry) => html`<${Time} at=${entry.at} />` },
    { key: "actor", label: t("audit.actor"), cell: (entry) => entry.actor },
    { key: "operation", label: t("audit.operation"), narrow: "title", cell: (entry) => html`<code>${entry.operation}</code>` },
    !noAccount && { key: "account", label: t("nav.account"), cell: (entry) => entry.account },
    { key: "subject", label: t("audit.subject"), cell: (entry) => html`<span class="cell-note">${subjectOf(entry)}</span>` },
    { key: "status", label: t("audit.outcome"), cell: (entry) => html`<${Badge} tone=${toneOf(entry.status)}>${outcomeOf(entry)}</${Badge}>` },
  ].filter(Boolean);

const subjectOf = (entry) => safelyDecoded(entry.subject.replace(/^\/admin\/v1/, ""));

function safelyDecoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function outcomeOf({ status }) {
  if (status === null) return t("audit.unknown");
  return status < 400 ? t("audit.done") : t("audit.refused", { status: String(status) });
}

function Entry({ entry, onClose }) {
  const items = [
    [t("common.time"), date(entry.at, "full")],
    [t("audit.actor"), entry.actor],
    [t("audit.address"), html`<code>${entry.address}</code>`],
    [t("audit.operation"), html`<code>${entry.operation}</code>`],
    [t("audit.subject"), subjectOf(entry)],
    [t("audit.outcome"), outcomeOf(entry)],
  ];
  const rows = changes(entry.before, entry.after);
  return html`<${Dialog} title=${t("audit.entry")} onClose=${onClose} wide>
    <${Definitions} items=${items} />
    <${Table}
      label=${t("audit.changes")}
      columns=${[
        { key: "place", label: t("audit.place"), narrow: "title", cell: (row) => html`<code>${row.place}</code>` },
        { key: "before", label: t("audit.before"), cell: (row) => html`<${Value} value=${row.before} />` },
        { key: "after", label: t("audit.after"), cell: (row) => html`<${Value} value=${row.after} />` },
      ]}
      rows=${rows}
      rowKey=${(row) => row.place}
      empty=${html`<p class="quiet">${t("audit.no_changes")}</p>`}
    />
  </${Dialog}>`;
}

const Value = ({ value }) => (value === undefined ? html`<span class="quiet">–</span>` : html`<code>${value}</code>`);

/**
 * What differs between two documents, member by member.
 * @param {unknown} before @param {unknown} after
 * @returns {{place: string, before: string|undefined, after: string|undefined}[]}
 */
export function changes(before, after) {
  const one = flat(before);
  const other = flat(after);
  return [...new Set([...one.keys(), ...other.keys()])]
    .filter((place) => one.get(place) !== other.get(place))
    .map((place) => ({ place, before: one.get(place), after: other.get(place) }));
}

function flat(document, place = "", found = new Map()) {
  if (document !== null && typeof document === "object" && Object.keys(document).length) {
    for (const [name, value] of Object.entries(document)) {
      flat(value, Array.isArray(document) ? `${place}[${name}]` : place ? `${place}.${name}` : name, found);
    }
  } else if (place) {
    found.set(place, typeof document === "string" ? document : JSON.stringify(document, (_key, value) => (typeof value === "bigint" ? String(value) : value)));
  }
  return found;
}
