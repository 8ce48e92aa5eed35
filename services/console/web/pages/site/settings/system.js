/**
 * What the console sees of the system, and writing anew what edges and dispatchers hold.
 */
import { api } from "../../../core/api.js";
import { count, duration } from "../../../core/format.js";
import { html } from "../../../core/html.js";
import { useLoad } from "../../../core/load.js";
import { t } from "../../../core/words.js";
import { Badge } from "../../../parts/badge.js";
import { Button } from "../../../parts/button.js";
import { confirm } from "../../../parts/dialog.js";
import { Loaded } from "../../../parts/notice.js";
import { Card } from "../../../parts/page.js";
import { Table } from "../../../parts/table.js";
import { toast } from "../../../parts/toast.js";

export function System() {
  const health = useLoad((signal) => api.get("health", {}, { signal }), []);
  const rebuild = async () => {
    let rebuilt = null;
    const agreed = await confirm({
      title: t("settings.rebuild_title"),
      text: t("settings.rebuild_text"),
      action: t("settings.rebuild"),
      work: async () => (rebuilt = await api.post("projection/rebuild")),
    });
    if (agreed) toast(t("settings.rebuilt", { count: Object.values(rebuilt.written).reduce((sum, each) => sum + each, 0) }));
  };
  const actions = html`<${Button} small icon="refresh" onClick=${rebuild}>${t("settings.rebuild")}</${Button}>
    <${Button} small icon="refresh" busy=${health.loading} onClick=${() => void health.reload()}>${t("settings.look_again")}</${Button}>`;
  return html`<${Card} title=${t("settings.system")} text=${t("settings.system_text")} actions=${actions}>
    <${Loaded} of=${health}>
      ${({ checks, peers }) => html`<ul class="checks">
          ${checks.map((check) => html`<li key=${check.name}><span>${check.name}</span><${Badge} tone=${check.ok ? "good" : "bad"}>${t(check.ok ? "settings.well" : "settings.wrong")}</${Badge}><span class="quiet">${check.message}</span></li>`)}
        </ul>
        <${Table} label=${t("settings.processes")} columns=${columns()} rows=${peers} rowKey=${(peer) => `${peer.role}/${peer.process}`} empty=${html`<p class="quiet">${t("settings.no_processes")}</p>`} />`}
    </${Loaded}>
  </${Card}>`;
}

const columns = () => [
  { key: "role", label: t("settings.role"), narrow: "title", sort: (peer) => peer.role, cell: (peer) => html`<span class="cell-title">${peer.role}</span><code class="cell-note">${peer.process}</code>` },
  { key: "state", label: t("settings.state"), cell: (peer) => html`<${Badge} tone=${peer.draining ? "warn" : "good"}>${t(peer.draining ? "settings.ends" : "settings.works")}</${Badge}>` },
  { key: "in_flight", label: t("settings.in_flight"), align: "end", sort: (peer) => peer.in_flight, cell: (peer) => count(peer.in_flight) },
  { key: "room", label: t("settings.room"), align: "end", sort: (peer) => peer.room, cell: (peer) => count(peer.room) },
  { key: "age", label: t("settings.heard"), align: "end", sort: (peer) => peer.age_ms, cell: (peer) => t("settings.ago", { time: duration(peer.age_ms) }) },
];
