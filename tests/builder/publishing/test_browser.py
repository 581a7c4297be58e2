"""The site in a browser: tabs, memory, keyboard, small screens, dark mode, axe.

Chromium comes from the system; the tests are skipped where there is none.
"""

import functools
import gzip
import http.server
import threading

import nbformat
import pytest

playwright = pytest.importorskip(
    "playwright.sync_api", reason="Playwright is not installed"
)
axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="axe is not installed"
)

pytestmark = pytest.mark.slow  # each page takes a browser a second or two

CHAPTER = "01-densenet.html"
PAGES = ("index.html", CHAPTER, "search.html?q=residual")
SERIOUS = ("serious", "critical")
SETS = ".sd-tab-set"
OPEN_SOLUTIONS = "document.querySelectorAll('details').forEach((d) => (d.open = true))"


@pytest.fixture(scope="module")
def address(built_site):
    """The address of the book's site."""
    handler = functools.partial(Quiet, directory=built_site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, silently."""

    def log_message(self, *arguments):
        """Print nothing."""


@pytest.fixture
def open_page(browser, address):
    """Opens a page, the first chapter by default; visits of one test share storage."""
    contexts = []

    def open_page(page=CHAPTER, init=None, **options):
        if options or init or not contexts:
            contexts.append(browser.new_context(**options))
        opened = contexts[-1].new_page()
        if init:
            opened.add_init_script(init)
        opened.goto(address + page)  # its style sheets, too
        return opened

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def blank(browser):
    """A page that has not visited anything yet."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


def selected(page):
    """The titles selected in all complete tab sets, and in the control."""
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


def test_all_tab_sets_follow_a_choice_and_it_is_remembered(open_page):
    page = open_page()
    assert selected(page) == {"PyTorch"}
    label(page, "JAX").click()
    assert selected(page) == {"JAX"}
    page.reload()
    assert selected(page) == {"JAX"}
    assert selected(open_page("index.html")) == {"JAX"}
    assert selected(open_page()) == {"JAX"}


def test_chapters_follow_a_choice_on_the_front_page(open_page):
    page = open_page("index.html")
    page.locator(".frameworks label", has_text="TensorFlow").click()
    assert selected(page) == {"TensorFlow"}
    assert selected(open_page()) == {"TensorFlow"}


def test_only_the_chosen_panels_show(open_page):
    page = open_page(f"{CHAPTER}?framework=mxnet")
    shown = page.evaluate(
        """() => [...document.querySelectorAll(".sd-tab-content")]
            .filter((panel) => panel.checkVisibility())
            .map((panel) => panel.previousElementSibling.textContent.trim())"""
    )
    assert len(shown) >= 2
    assert set(shown) == {"MXNet"}


@pytest.mark.parametrize("name", ["JAX", "tf"])
def test_framework_in_the_address_wins_and_is_remembered(open_page, name):
    title = {"tf": "TensorFlow"}.get(name, name)
    label(open_page(), "MXNet").click()
    page = open_page(f"{CHAPTER}?framework={name}")
    assert selected(page) == {title}
    assert selected(open_page()) == {title}
    # A later choice replaces the one in the address, also on reload.
    label(page, "MXNet").click()
    page.reload()
    assert selected(page) == {"MXNet"}


def test_unknown_framework_in_the_address_changes_nothing(open_page):
    label(open_page(), "MXNet").click()
    assert selected(open_page(f"{CHAPTER}?framework=theano")) == {"MXNet"}


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
    # As in browsers without scroll anchoring.
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
    page = open_page(f"{CHAPTER}?framework=jax", init=forbid)
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
    assert not page.locator(".frameworks").is_visible()  # it could not work
    downloads = page.get_by_role("link", name="Download")
    assert [link.is_visible() for link in downloads.all()] == [True] * 4


def test_link_into_a_closed_solution_opens_it(open_page, address):
    page = open_page()
    solution = page.locator("details.solution").first
    inner = solution.locator(".sd-tab-content").last
    target = inner.get_attribute("id")
    page.goto("about:blank")
    page.goto(f"{address}{CHAPTER}#{target}")
    assert page.locator(f"#{target}").is_visible()


@pytest.mark.parametrize("name", PAGES)
def test_no_request_leaves_the_site_and_none_fails(blank, address, name):
    page, requests, failed, errors = blank, [], [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("requestfailed", lambda request: failed.append(request.url))
    page.on("response", lambda r: failed.append(r.url) if r.status >= 400 else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address + name)
    page.wait_for_load_state("networkidle")
    assert len(requests) > 10
    assert [u for u in requests if not u.startswith((address, "data:"))] == []
    assert failed == []
    assert errors == []


def search(open_page, built_site, server, words):
    """The page of results, from a server or opened as a file."""
    page = open_page(f"search.html?q={words}")
    if not server:
        page.goto(f"{built_site.as_uri()}/search.html?q={words}")
    return page


@pytest.mark.parametrize("server", [True, False])
def test_search_quotes_what_a_reader_sees(open_page, built_site, server):
    page = search(open_page, built_site, server, "residual")
    chapter = page.locator("#search-results li", has_text="Densely Connected Networks")
    quoted = chapter.locator(".context").first.inner_text()
    assert "A residual network" in quoted
    assert "\\" not in quoted  # the source of a formula, which pages hide
    assert "Framework" not in quoted  # the control
    page.locator(".sidebar-search").fill("transition layers")
    page.keyboard.press("Enter")
    section = page.locator("#search-results li", has_text="Transition Layers")
    quoted = section.locator(".context").inner_text()
    assert quoted.startswith(
        "1.3 Transition Layers"
    )  # the section's text, not the page's


@pytest.mark.parametrize("script", [True, False])
def test_focus_is_visible_on_a_narrow_page(open_page, script):
    """Also in its drawers, which open on focus if there is no script."""
    size = {"width": 320, "height": 800}
    # Without motion, because a drawer takes a moment to slide in.
    still = {"java_script_enabled": script, "reduced_motion": "reduce"}
    page = open_page(viewport=size, **still)
    stops = []
    for _ in range(10):
        page.keyboard.press("Tab")
        focus = page.locator(":focus")
        stops.append((focus.text_content(), focus.bounding_box()))
        assert stops[-1][1]["x"] >= 0, stops[-1]
    assert any("The DenseNet Family" in text for text, _ in stops) is not script


def test_focus_is_not_behind_the_bar_at_the_top(open_page):
    page = open_page(viewport={"width": 320, "height": 700}, reduced_motion="reduce")
    bar = page.locator(".mobile-header").bounding_box()["height"]
    for _ in range(30):
        page.keyboard.press("Shift+Tab")  # from the foot of the page upwards
        focus = page.locator(":focus")
        box = focus.bounding_box()
        assert box["y"] >= bar - 1, (focus.text_content(), box)


def test_copy_button_shows_on_focus_and_copies(open_page):
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    button = page.get_by_role("button", name="Copy to clipboard").first
    playwright.expect(button).to_have_css("opacity", "0")
    page.locator(f"{SETS} > input").first.focus()
    page.keyboard.press("Tab")
    playwright.expect(button).to_be_focused()
    playwright.expect(button).to_have_css("opacity", "1")
    page.keyboard.press("Enter")
    page.wait_for_function("navigator.clipboard.readText()")
    code = page.locator("div.cell_input pre").first.inner_text()
    assert page.evaluate("navigator.clipboard.readText()") == code.strip()


DRAWERS = [
    (320, "Contents of the book"),
    (320, "On this page"),
    (1200, "On this page"),
]


def tab_to(page, element):
    """Press Tab until `element` has the focus."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if element.evaluate("element => element === document.activeElement"):
            break
    playwright.expect(element).to_be_focused()


@pytest.mark.parametrize(("width", "name"), DRAWERS)
def test_drawer_opens_and_closes_by_keyboard(open_page, width, name):
    page = open_page(viewport={"width": width, "height": 800})
    drawer = page.get_by_role("complementary", name=name)
    playwright.expect(drawer).to_be_hidden()  # so no key reaches it
    button = page.get_by_role("button", name=name)
    tab_to(page, button)
    for key in ("Enter", "Space"):
        playwright.expect(button).to_have_attribute("aria-expanded", "false")
        page.keyboard.press(key)
        playwright.expect(button).to_have_attribute("aria-expanded", "true")
        playwright.expect(drawer.locator(":focus")).to_be_in_viewport(ratio=1)
        page.keyboard.press("Escape")
        playwright.expect(button).to_be_focused()
        playwright.expect(drawer).to_be_hidden()


def test_drawer_closes_when_the_reader_moves_on(open_page):
    page = open_page(viewport={"width": 320, "height": 800})
    drawer = page.get_by_role("complementary", name="On this page")
    button = page.get_by_role("button", name="On this page")
    # By a link: the focus continues where it leads.
    button.click()
    tab_to(page, drawer.get_by_role("link", name="1.3 Transition Layers"))
    page.keyboard.press("Enter")
    playwright.expect(drawer).to_be_hidden()
    page.keyboard.press("Tab")
    focus = page.locator("#sec-transition :focus")
    playwright.expect(focus).to_have_text("Lin et al., 2014")
    # With the Tab key, also backwards.
    button.click()
    page.keyboard.press("Shift+Tab")
    playwright.expect(drawer).to_be_hidden()
    playwright.expect(button).to_have_attribute("aria-expanded", "false")
    # By a click beside it.
    button.click()
    page.mouse.click(20, 400)
    playwright.expect(drawer).to_be_hidden()
    playwright.expect(button).to_be_focused()


def test_drawer_opens_by_pointer_or_focus_without_javascript(open_page):
    # As high as a list of thirteen chapters: what is further down needs scrolling.
    size = {"width": 320, "height": 1600}
    page = open_page(viewport=size, java_script_enabled=False)
    for label, drawer in (("nav-overlay", "sidebar"), ("toc-header", "toc")):
        link = page.locator(f".{drawer}-drawer a:visible").last  # no closed section
        playwright.expect(link).not_to_be_in_viewport()
        page.locator(f".{label}-icon").click()
        playwright.expect(link).to_be_in_viewport()
        page.mouse.click(310 if drawer == "sidebar" else 10, 400)
        playwright.expect(link).not_to_be_in_viewport()
        link.focus()
        playwright.expect(link).to_be_in_viewport(ratio=1)
        page.locator(".skip-to-content").focus()
        playwright.expect(link).not_to_be_in_viewport()


PARTED = """() => [...document.querySelectorAll("article span.math")]
    .map((formula) => [formula, formula.nextSibling])
    .filter(([, text]) => text?.nodeType === Node.TEXT_NODE && /^\\S/.test(text.data))
    .map(([formula, text]) => {
        const range = document.createRange();
        range.setStart(text, 0);
        range.setEnd(text, 1);
        const part = [...formula.querySelectorAll(".base")].at(-1);
        const [sign, end] = [range, part].map((e) => e.getBoundingClientRect());
        return sign.height && sign.left < end.left && `${text.data} at ${innerWidth}`;
    })"""


def test_no_line_begins_with_the_punctuation_after_a_formula(open_page):
    page = open_page()
    found = []
    for width in range(320, 1000, 20):
        page.set_viewport_size({"width": width, "height": 800})
        found += page.evaluate(PARTED)
    assert len(found) > 300
    assert [place for place in found if place] == []


# 640: a screen of 1280 at a zoom of 200 %.
@pytest.mark.parametrize("width", [320, 640, 1280])
def test_nothing_is_wider_than_the_screen(open_page, width):
    page = open_page(viewport={"width": width, "height": 800})
    page.evaluate(OPEN_SOLUTIONS)
    for title in ("PyTorch", "MXNet", "JAX", "TensorFlow"):
        page.locator(".frameworks label", has_text=title).click()
        assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("server", [True, False])
def test_download_is_the_notebook_of_the_chosen_framework(
    open_page, built_site, server
):
    page = open_page()
    if not server:
        page.goto(f"{built_site.as_uri()}/{CHAPTER}")
    for title, name in (("PyTorch", "torch"), ("JAX", "jax")):
        page.locator(".frameworks label", has_text=title).click()
        with page.expect_download() as download:
            page.get_by_role(
                "link", name="Download"
            ).click()  # one: the others are hidden
        assert download.value.suggested_filename == f"01-densenet-{name}.ipynb"
        notebook = nbformat.read(download.value.path(), as_version=4)
        code = "\n".join(c.source for c in notebook.cells if c.cell_type == "code")
        assert f"from d2lext import {name} as d2l" in code
        assert any(cell.get("outputs") for cell in notebook.cells)


@pytest.mark.parametrize("server", [True, False])
def test_search_finds_growth_rate(open_page, built_site, server):
    page = search(open_page, built_site, server, "growth+rate")
    found = page.locator("#search-results li a", has_text="Densely Connected Networks")
    found.first.wait_for()


def test_page_is_painted_as_chosen_before_its_scripts_arrive(blank, address):
    page, held = blank, []
    page.route("**/*.js*", lambda route: held.append(route))  # never answered
    page.goto(f"{address}{CHAPTER}?framework=jax", wait_until="commit")
    page.wait_for_function("performance.getEntriesByName('first-contentful-paint')[0]")
    page.locator(".references").wait_for(state="attached")
    assert selected(page) == {"JAX"}
    assert held


@pytest.mark.parametrize(
    "path",
    [
        "01-densenet",
        "02-family",
        "03-one-network",
        "04-memory",
        "05-training",
        "06-transfer",
    ],
)
def test_first_load_is_small(blank, address, path):
    responses = []
    blank.on("response", lambda response: responses.append(response))
    blank.goto(f"{address}{path}.html", wait_until="networkidle")
    sizes = {r.url: len(gzip.compress(r.body())) for r in responses}
    images = sum(size for url, size in sizes.items() if "/_images/" in url)
    assert len(sizes) > 10
    assert sum(sizes.values()) - images < (0.6e6 if path == "01-densenet" else 1e6)
    assert images < 0.5e6


def assert_accessible(page, within=None):
    """axe finds nothing serious, and has checked the contrast."""
    options = {"resultTypes": ["violations"]}  # axe then lists only one of the others
    found = axe.Axe().run(page, context=within, options=options).response
    serious = [v for v in found["violations"] if v["impact"] in SERIOUS]
    assert [(v["id"], v["nodes"][0]["target"]) for v in serious] == []
    assert "color-contrast" in {rule["id"] for rule in found["passes"]}


@pytest.mark.parametrize(
    ("theme", "width", "names"),
    [("light", 1280, PAGES), ("dark", 1280, PAGES), ("light", 320, [CHAPTER])],
)
def test_axe_finds_nothing_serious(open_page, theme, width, names):
    for name in names:
        size = {"width": width, "height": 800}
        page = open_page(name, color_scheme=theme, viewport=size)
        page.wait_for_load_state()
        page.evaluate(OPEN_SOLUTIONS)
        assert_accessible(page)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_an_open_drawer(open_page, theme):
    size = {"width": 320, "height": 800}
    page = open_page(color_scheme=theme, viewport=size, reduced_motion="reduce")
    for name in ("Contents of the book", "On this page"):
        page.get_by_role("button", name=name).click()
        assert_accessible(page, f"aside[aria-label='{name}']")
        page.keyboard.press("Escape")


def test_citation_shows_its_reference_on_hover_and_on_focus(open_page):
    page = open_page()
    card = page.get_by_role("tooltip")
    citation = page.locator("article .bibtex-citation a").nth(1)
    citation.hover()
    card.wait_for()
    assert card.inner_text().startswith("Gao Huang")
    assert "Cited in" not in card.inner_text()
    card.hover()
    page.wait_for_timeout(400)
    assert card.is_visible()
    page.keyboard.press("Escape")
    assert not card.is_visible()
    citation.focus()
    card.wait_for()
    page.keyboard.press("Tab")
    playwright.expect(page.locator("#card")).to_contain_text("Han Xiao")


def test_reference_leads_back_to_where_it_is_cited(open_page):
    page = open_page()
    link = page.locator(".uses a", has_text="1.9").first
    target = link.get_attribute("href")
    link.click()
    page.wait_for_function("scrollY > 0")
    assert page.locator(target).is_visible()
    section = page.locator(f"section:has(> p {target}) > h2")
    assert section.inner_text().startswith("1.9")


def test_drawings_are_dark_on_a_dark_page(open_page):
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


def test_print_shows_only_the_chosen_framework(open_page):
    page = open_page(f"{CHAPTER}?framework=jax")
    # As after scrolling up.
    page.evaluate("document.documentElement.classList.add('show-back-to-top')")
    for control in (".frameworks", ".offers", ".back-to-top"):
        page.emulate_media(media="screen")
        page.locator(control).wait_for()
        page.emulate_media(media="print")
        assert not page.locator(control).is_visible()
    titles = page.locator(f"{SETS} > label:visible").all_inner_texts()
    assert {title.strip() for title in titles} == {"JAX"}


def test_buttons_and_the_first_notebook_follow_the_framework(open_page):
    page = open_page("index.html?framework=jax")
    notebook = page.get_by_role("link", name="Notebook")  # one: the others are hidden
    assert notebook.get_attribute("download") == "01-densenet-jax.ipynb"
    page.locator(".frameworks label", has_text="MXNet").click()
    assert notebook.get_attribute("download") == "01-densenet-mxnet.ipynb"
    page.get_by_role("link", name="Start reading").click()
    assert page.url.endswith("/01-densenet.html")
    assert selected(page) == {"MXNet"}


def test_all_of_a_card_leads_to_its_chapter(open_page):
    page = open_page("index.html")
    page.locator("ul.cards > li").nth(1).click(position={"x": 9, "y": 60})
    assert page.url.endswith("/02-family.html")


def test_without_javascript_each_frameworks_buttons_have_its_name(open_page):
    page = open_page("index.html", java_script_enabled=False)
    rows = page.locator(".buttons li")
    assert [row.inner_text().split(":")[0] for row in rows.all()] == [
        "PyTorch",
        "MXNet",
        "JAX",
        "TensorFlow",
    ]
    assert rows.nth(3).get_by_role("link", name="Notebook").is_visible()


@pytest.mark.parametrize("width", [320, 1280])
def test_the_front_page_is_no_wider_than_the_screen(open_page, width):
    page = open_page("index.html", viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_the_sections_of_a_chapter_open_by_keyboard(open_page):
    page = open_page("index.html")
    switch = page.get_by_role("switch", name="Toggle navigation of 2 The DenseNet")
    section = page.locator(".sidebar-tree a", has_text="2.1").first
    assert not section.is_visible()
    switch.focus()
    page.keyboard.press("Space")
    assert section.is_visible()
    label = switch.locator("+ label")
    assert label.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
