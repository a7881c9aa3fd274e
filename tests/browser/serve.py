"""Drives the pages of `ablate serve` in headless Chromium: `serve.py SCENE ADDRESS`.

What is wrong ends it with an exception; nothing may be written to the console of the browser.
"""

import re
import sys

from playwright.sync_api import expect, sync_playwright

DONE = 15_000


def screen(page, name):
    page.wait_for_selector(f"main:not([aria-busy])[data-shown={name}]", timeout=DONE)


def go(page, home, screen_name, query=""):
    page.goto(f"{home}#/spec/{screen_name}{query}")
    screen(page, screen_name)


def column(page, n):
    return page.eval_on_selector_all(
        ".results tbody tr", "(rows, n) => rows.map(row => row.cells[n].textContent)", n
    )


def finished(page, home):
    """Every screen of an experiment that is over."""
    # Run: how far it is and what it cost.
    expect(page.locator("#summary")).to_have_text("21 finished")
    expect(page.locator("#live")).to_have_text("● live")
    expect(page.locator(".lanes rect")).to_have_count(21)
    # A number changes the screen.
    page.keyboard.press("2")
    screen(page, "results")
    expect(page.locator(".results tbody tr")).to_have_count(4)
    heading = page.locator(".results th button").nth(2)
    heading.click()
    up = [float(text.split("±")[0]) for text in column(page, 2)]
    heading.click()
    down = [float(text.split("±")[0]) for text in column(page, 2)]
    assert up == sorted(up) and down == up[::-1], (up, down)
    # A row as reference: the others tell their difference, and the address holds it.
    page.locator(".results tbody tr", has_text="cosine").first.click()
    expect(page.locator(".results tr.reference")).to_have_count(1)
    assert "reference=cosine" in page.url, page.url
    expect(page.locator(".results caption")).to_contain_text("Differences are to the reference row")
    expect(page.locator(".verdicts li")).to_contain_text("Lowest score.power_spectrum.error")
    # Only some points.
    filter_box = page.locator("[data-name=at]")
    filter_box.fill("nfe > 10")
    expect(page.locator(".results tbody tr")).to_have_count(2)
    page.reload()
    screen(page, "results")
    expect(page.locator(".results tbody tr")).to_have_count(2)
    assert page.locator("[data-name=at]").input_value() == "nfe > 10"
    expect(page.locator("figure svg")).to_have_count(1, timeout=DONE)
    page.locator("summary", has_text="Parallel").click()
    expect(page.locator(".parallel path")).to_have_count(2)
    # Curves.
    go(page, home, "curves", "?node=score.power_spectrum")
    expect(page.locator(".plot canvas")).to_have_count(1)
    expect(page.locator(".legend li")).to_have_count(4)
    page.locator("[data-name=series]").wait_for()
    # Samples: one slider for all rows; one seed, the truth is not there.
    go(page, home, "samples")
    expect(page.locator(".shelves tr")).to_have_count(2)
    slider = page.locator(".slider input")
    expect(page.locator(".slider output")).to_have_text("nfe = 50")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".slider output")).to_have_text("nfe = 10")
    assert "now=10" in page.url, page.url
    sides = page.eval_on_selector_all(
        ".shelves img", "images => Promise.all(images.map(async image => { await image.decode(); return [image.naturalWidth, image.naturalHeight]; }))"
    )
    assert sides == [[4 * 8 + 3, 8]] * 2, sides
    # Graph: the slash goes to the filter; a node has a page.
    go(page, home, "graph")
    page.keyboard.press("/")
    page.keyboard.type("train cosine")
    expect(page.locator(".nodes tr")).to_have_count(2)
    expect(page.locator(".picks output")).to_have_text("2 of 21")
    assert "filter=train+cosine" in page.url, page.url
    page.locator(".nodes a").first.click()
    expect(page.locator(".node-page h2")).to_contain_text("net[schedule=cosine")
    expect(page.locator(".node-page")).to_contain_text("objective.ddpm.schedule: cosine")
    # Its nearest kin is that of the other seed, or of the other schedule.
    expect(page.locator(".node-page")).to_contain_text("from net[schedule=")
    for box in page.locator(".nodes input").all():
        box.check()
    page.locator(".picks a", has_text="Compare 2").click()
    # Compare: what differs, and nothing else.
    screen(page, "compare")
    rows = page.locator(".compare tbody tr th").all_text_contents()
    assert rows[1] == "seed" and rows[2] == "Metrics", rows
    # Nothing is wider than a telephone.
    page.set_viewport_size({"width": 380, "height": 800})
    for name in ["run", "results", "curves", "samples", "graph", "compare"]:
        go(page, home, name)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 380, (name, wide)


