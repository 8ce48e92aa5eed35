/**
 * All models of the site: what they cost and from where, what is to come, and how they are routed.
 */
import { api, at } from "../../core/api.js";
import { html, useState } from "../../core/html.js";
import { useLoad } from "../../core/load.js";
import { setQuery, useQuery } from "../../core/router.js";
import { t } from "../../core/words.js";
import { Button } from "../../parts/button.js";
import { confirm } from "../../parts/dialog.js";
import { Empty } from "../../parts/notice.js";
import { Card, PageHeader, Toolbar } from "../../parts/page.js";
import { Choice, Search } from "../../parts/search.js";
import { Table } from "../../parts/table.js";
import { toast } from "../../parts/toast.js";
import { modelColumns, stateOf, STATES } from "./models/columns.js";
import { ModelDialog } from "./models/detail.js";
import { NewModel } from "./models/create.js";
import { RefreshDialog } from "./models/refresh.js";

export default function SiteModels() {
  const models = useLoad(async (signal) => {
    const [all, pricing] = await Promise.all([api.get("models", {}, { signal }), api.get("pricing", {}, { signal })]);
    const more = new Map(pricing.map((each) => [each.name, each]));
    return all.map((model) => ({ ...model, listed: more.get(model.name)?.listed ?? null, to_come: more.get(model.name)?.to_come ?? [] }));
  }, []);
  const [text, setText] = useQuery("find");
  const [state, setState] = useQuery("state", "all");
  const [open] = useQuery("model");
  const [dialog, setDialog] = useState(null);
  const close = () => setDialog(null);
  const show = (name, tab) => setQuery({ model: name, tab });
  const done = (sentence) => {
    close();
    toast(sentence);
    models.reload();
  };
  const create = html`<${Button} kind="primary" icon="plus" onClick=${() => setDialog("create")}>${t("site_models.create")}</${Button}>`;
  const buttons = html`<${Button} icon="refresh" onClick=${() => setDialog("refresh")}>${t("site_models.refresh")}</${Button}>${create}`;
  const wanted = text.trim().toLowerCase();
  const rows = models.data?.filter((model) => (state === "all" || stateOf(model) === state) && model.name.toLowerCase().includes(wanted));
  const opened = models.data?.find((model) => model.name === open);
  return html`
    <${PageHeader} title=${t("nav.site_models")} text=${t("site_models.text")} actions=${buttons} />
    ${models.data?.length > 0 &&
    html`<${Toolbar}>
      <${Search} label=${t("site_models.find")} value=${text} onInput=${setText} />
      <${Choice} label=${t("site_models.state")} value=${state} onChange=${setState} options=${["all", ...STATES].map((value) => ({ value, label: t(`site_models.state.${value}`) }))} />
    </${Toolbar}>`}
    <${Card} flush>
      <${Table}
        label=${t("nav.site_models")}
        columns=${modelColumns(show)}
        rows=${rows}
        rowKey=${(model) => model.name}
        actions=${(model) => actions(model, { show, done })}
        order=${{ key: "price", down: false }}
        error=${models.error}
        retry=${models.reload}
        empty=${models.data?.length === 0
          ? html`<${Empty} icon="model" title=${t("site_models.none")} action=${html`<${Button} kind="primary" href="#/site/channels">${t("nav.channels")}</${Button}>`}>${t("site_models.none_text")}</${Empty}>`
          : html`<${Empty} icon="search" title=${t("site_models.none_found")} />`}
      />
    </${Card}>
    ${opened && html`<${ModelDialog} key=${opened.name} model=${opened} models=${models.data.map((each) => each.name)} onClose=${() => setQuery({ model: null, tab: null })} onChanged=${models.reload} />`}
    ${dialog === "create" && html`<${NewModel} onClose=${close} onDone=${() => done(t("site_models.created"))} />`}
    ${dialog === "refresh" && html`<${RefreshDialog} onClose=${close} onDone=${models.reload} />`}
  `;
}

function actions(model, { show, done }) {
  const remove = async () => {
    const agreed = await confirm({
      title: t("site_models.delete_title", { name: model.name }),
      text: t("site_models.delete_text"),
      action: t("site_models.delete"),
      danger: true,
      typed: model.name,
      work: () => api.delete(at`models/${model.name}`),
    });
    if (agreed) done(t("site_models.deleted", { name: model.name }));
  };
  return [
    { label: t("site_models.set_prices"), icon: "tag", run: () => show(model.name, "prices") },
    { label: t("site_models.routing"), icon: "route", run: () => show(model.name, "routing") },
    null,
    { label: t("site_models.delete"), icon: "trash", danger: true, run: remove },
  ];
}
