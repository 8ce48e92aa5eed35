/**
 * Channels as the API takes them: what a view says of one, changed and sent back.
 */
import { api, ApiError, at } from "../../../core/api.js";
import { placed, putEntry } from "../../../parts/entry.js";

const FIELDS = [
  "dialect",
  "base_url",
  "models",
  "groups",
  "priority",
  "weight",
  "credential_order",
  "limits",
  "timeouts",
  "stream_usage",
  "params",
  "headers",
  "status_map",
  "probe",
  "overrides",
  "options",
];

/** A channel's entry of a configuration. Secrets, costs and switches are no part of it, and stay as they are. */
export const entryOf = (channel) => Object.fromEntries(FIELDS.map((name) => [name, channel[name]]));

/**
 * Changes a channel as it is now, not as it was when the page was opened.
 * @param {string} name
 * @param {(entry: object) => object} change
 */
export async function changeChannel(name, change) {
  const path = at`channels/${name}`;
  return putEntry("channels", path, change(entryOf(await api.get(path))));
}

/**
 * Makes or changes a channel together with models that have no price yet.
 * @param {string} name
 * @param {object} entry
 * @param {object[]} models entries with their prices
 */
export async function applyChannel(name, entry, models) {
  try {
    return await placed("channels", () => api.post("apply", { channels: [{ ...entry, name }], models }));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const faults = error.faults.map((fault) => fault.replace(/^models\[(\d+)\]/, (_, number) => `models.${models[number].name}`));
    throw new ApiError(error.status, error.type, error.message, faults);
  }
}
