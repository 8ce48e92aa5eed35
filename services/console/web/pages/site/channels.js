/**
 * All channels of the site: how they do, what they serve, and what can be done with them.
 */
import { api } from "../../core/api.js";
import { html, useState } from "../../core/html.js";
import { useLoad } from "../../core/load.js";
import { navigate, useQuery } from "../../core/router.js";
import { t } from "../../core/words.js";
import { Button } from "../../parts/button.js";
import { Empty } from "../../parts/notice.js";
import { Card, PageHeader, Toolbar } from "../../parts/page.js";
import { Choice, Search } from "../../parts/search.js";
import { Table } from "../../parts/table.js";
import { toast } from "../../parts/toast.js";
import { actionsOf } from "./channels/actions.js";
import { channelColumns } from "./channels/columns.js";
import { NewChannel } from "./channels/create.js";
import { stateOf, STATES, useLive } from "./channels/state.js";
import { TestDialog } from "./channels/test.js";

export default function Channels() {
  const channels = useLoad((signal) => api.get("channels", {}, { signal }), []);
  const live = useLive();
  const [text, setText] = useQuery("find");
  const [state, setState] = useQuery("state", "all");
  const [group, setGroup] = useQuery("group", "all");
  const [dialog, setDialog] = useState(null);
  const close = () => setDialog(null);
  const page = {
    test: (channel) => setDialog({ kind: "test", channel }),
    done: (sentence) => {
      toast(sentence);
      channels.reload();
    },
  };
  const groups = [...new Set(channels.data?.flatMap((channel) => channel.groups))].sort();
  const rows = channels.data
    ?.map((channel) => ({ ...channel, live: live && live.get(channel.name) }))
    .filter((channel) => (state === "all" || stateOf(channel, channel.live) === state) && (group === "all" || channel.groups.includes(group)) && found(channel, text));
  const create = html`<${Button} kind="primary" icon="plus" onClick=${() => setDialog({ kind: "create" })}>${t("channels.create")}</${Button}>`;
  return html`
    <${PageHeader} title=${t("nav.channels")} text=${t("channels.text")} actions=${create} />
    ${channels.data?.length > 0 &&
    html`<${Toolbar}>
      <${Search} label=${t("channels.find")} value=${text} onInput=${setText} />
      <${Choice} label=${t("channels.state")} value=${state} onChange=${setState} options=${["all", ...STATES].map((value) => ({ value, label: t(`channels.state.${value}`) }))} />
      <${Choice} label=${t("channels.group")} value=${group} onChange=${setGroup} options=${["all", ...groups].map((value) => ({ value, label: value === "all" ? t("channels.all_groups") : value }))} />
    </${Toolbar}>`}
    <${Card} flush>
      <${Table}
        label=${t("nav.channels")}
        columns=${channelColumns()}
        rows=${rows}
        rowKey=${(channel) => channel.id}
        actions=${(channel) => actionsOf(channel, page)}
        order=${{ key: "name", down: false }}
        error=${channels.error}
        retry=${channels.reload}
        empty=${channels.data?.length === 0
          ? html`<${Empty} icon="channel" title=${t("channels.none")} action=${create}>${t("channels.none_text")}</${Empty}>`
          : html`<${Empty} icon="search" title=${t("channels.none_found")} />`}
      />
    </${Card}>
    ${dialog?.kind === "create" && html`<${NewChannel} names=${channels.data?.map((each) => each.name) ?? []} onClose=${close} onDone=${(name) => navigate(`/site/channels/${encodeURIComponent(name)}`)} />`}
    ${dialog?.kind === "test" && html`<${TestDialog} channel=${dialog.channel} onClose=${close} />`}
  `;
}

function found(channel, text) {
  const wanted = text.trim().toLowerCase();
  return [channel.name, channel.dialect, channel.base_url, ...Object.keys(channel.models), ...Object.values(channel.models)].some((each) => each.toLowerCase().includes(wanted));
}
