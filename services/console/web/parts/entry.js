/**
 * Entries of a configuration, sent one by one. The API names the place of each fault in the whole of a file; in a form it is
 * the field's.
 */
import { api, ApiError } from "../core/api.js";

/**
 * Runs what sends entries, and gives the faults of the first one of a section the places of a form.
 * @template T
 * @param {string} section such as `channels`
 * @param {() => Promise<T>} work
 * @param {string} [name] of the form's field that holds the whole entry; none if each of its fields has one
 * @returns {Promise<T>}
 */
export async function placed(section, work, name = "") {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const start = `${section}[0]`;
    const faults = error.faults.map((fault) => (fault.startsWith(start) ? moved(fault.slice(start.length), name) : fault));
    throw new ApiError(error.status, error.type, error.message, faults);
  }
}

function moved(rest, name) {
  if (name) return `${name}${rest}`;
  return rest.replace(/^(\.|: )/, "");
}

/**
 * @param {string} section such as `channels`
 * @param {string} path of the entry
 * @param {object} entry without its name
 * @param {string} [name] as of `placed`
 */
export const putEntry = (section, path, entry, name) => placed(section, () => api.put(path, entry), name);
