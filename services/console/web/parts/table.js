/**
 * Tables: columns are data. On a phone each row becomes a small card, with the column's name before each value.
 */
import { cx, html, useState } from "../core/html.js";
import { t } from "../core/words.js";
import { Button } from "./button.js";
import { Icon } from "./icon.js";
import { Menu } from "./menu.js";
import { ErrorNotice } from "./notice.js";

const SKELETON_ROWS = 5;

/**
 * @typedef {object} Column
 * @property {string} key
 * @property {string} label
 * @property {(row: any) => unknown} [cell] what is shown; `row[key]` if left out
 * @property {(row: any) => string|number|bigint|null} [sort] what it is sorted by; without it there is no sorting
 * @property {"end"} [align] for numbers
 * @property {"title"|"hide"} [narrow] on a phone: the card's heading, or left out
 */

/**
 * @param {{label: string, columns: Column[], rows: any[]|undefined, rowKey: (row: any) => string|number,
 *   actions?: (row: any) => object[], error?: Error|null, retry?: () => void, empty?: unknown, loading?: boolean,
 *   more?: {has: boolean, loading: boolean, load: () => void}, order?: {key: string, down: boolean},
 *   onOrder?: (order: {key: string, down: boolean}) => void, rowClass?: (row: any) => string, foot?: unknown}} props
 *   label: what the table lists, for screen readers; rows: undefined while they load; actions: items of a row's menu (see
 *   parts/menu.js); more: of `usePages`; order: what it is sorted by at first; onOrder: the server sorts; foot: below the last row
 */
export function Table({ label, columns, rows, rowKey, actions, error, retry, empty, loading, more, order, onOrder, rowClass, foot }) {
  const [own, setOwn] = useState(order ?? null);
  const sorted = onOrder ? order : own;
  const setOrder = onOrder ?? setOwn;
  if (error && !rows) return html`<${ErrorNotice} error=${error} retry=${retry} />`;
  if (rows && rows.length === 0 && empty && !loading) return empty;
  const shown = rows && !onOrder ? inOrder(rows, columns, own) : rows;
  return html`<div class="table-frame">
    ${error && html`<${ErrorNotice} error=${error} retry=${retry} />`}
    <table class="table" aria-label=${label} aria-busy=${loading || !rows ? "true" : undefined}>
      <thead>
        <tr>
          ${columns.map((column) => html`<${Head} key=${column.key} column=${column} order=${sorted} setOrder=${setOrder} />`)}
          ${actions && html`<th scope="col" class="table-actions"><span class="off-screen">${t("common.actions")}</span></th>`}
        </tr>
      </thead>
      <tbody>
        ${!shown && Array.from({ length: SKELETON_ROWS }, (_, at) => html`<tr key=${at} class="table-skeleton"><td colspan=${columns.length + (actions ? 1 : 0)}><span></span></td></tr>`)}
        ${shown?.map(
          (row) => html`<tr key=${rowKey(row)} class=${rowClass?.(row)}>
            ${columns.map((column) => html`<${Cell} key=${column.key} column=${column} row=${row} />`)}
            ${actions && html`<td class="table-actions"><${Actions} items=${actions(row)} /></td>`}
          </tr>`,
        )}
      </tbody>
      ${foot && html`<tfoot>${foot}</tfoot>`}
    </table>
    ${more?.has && html`<div class="table-more"><${Button} busy=${more.loading} onClick=${more.load}>${t("common.more")}</${Button}></div>`}
  </div>`;
}

/** Where nothing can be done with a row, there is no menu. */
function Actions({ items }) {
  return items.some(Boolean) && html`<${Menu} label=${t("common.actions")} items=${items} />`;
}

function Head({ column, order, setOrder }) {
  const { key, label, sort, align } = column;
  const mine = order?.key === key;
  const props = { scope: "col", class: cx(align, `column-${key}`) };
  if (!sort) return html`<th ...${props}>${label}</th>`;
  return html`<th ...${props} aria-sort=${mine ? (order.down ? "descending" : "ascending") : undefined}>
    <button type="button" class=${cx("table-sort", mine && (order.down ? "down" : "up"))} onClick=${() => setOrder({ key, down: mine ? !order.down : align === "end" })}>
      ${label}<${Icon} name=${mine ? "chevron" : "sort"} size=${14} />
    </button>
  </th>`;
}

function Cell({ column, row }) {
  const { key, label, cell, align, narrow } = column;
  const inside = cell ? cell(row) : row[key];
  return html`<td class=${cx(align, narrow && `narrow-${narrow}`, `column-${key}`)} data-label=${narrow === "title" ? undefined : label}>
    <div class="cell">${inside === null || inside === undefined || inside === "" ? html`<span class="quiet">–</span>` : inside}</div>
  </td>`;
}

function inOrder(rows, columns, order) {
  const sort = order && columns.find((column) => column.key === order.key)?.sort;
  if (!sort) return rows;
  const way = order.down ? -1 : 1;
  return [...rows].sort((one, other) => way * compare(sort(one), sort(other)));
}

/** Nothing comes before everything. */
function compare(one, other) {
  if (one === null || one === undefined || other === null || other === undefined) return Number(one != null) - Number(other != null);
  if (typeof one === "string") return one.localeCompare(other, undefined, { numeric: true });
  return one < other ? -1 : one > other ? 1 : 0;
}
