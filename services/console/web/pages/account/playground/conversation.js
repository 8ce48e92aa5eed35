/**
 * The conversation of an account, in this tab alone: it survives a look at other pages and a reload, and ends with the tab.
 *
 * With two models there are two sides, each with its own answers; what the user says is in both.
 */
import { createStore } from "../../../core/html.js";
import { bodyOf } from "./request.js";
import { forgetOthers, isOf, keep, keyOf, restored } from "./storage.js";
import { EMPTY, chat, withChunk } from "./stream.js";

const SAVE_MS = 400;
const HIDDEN_DRAW_MS = 500;

export const SIDES_MAX = 2;

/** Settings as they are at first: nothing is sent that is not set. */
export const DEFAULTS = { system: "", parameters: {}, tools: "", toolChoice: "auto", format: "text", schema: "" };

const conversations = new Map();
let made = 0;

const newId = () => `${Date.now().toString(36)}-${(made += 1)}`;
const EMPTY_SIDE = () => ({ id: newId(), model: "", turns: [] });

/**
 * The conversation of a login in an account, the same for as long as the tab is there.
 * @param {string} login
 * @param {string} account
 */
export function conversationOf(login, account) {
  const key = keyOf(login, account);
  if (!conversations.has(key)) {
    for (const [other, conversation] of conversations) if (!isOf(login, other)) conversation.end();
    forgetOthers(login);
    conversations.set(key, new Conversation(key, account));
  }
  return conversations.get(key);
}

// An answer under way is kept as far as it has come.
addEventListener("pagehide", () => conversations.forEach((conversation, key) => keep(key, conversation.get())));

class Conversation {
  constructor(key, account) {
    this.key = key;
    this.account = account;
    this.models = new Map();
    this.running = new Map();
    this.saving = null;
    this.draft = "";
    this.store = createStore(restored(key, DEFAULTS) ?? { settings: DEFAULTS, sides: [EMPTY_SIDE()] });
  }

  /** In a component: `{settings, sides}`. */
  use() {
    return this.store.use();
  }

  get() {
    return this.store.get();
  }

  set(state) {
    this.store.set(state);
    clearTimeout(this.saving);
    // One that is over would be kept for whoever has signed in since.
    if (conversations.get(this.key) === this) this.saving = setTimeout(() => keep(this.key, this.get()), SAVE_MS);
  }

  /** Somebody else has signed in. */
  end() {
    conversations.delete(this.key);
    clearTimeout(this.saving);
    this.stop();
  }

  /** @param {object} changes of settings */
  setSettings(changes) {
    const state = this.get();
    this.set({ ...state, settings: { ...state.settings, ...changes } });
  }

  changeSide(id, change) {
    const state = this.get();
    this.set({ ...state, sides: state.sides.map((side) => (side.id === id ? { ...side, ...change(side) } : side)) });
  }

  changeTurn(id, turnId, changes) {
    this.changeSide(id, (side) => ({ turns: side.turns.map((turn) => (turn.id === turnId ? { ...turn, ...changes } : turn)) }));
  }

  setModel(id, model) {
    this.changeSide(id, () => ({ model }));
  }

  /** A second side, with what was said so far. */
  compare(model) {
    const state = this.get();
    if (state.sides.length >= SIDES_MAX) return;
    this.set({ ...state, sides: [...state.sides, { id: newId(), model, turns: state.sides[0].turns.filter((turn) => !this.running.has(turn.id)) }] });
  }

  endSide(id) {
    const state = this.get();
    this.stopSide(id);
    this.set({ ...state, sides: state.sides.filter((side) => side.id !== id) });
  }

  clear() {
    this.stop();
    const state = this.get();
    this.set({ ...state, sides: state.sides.map((side) => ({ ...side, turns: [] })) });
  }

  // --- turns ---------------------------------------------------------------------------------------------------

  /** Says something to every side, and lets them answer. */
  say(text, images) {
    const turn = { id: newId(), role: "user", text, images };
    for (const { id } of this.get().sides) this.extend(id, [turn]);
  }

  /** Adds turns to a side, and lets it answer. */
  extend(id, turns) {
    this.changeSide(id, (side) => ({ turns: [...side.turns, ...turns] }));
    this.answer(id);
  }

