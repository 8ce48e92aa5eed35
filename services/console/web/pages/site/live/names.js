/**
 * Words for what health and the gateway's processes name: a newer one may know a name that this page does not.
 */
import { known, t } from "../../../core/words.js";

/** A type of error. @param {string} type */
export const errorName = (type) => (known(`live.error.${type}`) ? t(`live.error.${type}`) : type);

/** Why health made of a channel what it did. @param {string} reason health's own words */
export function reasonText(reason) {
  const key = `live.reason.${reason.replaceAll(" ", "_")}`;
  return known(key) ? t(key) : reason;
}