def live(page, home):
    """A run that goes on while it is watched: `net[schedule=cosine,...]` is slow."""
    expect(page.locator("#live")).to_have_text("● live")
    running = page.locator(".slots.now tr", has_text="net[schedule=")
    expect(running.first).to_be_visible(timeout=DONE)
    told = running.first.inner_text()
    assert re.search(r"\d+/\d+", told), told
    # Its curve is there before it is finished.
    go(page, home, "curves", "?node=net")
    expect(page.locator(".took")).to_contain_text("not finished", timeout=DONE)
    # It grows while nothing at all is published: a node tells more as it goes on.
    lines = """async () => {
        const answer = await fetch('/api/spec/lines?sweep=main&node=net&series=loss&column=mean');
        const { lines } = await answer.json();
        return Object.fromEntries(lines.filter(line => line.live).map(line => [line.key, line.x.length]));
    }"""
    before, grown = {}, False
    for _ in range(40):
        now = page.evaluate(lines)
        grown = any(key in before and count > before[key] for key, count in now.items())
        if grown:
            break
        before = now
        page.wait_for_timeout(250)
    assert grown, f"a running node's curve stands still: {now}, {page.locator('#summary').inner_text()}"
    # Metrics that nobody could pick when the page was opened come by themselves.
    go(page, home, "results")
    expect(page.locator(".results th", has_text="error")).to_be_visible(timeout=90_000)
    # Without anybody touching the page it sees the end.
    expect(page.locator("#summary")).to_have_text("21 finished", timeout=90_000)
    go(page, home, "graph", "?filter=finished")
    expect(page.locator(".picks output")).to_have_text("21 of 21")
    expect(page.locator("#graph svg")).to_be_visible()


def failed(page, home):
    """Failures come first, with their log; what needs them is blocked."""
    expect(page.locator("#summary")).to_have_text("11 finished · 2 failed · 8 blocked")
    headings = page.locator("main h2").all_text_contents()
    assert headings[0] == "Failures", headings
    expect(page.locator(".failure")).to_contain_text("and 1 more alike")
    expect(page.locator(".failure")).to_contain_text("failing as told")
    go(page, home, "graph", "?filter=blocked")
    expect(page.locator(".nodes tr")).to_have_count(8)


def many(page, home):
    """Ten thousand nodes: what is typed is answered at once."""
    go(page, home, "graph")
    total = page.locator(".picks output").inner_text().split(" of ")[1]
    assert int(total) >= 10_000, total
    assert page.locator(".nodes tr").count() == 200
    page.keyboard.press("/")
    page.keyboard.type("nfe=7, sample")
    expect(page.locator(".picks output")).to_have_text(f"30 of {total}")
    page.locator("[data-name=filter]").fill("sample seed=7]")
    page.locator("button", has_text="140 more").click()
    expect(page.locator(".nodes tr")).to_have_count(340)
    for name in ["run", "results", "curves", "samples", "compare"]:
        go(page, home, name)


with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    complaints = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    scene, address = sys.argv[1:]
    page.goto(address)
    screen(page, "run")
    home = page.url.split("#")[0]
    assert "token" not in page.url, page.url
    {"finished": finished, "live": live, "failed": failed, "many": many}[scene](page, home)
    assert not complaints, complaints
    browser.close()
