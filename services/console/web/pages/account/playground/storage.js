/**
 * What the tab keeps of conversations, so that a reload loses none. Nothing of it leaves the browser.
 */
const PREFIX = "trunkline.playground.";

/** @returns {string} what the conversation of a login in an account is kept under */
export const keyOf = (login, account) => `${PREFIX}${JSON.stringify([login, account])}`;

/** Whether a key is of a login. */
export const isOf = (login, key) => key.startsWith(`${PREFIX}[${JSON.stringify(login)},`);

/** On a shared computer nobody finds what another one has asked. */
export function forgetOthers(login) {
  for (const key of Object.keys(sessionStorage)) {
    if (key.startsWith(PREFIX) && !isOf(login, key)) sessionStorage.removeItem(key);
  }
}

/**
 * @param {string} key
 * @param {object} state of a conversation
 */
export function keep(key, state) {
  try {
    sessionStorage.setItem(key, JSON.stringify(state));
  } catch {
    // More than the browser keeps, with its pictures: then without a copy, as long as the page is there.
    sessionStorage.removeItem(key);
  }
}

/**
 * What a reload has left; an answer that was under way then is a stopped one now.
 * @param {string} key
 * @param {object} defaults of the settings
 * @returns {object|null} null if there is nothing, or nothing that can be read
 */
export function restored(key, defaults) {
  try {
    const state = JSON.parse(sessionStorage.getItem(key));
    if (!state?.sides?.length) return null;
    const ended = (turn) => (["waiting", "streaming"].includes(turn.state) ? { ...turn, state: "stopped" } : turn);
    return { settings: { ...defaults, ...state.settings }, sides: state.sides.map((side) => ({ ...side, turns: side.turns.map(ended) })) };
  } catch {
    return null;
  }
}
