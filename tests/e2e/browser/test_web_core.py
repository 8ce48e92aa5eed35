"""The modules beneath the pages, run where they run: in the browser."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.support.browser import Look, View

OpenWindow = Callable[..., View]


@pytest.fixture
def page(browser_page: OpenWindow) -> Page:
    return browser_page().open("/")


def run(page: Page, module: str, call: str) -> Any:
    """Return what an expression is, with a module of the page as ``m``."""
    return page.evaluate(
        f"""async () => {{
          const start = document.querySelector('script[type=module]').src;
          const m = await import(new URL('{module}', start));
          return {call};
        }}"""
    )


@pytest.mark.parametrize(
    ("nano", "shown"),
    [
        ("0", "$0.00"),
        ("1", "$0.000000001"),
        ("1500", "$0.0000015"),
        ("12345678", "$0.0123"),
        ("-2500000000", "-$2.50"),
        ("123456789012345678901", "$123,456,789,012.35"),
    ],
)
def test_money_has_as_many_digits_as_say_something(page: Page, nano: str, shown: str) -> None:
    assert run(page, "core/format.js", f"m.money({nano}n)") == shown


def test_exact_money_loses_nothing(page: Page) -> None:
    exact = run(page, "core/format.js", "m.money(123456789012345678901n, { exact: true })")
    assert exact == "$123,456,789,012.345678901"
    assert run(page, "core/format.js", "m.usdText(-1500000000n)") == "-1.5"


def test_chinese_readers_get_their_numbers(browser_page: OpenWindow) -> None:
    page = browser_page(Look("zh")).open("/")
    assert run(page, "core/format.js", "m.compact(123456)") == "12.3万"
    assert run(page, "core/format.js", "m.relative(Date.now() - 180000)") == "3分钟前"


@pytest.mark.parametrize(
    ("ms", "shown"), [(850, "850 ms"), (2400, "2.4 sec"), (90_000, "1.5 min"), (5_400_000, "1.5 hr")]
)
def test_durations_are_short(page: Page, ms: int, shown: str) -> None:
    assert run(page, "core/format.js", f"m.duration({ms})") == shown


def test_large_integers_of_answers_are_exact(page: Page) -> None:
    parsed = run(
        page, "core/api.js", """m.parse('{"a":9007199254740993,"b":1.5,"c":"9007199254740993"}').a.toString()"""
    )
    assert parsed == "9007199254740993"


def test_names_in_paths_are_escaped(page: Page) -> None:
    assert run(page, "core/api.js", "m.at`accounts/${'a/b?c#d'}/keys`") == "accounts/a%2Fb%3Fc%23d/keys"
    climbed = run(
        page, "core/api.js", "(() => { try { return m.at`accounts/${'..'}/keys` } catch (e) { return e.status } })()"
    )
    assert climbed == 404


def test_a_route_gives_the_names_in_it(page: Page) -> None:
    found = run(page, "core/router.js", "m.match([{ path: '/a/:account/keys' }], '/a/x%2Fy/keys').params")
    assert found == {"account": "x/y"}
    assert run(page, "core/router.js", "m.match([{ path: '/a/:account/keys' }], '/a//keys')") is None
    assert run(page, "core/router.js", "m.match([{ path: '/a/:account' }], '/a/%')") is None


MARKDOWN = """
# Title

<img src="https://elsewhere.example/x.png" onerror="alert(1)"> ![seen](https://elsewhere.example/y.png)
[link](javascript:alert(1)) <script>alert(1)</script> [out](https://a.example)

```python
def f():
\treturn 1

print(f())
```
"""


def test_markdown_is_sanitised_and_copies_code_exactly(page: Page, browser_page: OpenWindow) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate(
        """async (text) => {
          const start = document.querySelector('script[type=module]').src;
          const { html, render } = await import(new URL('core/html.js', start));
          const { Markdown } = await import(new URL('parts/markdown.js', start));
          const host = document.createElement('section');
          host.id = 'probe';
          document.querySelector('main').append(host);
          render(html`<${Markdown} text=${text} />`, host);
        }""",
        MARKDOWN,
    )
    probe = page.locator("#probe")
    probe.get_by_role("heading", name="Title").wait_for()
    assert probe.locator("img, script, [onerror]").count() == 0
    assert "<script>alert(1)</script>" in probe.text_content()
    links = probe.get_by_role("link").evaluate_all(
        "all => all.map(a => [a.textContent, a.rel, a.getAttribute('href')])"
    )
    assert ["out", "noopener noreferrer", "https://a.example"] in links
    assert ["seen", "noopener noreferrer", "https://elsewhere.example/y.png"] in links
    assert not [link for link in links if "javascript" in (link[2] or "")]
    probe.get_by_role("button", name="Copy").click()
    probe.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "def f():\n\treturn 1\n\nprint(f())"


def test_inline_script_does_not_run(browser_page: OpenWindow) -> None:
    view = browser_page()
    page = view.open("/")
    refused = page.evaluate(
        """() => new Promise((resolve) => {
          document.addEventListener('securitypolicyviolation', (event) => resolve(event.effectiveDirective));
          const script = document.createElement('script');
          script.textContent = 'window.ran = true';
          document.head.append(script);
        })"""
    )
    assert refused == "script-src-elem"
    assert page.evaluate("window.ran") is None
    assert [problem for problem in view.problems if "Content Security Policy" not in problem] == []
    view.problems.clear()