  /** Lets a side answer once more: a user's turn is answered anew by all that have it, an answer is replaced. */
  rerun(id, turnId, text) {
    const turn = this.find(id, turnId);
    const sides = turn.role === "user" ? this.get().sides.filter((side) => side.turns.some((each) => each.id === turnId)) : [{ id }];
    for (const side of sides) {
      this.stopSide(side.id);
      this.changeSide(side.id, ({ turns }) => {
        const place = turns.findIndex((each) => each.id === turnId);
        const kept = turns.slice(0, place);
        return { turns: turn.role === "user" ? [...kept, { ...turns[place], text: text ?? turns[place].text }] : kept };
      });
      this.answer(side.id);
    }
  }

  /** Another text for a turn, without an answer to it. */
  rewrite(id, turnId, text) {
    this.everywhere(id, turnId, (side) => this.changeTurn(side, turnId, { text }));
  }

  remove(id, turnId) {
    this.everywhere(id, turnId, (side) => {
      const turn = this.find(side, turnId);
      this.running.get(turnId)?.abort();
      const calls = new Set((turn.calls ?? []).map((call) => call.id));
      // A result without its call is refused by every model.
      this.changeSide(side, ({ turns }) => ({ turns: turns.filter((each) => each.id !== turnId && !calls.has(each.callId)) }));
    });
  }

  everywhere(id, turnId, work) {
    const shared = this.find(id, turnId).role === "user";
    for (const side of this.get().sides) if (side.id === id || (shared && side.turns.some((each) => each.id === turnId))) work(side.id);
  }

  find(id, turnId) {
    return this.get().sides.find((side) => side.id === id).turns.find((turn) => turn.id === turnId);
  }

  /** Results of the calls of a side's last answer, by the call's id. */
  giveResults(id, turn, results) {
    this.extend(
      id,
      turn.calls.map((call) => ({ id: newId(), role: "tool", callId: call.id, name: call.name, text: results[call.id] ?? "" })),
    );
  }

  // --- answers -------------------------------------------------------------------------------------------------

  /** Ends all answers under way; what has come of them stays. */
  stop() {
    for (const running of this.running.values()) running.abort();
  }

  stopSide(id) {
    for (const turn of this.get().sides.find((side) => side.id === id)?.turns ?? []) this.running.get(turn.id)?.abort();
  }

  async answer(id) {
    const state = this.get();
    const side = state.sides.find((each) => each.id === id);
    const turn = { id: newId(), role: "assistant", model: side.model, state: "waiting", error: null, ...EMPTY };
    const body = bodyOf(state.settings, side.turns, side.model, this.models.get(side.model));
    const stopper = new AbortController();
    this.running.set(turn.id, stopper);
    this.changeSide(id, ({ turns }) => ({ turns: [...turns, turn] }));
    const draw = drawing((changes) => this.changeTurn(id, turn.id, changes));
    const end = await this.receive(body, stopper.signal, draw);
    this.running.delete(turn.id);
    draw.end(end);
  }

  async receive(body, signal, draw) {
    const began = performance.now();
    let answer = EMPTY;
    let first = null;
    let head = {};
    const times = () => ({ firstMs: first, totalMs: performance.now() - began });
    try {
      for await (const piece of chat(this.account, body, signal)) {
        if (piece.head) head = piece.head;
        else answer = withChunk(answer, piece.chunk);
        if (first === null && (answer.text || answer.reasoning || answer.calls.length)) first = performance.now() - began;
        draw({ ...head, ...answer, firstMs: first, state: "streaming" });
      }
      return { ...head, ...answer, ...times(), state: "done" };
    } catch (error) {
      if (signal.aborted) return { ...head, ...answer, ...times(), state: "stopped" };
      const { status, type, message, faults, requestId } = error;
      if (status === undefined) console.error(error);
      return { ...(requestId && { requestId }), ...head, ...answer, ...times(), state: "failed", error: { status: status ?? 0, type: type ?? "", message, faults: faults ?? [] } };
    }
  }
}

/** However fast an answer comes, it is drawn once a frame. */
function drawing(change) {
  let next = null;
  let ended = false;
  const flush = () => {
    if (next && !ended) change(next);
    next = null;
  };
  const draw = (changes) => {
    // No frames are drawn of a page that nobody sees.
    if (!next && document.hidden) setTimeout(flush, HIDDEN_DRAW_MS);
    else if (!next) requestAnimationFrame(flush);
    next = changes;
  };
  draw.end = (changes) => {
    ended = true;
    change(changes);
  };
  return draw;
}
