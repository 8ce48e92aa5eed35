/**
 * Where one is signed in, and ending that.
 */
import { api, at } from "../../../core/api.js";
import { html } from "../../../core/html.js";
import { useLoad } from "../../../core/load.js";
import { t } from "../../../core/words.js";
import { Badge } from "../../../parts/badge.js";
import { Button } from "../../../parts/button.js";
import { Card } from "../../../parts/page.js";
import { Table } from "../../../parts/table.js";
import { Time } from "../../../parts/time.js";
import { toast } from "../../../parts/toast.js";

const BROWSERS = [
  [/Edg\//, "Edge"],
  [/Firefox\//, "Firefox"],
  [/Chrome\//, "Chrome"],
  [/Safari\//, "Safari"],
];
const SYSTEMS = [
  [/Android/, "Android"],
  [/iPhone|iPad/, "iOS"],
  [/Windows/, "Windows"],
  [/Mac OS/, "macOS"],
  [/Linux/, "Linux"],
];

/** A browser's long name of itself in two words. */
function agentOf(text) {
  const of = (names) => names.find(([pattern]) => pattern.test(text))?.[1];
  return [of(BROWSERS), of(SYSTEMS)].filter(Boolean).join(", ") || text.slice(0, 60) || "–";
}

export function Sessions() {
  const sessions = useLoad((signal) => api.get("me/sessions", {}, { signal }), []);
  const end = async (session) => {
    await api.delete(at`me/sessions/${session.id}`);
    toast(t("me.session_ended"));
    sessions.reload();
  };
  const endOthers = async () => {
    const { ended } = await api.post("me/sessions/end-others");
    toast(t("me.sessions_ended", { count: ended }));
    sessions.reload();
  };
  const others = sessions.data?.length > 1 && html`<${Button} onClick=${endOthers}>${t("me.end_others")}</${Button}>`;
  return html`<${Card} title=${t("me.sessions")} text=${t("me.sessions_text")} actions=${others} flush>
    <${Table}
      label=${t("me.sessions")}
      columns=${[
        {
          key: "agent",
          label: t("me.browser"),
          narrow: "title",
          cell: (row) => html`<span class="cell-title" title=${row.agent}>${agentOf(row.agent)}</span>
            ${row.current && html` <${Badge} tone="good">${t("me.this_one")}</${Badge}>`}`,
        },
        { key: "address", label: t("me.address"), cell: (row) => html`<code>${row.address}</code>` },
        { key: "created", label: t("me.since"), cell: (row) => html`<${Time} at=${row.created_at} />` },
        { key: "seen", label: t("me.seen"), cell: (row) => html`<${Time} at=${row.seen_at} />` },
      ]}
      rows=${sessions.data}
      rowKey=${(row) => row.id}
      actions=${(row) => (row.current ? [] : [{ label: t("me.end_session"), icon: "stop", danger: true, run: () => end(row) }])}
      error=${sessions.error}
      retry=${sessions.reload}
    />
  </${Card}>`;
}
