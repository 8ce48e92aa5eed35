"""The parts that pages are made of, each by itself in the real page."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, expect

from tests.support.browser import Look, View
from tests.support.stack import until

OpenWindow = Callable[..., View]

DRAWN_WITHIN_S = 10.0
PICTURE = "canvas => canvas.toDataURL()"

CHANGED_IN_ONE_FRAME = """async (span) => {
  window.done();
  while (span.closest('button').disabled) await null;
  return [getComputedStyle(span).opacity, document.getAnimations().length];
}"""
"""What the looks are before the next frame, and what still moves."""

MOUNT = """async ([imports, body]) => {
  const start = document.querySelector('script[type=module]').src;
  const found = await import(new URL('core/html.js', start));
  const names = { ...found };
  for (const file of imports) Object.assign(names, await import(new URL(file, start)));
  const main = document.querySelector('main');
  main.replaceChildren();
  const host = document.createElement('section');
  host.id = 'probe';
  host.setAttribute('aria-label', 'probe');
  main.append(host);
  window.seen = [];
  const page = window.pages[body](names);
  found.render(names.html`<h1>Probe</h1><${page} />`, host);
}"""

PAGES = {
    "table": """({ html, Table }) => () => html`<${Table} label="Things" rowKey=${(row) => row.name}
        rows=${[{ name: 'b', size: 2 }, { name: 'a', size: 10 }, { name: 'c', size: null }]}
        columns=${[
          { key: 'name', label: 'Name', narrow: 'title', sort: (row) => row.name },
          { key: 'size', label: 'Size', align: 'end', sort: (row) => row.size },
        ]}
        actions=${(row) => [{ label: 'Look', run: () => window.seen.push(row.name) }]}
        more=${{ has: true, loading: false, load: () => window.seen.push('more') }} />`""",
    "chart": """({ html, TimeChart }) => {
      const times = [0, 3600, 7200];
      const series = [{ label: 'Good', values: [1, 2, 3] }, { label: 'Bad', values: [4, null, 6] }];
      const format = (value) => `${value} r`;
      return () => html`<${TimeChart} label="Requests" times=${times} series=${series} format=${format} />`;
    }""",
    "chips": """({ html, useForm, Form, ChipsField }) => () => {
      const form = useForm({ models: ['*'] }, { submit: async (values) => window.seen.push(values.models) });
      return html`<${Form} form=${form} submit="Send">
        <${ChipsField} form=${form} name="models" label="Models" options=${['gpt-5', 'gpt-5-mini', 'other']} free />
      </${Form}>`;
    }""",
    "hasty": """({ html, useForm, Form, TextField, ApiError }) => () => {
      const form = useForm({ code: '' }, { submit: async ({ code }) => {
        if (code !== 'good') throw new ApiError(400, 'x', 'It is wrong.', []);
        form.reset();
        await new Promise((resolve) => { window.endFirst = resolve; });
      } });
      return html`<${Form} form=${form} submit="Send"><${TextField} form=${form} name="code" label="Code" /></${Form}>`;
    }""",
    "busy": """({ html, Button, useState }) => () => {
      const [busy, setBusy] = useState(true);
      window.done = () => setBusy(false);
      return html`<${Button} busy=${busy}>Send</${Button}>`;
    }""",
    "store": """({ html, createStore, useLayoutEffect }) => {
      const store = createStore('early');
      return () => {
        const value = store.use();
        useLayoutEffect(() => store.set('late'), []);
        return html`<p>${value}</p>`;
      };
    }""",
    "wide": """({ html }) => () => html`<div class="stack"><section class="card">
      <header class="card-head"><div><h2>Card</h2></div><div class="card-actions">
        <label class="choice">Choose <select class="input"><option>${'W'.repeat(60)}</option></select></label>
      </div></header><div class="card-body">content</div>
    </section></div>`""",
    "tabs": """({ html, useState, Tabs }) => () => {
      const [value, onChange] = useState('one');
      return html`<${Tabs} label="Parts" value=${value} onChange=${onChange}
        tabs=${[{ key: 'one', label: 'One' }, { key: 'two', label: 'Two' }]}>content of ${value}</${Tabs}>`;
    }""",
    "many_tabs": """({ html, useState, Tabs }) => () => {
      const [value, onChange] = useState('tab-9');
      const tabs = Array.from({ length: 12 }, (_, at) => ({ key: `tab-${at}`, label: `Tab ${at}` }));
      return html`<div style=${{ height: '200vh' }}></div>
        <${Tabs} label="Parts" value=${value} onChange=${onChange} tabs=${tabs}>content of ${value}</${Tabs}>`;
    }""",
    "code": """({ html, CodeBlock }) => () => html`
      <${CodeBlock} title="shell" text=${'a \\\\\\n\\tb\\n\\n  c\\n'} />`""",
    "failing": """({ html, useForm, Form, TextField, ApiError }) => () => {
      const faults = ['limits.rpm: must be 1', 'far.away: is odd', 'limits.rpm: is too much', 'limits.rpm: must be 1'];
      const submit = async () => { throw new ApiError(400, 'x', 'It is wrong.', faults); };
      const form = useForm({ limits: { rpm: '0' } }, { submit });
      return html`<${Form} form=${form} submit="Send">
        <${TextField} form=${form} name="limits.rpm" label="Rate" />
      </${Form}>`;
    }""",
}


@pytest.fixture
def mount(browser_page: OpenWindow) -> Callable[..., Locator]:
    """What shows one of `PAGES` alone, and returns where."""

    def mounted(name: str, *imports: str, look: Look | None = None) -> Locator:
        view = browser_page(look or Look())
        page = view.open("/")
        page.evaluate(f"() => {{ window.pages = {{ {name}: {PAGES[name]} }} }}")
        page.evaluate(MOUNT, [list(imports), name])
        probe = page.locator("#probe")
        expect(probe.get_by_role("heading", name="Probe")).to_be_visible()
        view.check_accessible()
        return probe

    return mounted


def test_a_table_sorts_by_what_it_is_told(mount: Callable[..., Locator]) -> None:
    probe = mount("table", "parts/table.js")
    names = probe.locator("td.column-name")
    assert names.all_text_contents() == ["b", "a", "c"]
    probe.get_by_role("button", name="Name").click()
    expect(names).to_have_text(["a", "b", "c"])
    expect(probe.get_by_role("columnheader", name="Name")).to_have_attribute("aria-sort", "ascending")
    probe.get_by_role("button", name="Size").click()
    expect(names).to_have_text(["a", "b", "c"])
    probe.get_by_role("button", name="Size").click()
    expect(names).to_have_text(["c", "b", "a"])
    probe.get_by_role("button", name="Show more").click()
    probe.get_by_role("row", name="b").get_by_role("button", name="Actions").click()
    probe.get_by_role("menuitem", name="Look").click()
    assert probe.page.evaluate("window.seen") == ["more", "b"]


def test_a_table_is_cards_on_phones(mount: Callable[..., Locator]) -> None:
    probe = mount("table", "parts/table.js", look=Look("en", "dark", 360))
    row = probe.get_by_role("row").nth(1)
    box = row.bounding_box()
    assert box is not None
    assert box["width"] < 360
    assert row.locator("td").nth(1).evaluate("cell => getComputedStyle(cell, '::before').content") == '"Size"'


def test_a_chart_is_a_table_for_whoever_wants_one(mount: Callable[..., Locator]) -> None:
    probe = mount("chart", "parts/chart.js")
    expect(probe.get_by_role("img", name="Requests").locator("canvas")).to_be_visible()
    probe.get_by_role("button", name="Show as table").click()
    rows = probe.get_by_role("row").all()
    assert [cell.text_content() for cell in rows[2].get_by_role("cell").all()] == ["2 r", "–"]  # noqa: RUF001
    probe.get_by_role("button", name="Show as chart").click()
    expect(probe.locator("canvas")).to_be_visible()


def test_a_chart_takes_the_colours_of_the_theme(mount: Callable[..., Locator]) -> None:
    probe = mount("chart", "parts/chart.js")
    canvas = probe.locator("canvas")
    expect(canvas).to_be_visible()
    light = canvas.evaluate(PICTURE)
    probe.page.get_by_role("button", name="Theme").click()
    probe.page.get_by_role("menuitemradio", name="Dark").click()
    expect(probe.page.locator("html")).to_have_attribute("data-theme", "dark")
    # It is drawn anew some frames later.
    until(
        lambda: canvas.evaluate(PICTURE) != light, DRAWN_WITHIN_S, "the chart is drawn in the colours of the dark theme"
    )


def test_chips_are_chosen_and_removed_with_the_keyboard(mount: Callable[..., Locator]) -> None:
    probe = mount("chips", "parts/form.js", "parts/chips.js")
    field = probe.get_by_role("combobox", name="Models")
    field.press("Backspace")
    field.press_sequentially("gpt")
    expect(probe.get_by_role("option")).to_have_text(["gpt-5", "gpt-5-mini"])
    field.press("ArrowDown")
    field.press("ArrowDown")
    field.press("Enter")
    field.press_sequentially("claude-*")
    field.press(",")
    probe.get_by_role("button", name="Send").click()
    expect(probe.locator("form[aria-busy]")).to_have_count(0)
    assert probe.page.evaluate("window.seen") == [["gpt-5-mini", "claude-*"]]


def test_tabs_are_walked_with_the_arrows(mount: Callable[..., Locator]) -> None:
    probe = mount("tabs", "parts/tabs.js")
    probe.get_by_role("tab", name="One").focus()
    probe.page.keyboard.press("ArrowRight")
    expect(probe.get_by_role("tab", name="Two")).to_be_focused()
    expect(probe.get_by_role("tabpanel", name="Two")).to_have_text("content of two")
    probe.page.keyboard.press("ArrowRight")
    expect(probe.get_by_role("tab", name="One")).to_be_focused()


def test_the_chosen_tab_is_in_view_and_the_page_does_not_jump(mount: Callable[..., Locator]) -> None:
    probe = mount("many_tabs", "parts/tabs.js", look=Look("en", "light", 360))
    assert probe.page.evaluate("scrollY") == 0
    probe.get_by_role("tablist").scroll_into_view_if_needed()
    expect(probe.get_by_role("tab", name="Tab 9")).to_be_in_viewport(ratio=1)
    expect(probe.get_by_role("tab", name="Tab 0")).not_to_be_in_viewport()
    probe.get_by_role("tab", name="Tab 9").focus()
    probe.page.keyboard.press("Home")
    expect(probe.get_by_role("tab", name="Tab 0")).to_be_in_viewport(ratio=1)


def test_code_is_copied_exactly(mount: Callable[..., Locator]) -> None:
    probe = mount("code", "parts/code.js")
    probe.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    probe.get_by_role("button", name="Copy").click()
    expect(probe.get_by_role("button", name="Copied")).to_be_visible()
    assert probe.page.evaluate("navigator.clipboard.readText()") == "a \\\n\tb\n\n  c\n"


def test_faults_stand_at_their_fields_and_the_others_above_the_buttons(mount: Callable[..., Locator]) -> None:
    probe = mount("failing", "parts/form.js", "parts/fields.js", "core/api.js")
    probe.get_by_role("button", name="Send").click()
    field = probe.get_by_role("textbox", name="Rate")
    expect(field).to_have_accessible_description("Must be 1 Is too much")
    assert probe.locator(".field-error").inner_text().split("\n") == ["Must be 1", "Is too much"]
    expect(field).to_be_focused()
    expect(probe.get_by_role("alert")).to_contain_text("It is wrong.")
    assert probe.get_by_role("alert").get_by_role("listitem").all_text_contents() == ["far.away: is odd"]


def test_a_form_that_is_sent_again_before_it_is_done_keeps_what_is_said_of_that(mount: Callable[..., Locator]) -> None:
    probe = mount("hasty", "core/api.js", "parts/form.js", "parts/fields.js")
    field, send = probe.get_by_role("textbox", name="Code"), probe.get_by_role("button", name="Send")
    field.fill("good")
    send.click()
    expect(field).to_have_value("")
    field.fill("bad")
    send.click()
    expect(probe.get_by_role("alert")).to_contain_text("It is wrong.")
    probe.page.evaluate("window.endFirst()")
    probe.page.evaluate("new Promise(requestAnimationFrame)")
    expect(probe.get_by_role("alert")).to_contain_text("It is wrong.")


def test_what_changes_has_its_new_looks_at_once_for_whoever_wants_no_motion(mount: Callable[..., Locator]) -> None:
    probe = mount("busy", "parts/button.js")
    text = probe.locator("button > span")
    assert float(text.evaluate("span => getComputedStyle(span).opacity")) < 1
    assert text.evaluate(CHANGED_IN_ONE_FRAME) == ["1", 0]


def test_a_value_that_changes_while_it_is_drawn_is_drawn_again(mount: Callable[..., Locator]) -> None:
    expect(mount("store").get_by_role("paragraph")).to_have_text("late")


def test_a_long_choice_does_not_widen_a_phones_page(mount: Callable[..., Locator]) -> None:
    probe = mount("wide", look=Look("en", "light", 360))  # which looks at the page's width, too
    expect(probe.get_by_label("Choose")).to_be_visible()
