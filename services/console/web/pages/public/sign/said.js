/**
 * What a sign-in says when it is refused, in the reader's language: the API has these sentences in English alone.
 */
import { ApiError } from "../../../core/api.js";
import { t } from "../../../core/words.js";

/**
 * Runs `work`; an error of it with one of some statuses is thrown with other words.
 * @param {Record<number, string>} keys of words, by status
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 * @template T
 */
export async function said(keys, work) {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ApiError) || !(error.status in keys)) throw error;
    throw new ApiError(error.status, "said", t(keys[error.status]), error.faults);
  }
}
