/**
 * The API's faults below a field that holds more than one value: each with the place inside of it.
 */

/**
 * @param {object} form of parts/form.js
 * @param {string} name of the field
 * @returns {{place: string, text: string}[]} place: inside the field, `clamp.top_p` or `[2].secret`; empty for all of it
 */
export function faultsUnder(form, name) {
  return (form.error?.faults ?? []).flatMap((fault) => {
    const end = fault.indexOf(": ");
    const place = fault.slice(0, end);
    if (end < 0 || !(place === name || place.startsWith(`${name}.`) || place.startsWith(`${name}[`))) return [];
    return [{ place: place.slice(name.length).replace(/^\./, ""), text: sentence(fault.slice(end + 2)) }];
  });
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** Whether a fault's place is that of a member, or inside it. */
export const within = (place, member) => place === member || place.startsWith(`${member}.`) || place.startsWith(`${member}[`);
