/**
 * Preact and htm, from one place: every other file takes them from here.
 */
import { useEffect, useRef, useState } from "../vendor/preact-htm.js";

export {
  Component,
  createContext,
  h,
  html,
  render,
  useCallback,
  useContext,
  useEffect,
  useErrorBoundary,
  useLayoutEffect,
  useMemo,
  useReducer,
  useRef,
  useState,
} from "../vendor/preact-htm.js";

let ids = 0;

/**
 * An id for labels and descriptions, the same for as long as the component is there.
 * @param {string} [prefix]
 * @returns {string}
 */
export function useId(prefix = "id") {
  const [id] = useState(() => `${prefix}-${(ids += 1)}`);
  return id;
}

/**
 * Class names, without those that are false.
 * @param {...(string|false|null|undefined)} names
 * @returns {string}
 */
export function cx(...names) {
  return names.filter(Boolean).join(" ");
}

/**
 * Calls `work` every `seconds` while the page is in front; what runs in the background asks nothing.
 * @param {() => void} work
 * @param {number} seconds
 */
export function useInterval(work, seconds) {
  const latest = useRef(work);
  latest.current = work;
  useEffect(() => {
    const timer = setInterval(() => document.hidden || latest.current(), seconds * 1000);
    return () => clearInterval(timer);
  }, [seconds]);
}

/**
 * A value that components can wait for: the language, the session, the theme.
 * @template T
 * @param {T} value
 */
export function createStore(value) {
  const listeners = new Set();
  return {
    get: () => value,
    set(next) {
      value = next;
      for (const listener of [...listeners]) listener(next);
    },
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    /** The value in a component, which is drawn anew when it changes. */
    use() {
      const [, redraw] = useState({});
      const drawn = value;
      useEffect(() => {
        listeners.add(changed);
        // It may have changed between the first drawing and now.
        if (drawn !== value) changed();
        return () => listeners.delete(changed);
        function changed() {
          redraw({});
        }
      }, []);
      return value;
    },
  };
}
