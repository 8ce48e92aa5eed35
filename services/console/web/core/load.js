/**
 * What a page reads from the API, while it comes, when it fails, and again.
 */
import { useCallback, useEffect, useRef, useState } from "./html.js";

/**
 * Reads when the page appears and whenever `deps` change; an answer that is overtaken is dropped.
 * @template T
 * @param {(signal: AbortSignal) => Promise<T>} read
 * @param {unknown[]} deps
 * @returns {{data: T|undefined, error: Error|null, loading: boolean, reload: () => Promise<void>, setData: (data: T) => void}}
 *   data stays while it is read anew, unless deps changed
 */
export function useLoad(read, deps) {
  const [state, setState] = useState({ data: undefined, error: null, loading: true });
  const latest = useRef({ read, running: null });
  latest.current.read = read;
  const reload = useCallback(async () => {
    latest.current.running?.abort();
    const running = (latest.current.running = new AbortController());
    setState((before) => ({ ...before, loading: true }));
    try {
      const data = await latest.current.read(running.signal);
      if (!running.signal.aborted) setState({ data, error: null, loading: false });
    } catch (error) {
      if (!running.signal.aborted) setState((before) => ({ ...before, error, loading: false }));
    }
  }, []);
  useEffect(() => {
    setState({ data: undefined, error: null, loading: true });
    reload();
    return () => latest.current.running?.abort();
  }, deps);
  return { ...state, reload, setData: (data) => setState((before) => ({ ...before, data })) };
}

/**
 * Rows that come page by page: each answer says where the next one begins.
 * @template R
 * @param {(cursor: string|null, signal: AbortSignal) => Promise<{rows: R[], next: string|null}>} read
 * @param {unknown[]} deps
 * @returns {{rows: R[]|undefined, error: Error|null, loading: boolean, more: {has: boolean, loading: boolean, load: () => void}, reload: () => Promise<void>}}
 */
export function usePages(read, deps) {
  const first = useLoad((signal) => read(null, signal), deps);
  const [rest, setRest] = useState({ of: null, rows: [], next: null, loading: false, error: null });
  const mine = rest.of === first.data ? rest : { of: first.data, rows: [], next: first.data?.next ?? null, loading: false, error: null };
  const load = async () => {
    setRest({ ...mine, loading: true, error: null });
    try {
      const page = await read(mine.next, new AbortController().signal);
      setRest({ of: first.data, rows: [...mine.rows, ...page.rows], next: page.next ?? null, loading: false, error: null });
    } catch (error) {
      setRest({ ...mine, loading: false, error });
    }
  };
  return {
    rows: first.data && [...first.data.rows, ...mine.rows],
    error: first.error ?? mine.error,
    loading: first.loading,
    reload: first.reload,
    more: { has: mine.next !== null && mine.next !== undefined, loading: mine.loading, load },
  };
}
