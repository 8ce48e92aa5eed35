/**
 * One channel: how it does, what it serves, with which credentials, and everything that can be said of it.
 */
import { api, at } from "../../core/api.js";
import { html, useState } from "../../core/html.js";
import { useLoad } from "../../core/load.js";
import { navigate, useQuery } from "../../core/router.js";
import { loadStyle } from "../../core/styles.js";
import { t } from "../../core/words.js";
import { Button } from "../../parts/button.js";
import { Icon } from "../../parts/icon.js";
import { Menu } from "../../parts/menu.js";
import { Loaded, Notice } from "../../parts/notice.js";
import { PageHeader } from "../../parts/page.js";
import { Tabs } from "../../parts/tabs.js";
import { toast } from "../../parts/toast.js";
import { Credentials } from "./channel/credentials.js";
import { EntryEditor } from "./channel/entry-editor.js";
import { ChannelModels } from "./channel/models.js";
import { Overview } from "./channel/overview.js";
import { Rules } from "./channel/rules.js";
import { Settings } from "./channel/settings.js";
import { actionsOf } from "./channels/actions.js";
import { noteOf, State, stateOf, useLive } from "./channels/state.js";
import { TestDialog } from "./channels/test.js";

await loadStyle("styles/supply.css");

const TABS = ["overview", "models", "credentials", "settings", "rules", "json"];
const PANELS = { overview: Overview, models: ChannelModels, credentials: Credentials, settings: Settings, rules: Rules, json: EntryEditor };

export default function Channel({ params: { name } }) {
  const channel = useLoad((signal) => api.get(at`channels/${name}`, {}, { signal }), [name]);
  const lives = useLive();
  const live = lives && lives.get(name);
  const [tab, setTab] = useQuery("tab", "overview");
  const [tested, setTested] = useState(null);
  const data = channel.data;
  const done = (sentence) => {
    toast(sentence);
    channel.reload();
  };
  const buttons =
    data &&
    html`<${Button} icon="pulse" onClick=${() => setTested({})}>${t("channels.test")}</${Button}>
      <${Menu} label=${t("common.actions")} kind="plain" items=${actionsOf(data, { done, own: true, gone: () => navigate("/site/channels", { replace: true }) })} button=${html`<span>${t("common.actions")}</span><${Icon} name="chevron" size=${16} />`} />`;
  const Panel = PANELS[tab] ?? Overview;
  return html`
    <${PageHeader} title=${name} text=${data && html`<span class="mono">${data.base_url}</span>`} back=${{ href: "#/site/channels", label: t("nav.channels") }} badge=${data && html`<${State} channel=${data} live=${live} />`} actions=${buttons} />
    <${Loaded} of=${channel} lines=${8}>
      ${(view) => html`
        <${Troubles} channel=${view} live=${live} onTab=${setTab} />
        <${Tabs} label=${t("nav.channel")} tabs=${TABS.map((key) => ({ key, label: labelOf(key, view) }))} value=${PANELS[tab] ? tab : "overview"} onChange=${setTab}>
          <div class="stack"><${Panel} channel=${view} live=${live} test=${setTested} done=${done} reload=${channel.reload} /></div>
        </${Tabs}>
        ${tested && html`<${TestDialog} channel=${view} ...${tested} onClose=${() => setTested(null)} />`}
      `}
    </${Loaded}>
  `;
}

function labelOf(key, channel) {
  const counts = { models: Object.keys(channel.models).length, credentials: channel.credentials.length };
  return key in counts ? html`${t(`channels.tab.${key}`)} <span class="tab-count">${counts[key]}</span>` : t(`channels.tab.${key}`);
}

/** What is wrong with it, and what can be done. */
function Troubles({ channel, live, onTab }) {
  const state = stateOf(channel, live);
  const refused = live?.credentials_refused ?? 0;
  const notes = [
    ["ejected", "probing"].includes(state) && { kind: state === "ejected" ? "error" : "warning", title: t(`channels.trouble.${state}`), text: noteOf(live) },
    state === "drained" && { kind: "info", title: t("channels.trouble.drained"), text: t("channels.trouble.drained_text") },
    state === "disabled" && { kind: "info", title: t("channels.trouble.disabled"), text: t("channels.trouble.disabled_text") },
    refused > 0 && { kind: "warning", title: t("channels.refused_title", { count: refused }), text: html`<button type="button" class="link" onClick=${() => onTab("credentials")}>${t("channels.see_credentials")}</button>` },
  ].filter(Boolean);
  return notes.map((note) => html`<${Notice} key=${note.title} kind=${note.kind} title=${note.title}>${note.text && html`<p>${note.text}</p>`}</${Notice}>`);
}
