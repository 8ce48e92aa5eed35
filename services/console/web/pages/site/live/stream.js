/**
 * What the live board is made of: the last two minutes, and a picture each second. Nothing is asked for in the background.
 */
import { api } from "../../../core/api.js";
import { useEffect, useState } from "../../../core/html.js";
import { listen } from "../../../core/streams.js";

/** Seconds of the charts; as many as the console keeps. */
export const SPAN_S = 120;

/**
 * The live picture, for as long as a component is there and its window is looked at.
 * @returns {{points: object[], now: object|null, line: "open"|"waiting"}} points: of the last `SPAN_S` seconds, oldest
 *   first; now: the last picture; line: whether it goes on
 */
export function useLive() {
  const [live, setLive] = useState({ points: [], now: null, line: "waiting" });
  useEffect(() => {
    let close = null;
    const handlers = {
      // The console sends it anew whenever the line is: what was missed is in it.
      history: ({ points }) => setLive((before) => ({ ...before, points })),
      now: (now) => setLive((before) => ({ ...before, now, points: [...before.points, now.point].slice(-SPAN_S) })),
    };
    const onLine = (line) => {
      setLive((before) => ({ ...before, line }));
      // An event source does not say why it is refused. Asked in the usual way, a session that is over leads to the sign-in.
      if (line === "waiting") api.get("live/now").catch(() => {});
    };
    const look = () => {
      if (document.hidden) {
        close?.();
        close = null;
      } else {
        close ??= listen("live", handlers, onLine);
      }
    };
    look();
    document.addEventListener("visibilitychange", look);
    return () => {
      document.removeEventListener("visibilitychange", look);
      close?.();
    };
  }, []);
  return live;
}
