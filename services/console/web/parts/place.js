/**
 * Where a list that opens lies: under what opened it, or above where there is no room, and within the window.
 */
const GAP_PX = 4;
const EDGE_PX = 8;

/**
 * @param {HTMLElement} list an open popover
 * @param {HTMLElement} opener
 * @param {"start"|"end"} [align]
 */
export function place(list, opener, align = "start") {
  const around = opener.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = list;
  const left = align === "end" ? around.right - width : around.left;
  const under = around.bottom + GAP_PX;
  const top = under + height > innerHeight - EDGE_PX && around.top > height ? around.top - height - GAP_PX : under;
  list.style.left = `${Math.max(EDGE_PX, Math.min(left, innerWidth - width - EDGE_PX))}px`;
  list.style.top = `${Math.max(EDGE_PX, top)}px`;
}
