"""The site as a reader has it: tabs, memory, keyboard, small screens, the dark.

Chromium comes from the system; the tests are skipped where there is none.
"""

import functools
import http.server
import shutil
import threading

import pytest
import sample_book

from d2lext.book import site as writer

playwright = pytest.importorskip(
    "playwright.sync_api", reason="Playwright is not installed"
)

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# A browser that asks nobody for anything: what it requests, the page asked for.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# The sites, and a page of each that has tab sets.
SITES = {"sample_site": "01-dense.html", "built_site": "01-densenet.html"}
SETS = ".sd-tab-set"
OPEN_SOLUTIONS = "document.querySelectorAll('details').forEach((d) => (d.open = true))"


@pytest.fixture(scope="module")
def sample_site(tmp_path_factory):
    """The folder of the sample book's site."""
    root = tmp_path_factory.mktemp("book")
    html = root / "_build" / "html"
    return writer.build(root, html, sample_book.write(root)).parent


@pytest.fixture(
    scope="module",
    params=[pytest.param("sample_site", marks=pytest.mark.slow), "built_site"],
)
def site(request):
    """The address of a site, and its page with tab sets."""
    folder = request.getfixturevalue(request.param)
    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", SITES[request.param]
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and says nothing of it."""

    def log_message(self, *arguments):
        """Nothing."""


@pytest.fixture(scope="module")
def browser():
    """Chromium, without a window."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"no browser: install one of {', '.join(BROWSERS)}")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser, site):
    """Opens the page with tab sets; the visits of one test share their storage."""
    address, name = site
    contexts = []

    def open_page(page=name, init=None, **options):
        if options or init or not contexts:
            contexts.append(browser.new_context(**options))
        opened = contexts[-1].new_page()
        if init:
            opened.add_init_script(init)
        opened.goto(address + page)
        return opened

    open_page.name = name
    open_page.address = address
    yield open_page
    for context in contexts:
        context.close()


def selected(page):
    """The titles that are chosen: of all complete tab sets, and of the control."""
    return set(
        page.evaluate(
            """() => [...document.querySelectorAll(".sd-tab-set, .frameworks")]
                .filter((set) => set.querySelectorAll(":scope > label").length > 3)
                .map((set) => set.querySelector(":scope > input:checked + label"))
                .map((label) => label?.textContent.trim())"""
        )
    )


def label(page, title, nth=0):
    """The label `title` of the `nth` tab set."""
    return page.locator(f"{SETS} > label", has_text=title).nth(nth)


def test_choice_in_one_tab_set_is_followed_by_all_and_kept(open_page):
    page = open_page()
    assert selected(page) == {"PyTorch"}
    label(page, "JAX").click()
    assert selected(page) == {"JAX"}
    page.reload()
    assert selected(page) == {"JAX"}
    assert selected(open_page("index.html")) == {"JAX"}
    assert selected(open_page()) == {"JAX"}


def test_choice_on_the_front_page_is_followed_in_the_chapters(open_page):
    page = open_page("index.html")
    page.locator(".frameworks label", has_text="TensorFlow").click()
    assert selected(page) == {"TensorFlow"}
    assert selected(open_page()) == {"TensorFlow"}


def test_panel_of_the_choice_is_what_shows(open_page):
    page = open_page(f"{open_page.name}?framework=mxnet")
    shown = page.evaluate(
        """() => [...document.querySelectorAll(".sd-tab-content")]
            .filter((panel) => panel.checkVisibility())
            .map((panel) => panel.previousElementSibling.textContent.trim())"""
    )
    assert len(shown) >= 2
    assert set(shown) == {"MXNet"}


@pytest.mark.parametrize("name", ["jax", "JAX", "tf", "pytorch"])
def test_framework_in_the_address_wins_and_is_kept(open_page, name):
    title = {"tf": "TensorFlow", "pytorch": "PyTorch"}.get(name, "JAX")
    label(open_page(), "MXNet").click()
    page = open_page(f"{open_page.name}?framework={name}")
    assert selected(page) == {title}
    assert selected(open_page()) == {title}
    # A later choice replaces the one in the address, also on reload.
    label(page, "MXNet").click()
    page.reload()
    assert selected(page) == {"MXNet"}


def test_unknown_framework_in_the_address_changes_nothing(open_page):
    label(open_page(), "MXNet").click()
    assert selected(open_page(f"{open_page.name}?framework=theano")) == {"MXNet"}


def test_arrow_keys_choose(open_page):
    page = open_page()
    page.locator(f"{SETS} > input").first.focus()
    page.keyboard.press("ArrowRight")
    assert selected(page) == {"MXNet"}
    page.locator(".frameworks input:checked").focus()
    page.keyboard.press("ArrowRight")
    assert selected(page) == {"JAX"}
    outline = page.locator(".frameworks input:checked + label").evaluate(
        "label => getComputedStyle(label).outlineStyle"
    )
    assert outline == "solid"


def test_what_was_clicked_stays_where_it_was(open_page):
    page = open_page()
    # As in browsers that do not hold the place themselves.
    page.add_style_tag(content="* { overflow-anchor: none }")
    last = page.locator(f"{SETS}:visible").count() - 1
    tab = page.locator(f"{SETS}:visible").nth(last).locator("> label").last
    tab.scroll_into_view_if_needed()
    before = tab.bounding_box()["y"]
    tab.click()
    page.wait_for_timeout(200)
    assert tab.bounding_box()["y"] == pytest.approx(before, abs=2)


def test_works_where_storage_is_forbidden(open_page):
    forbid = """Object.defineProperty(window, "localStorage", {
        get() { throw new DOMException("forbidden", "SecurityError"); } })"""
    page = open_page(f"{open_page.name}?framework=jax", init=forbid)
    assert selected(page) == {"JAX"}
    label(page, "MXNet").click()
    assert selected(page) == {"MXNet"}


def test_can_be_read_without_javascript(open_page):
    page = open_page(java_script_enabled=False)
    tab_set = page.locator(SETS).first
    panels = tab_set.locator("> .sd-tab-content")
    assert panels.nth(0).is_visible()
    assert not panels.nth(1).is_visible()
    tab_set.locator("> label").nth(1).click()
    assert panels.nth(1).is_visible()
    assert not panels.nth(0).is_visible()
    solution = page.locator("details.solution").first
    solution.locator("summary").click()
    assert solution.locator(".sd-summary-content").first.is_visible()
    assert page.locator(".katex-html:visible").first.bounding_box()["width"] > 5
    assert not page.locator(".frameworks").is_visible()  # it could do nothing


def test_link_into_a_closed_solution_opens_it(open_page):
    page = open_page()
    solution = page.locator("details.solution").first
    inner = solution.locator(".sd-tab-content").last
    target = inner.get_attribute("id")
    page.goto("about:blank")
    page.goto(f"{open_page.address}{open_page.name}#{target}")
    assert page.locator(f"#{target}").is_visible()


@pytest.mark.parametrize("name", ["index.html", None, "search.html?q=residual"])
def test_no_request_leaves_the_site_and_none_fails(browser, site, name):
    address, chapter = site
    context = browser.new_context()
    page = context.new_page()
    requests, failed, errors = [], [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("requestfailed", lambda request: failed.append(request.url))
    page.on("response", lambda r: failed.append(r.url) if r.status >= 400 else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address + (name or chapter))
    page.wait_for_load_state("networkidle")
    context.close()
    assert len(requests) > 10
    assert [u for u in requests if not u.startswith((address, "data:"))] == []
    assert failed == []
    assert errors == []


def test_search_quotes_a_formula_once(open_page):
    page = open_page("search.html?q=residual")
    page.locator("#search-results .context").first.wait_for()
    for text in page.locator("#search-results .context").all_inner_texts():
        assert "\\" not in text  # the source of a formula, which pages hide
        assert "Framework" not in text  # the control
    assert page.locator("#search-results li").count() >= 1


@pytest.mark.parametrize("width", [320, 1280])
def test_nothing_is_wider_than_the_screen(open_page, width):
    page = open_page(viewport={"width": width, "height": 800})
    page.evaluate(OPEN_SOLUTIONS)
    for title in ("PyTorch", "MXNet", "JAX", "TensorFlow"):
        page.locator(".frameworks label", has_text=title).click()
        assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_can_be_told_from_its_ground(open_page, theme):
    page = open_page(color_scheme=theme)
    page.evaluate(OPEN_SOLUTIONS)
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 50
    assert [entry for entry in contrasts if entry["ratio"] < 4.5] == []


# The contrast (WCAG 2) of each element that has text of its own.
CONTRASTS = """() => {
  const channels = (color) => color.match(/[\\d.]+/g).map(Number);
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((c) => c / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const over = ([r, g, b, alpha = 1], below) =>
    [r, g, b].map((c, i) => alpha * c + (1 - alpha) * below[i]);
  const ground = (e) => e
    ? over(channels(getComputedStyle(e).backgroundColor), ground(e.parentElement))
    : [255, 255, 255];
  return [...document.querySelectorAll("article *")]
    .filter((e) => e.checkVisibility() && !e.closest(".headerlink, .katex-mathml"))
    .filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
    .map((e) => {
      const below = ground(e);
      const text = over(channels(getComputedStyle(e).color), below);
      const pair = [text, below].map(luminance);
      const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
      return { text: e.textContent.trim().slice(0, 40), class: e.className, ratio };
    });
}"""


def test_drawings_turn_dark_with_the_page(open_page):
    def looks(page):
        return page.evaluate(
            """() => [getComputedStyle(document.body).backgroundColor,
                getComputedStyle(document.querySelector("article img[src$='.svg']"))
                    .filter]"""
        )

    assert looks(open_page(color_scheme="light")) == ["rgb(255, 255, 255)", "none"]
    dark = looks(page := open_page(color_scheme="dark"))
    assert dark[0] != "rgb(255, 255, 255)"
    assert "invert" in dark[1]
    page.emulate_media(media="print")
    assert looks(page)[1] == "none"  # paper stays white


def test_print_shows_the_chosen_framework_alone(open_page):
    page = open_page(f"{open_page.name}?framework=jax")
    page.emulate_media(media="print")
    assert not page.locator(".frameworks").is_visible()
    titles = page.locator(f"{SETS} > label:visible").all_inner_texts()
    assert {title.strip() for title in titles} == {"JAX"}
