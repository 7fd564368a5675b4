"""The flamegraph in a real browser: frames of jitted functions, zoom, search; and the page."""

import os
import re
import shutil
import xml.etree.ElementTree as ElementTree

import pytest

from profiling import aggregate
from profiling.render import flamegraph, speedscope
from profiling.resolve import INLINED, JITTED, PYTHON, Frame, Stack

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
SVG = "{http://www.w3.org/2000/svg}"


def stack(count, *names, kinds=(PYTHON, JITTED, INLINED), phase="run"):
    frames = tuple(
        Frame(name, f"{name}.py", 1, kind) for name, kind in zip(names, kinds, strict=False)
    )
    return Stack(phase, 1, "1", frames, count)


@pytest.fixture(scope="module")
def folded():
    return aggregate.fold(
        [
            stack(60, "main", "kernel.decide", "design.logdet"),
            stack(10, "main", "kernel.decide", "risk.bound <&>"),
            stack(20, "main", "kernel.observe"),
            stack(10, "compile_extra", phase="compile"),
        ]
    )


def boxes(svg):
    root = ElementTree.fromstring(svg)
    return {
        each.get("data-name"): each for each in root.iter(SVG + "g") if each.get("class") == "frame"
    }


def test_boxes_nest_and_their_widths_are_their_shares(folded):
    found = boxes(flamegraph.render(folded, "a <title>"))
    widths = {name: float(each.find(SVG + "rect").get("width")) for name, each in found.items()}
    whole = widths["all"]
    assert widths["run"] / whole == pytest.approx(0.9, abs=1e-3)
    assert widths["kernel.decide"] / whole == pytest.approx(0.7, abs=1e-3)
    assert widths["risk.bound <&>"] / whole == pytest.approx(0.1, abs=1e-3)
    inner, outer = found["design.logdet"], found["kernel.decide"]
    assert int(inner.get("data-level")) == int(outer.get("data-level")) + 1
    assert int(outer.get("data-start")) <= int(inner.get("data-start"))


def test_stacks_may_be_deeper_than_pythons_own():
    """A program that recurses 5000 times has a flamegraph too, no taller than what is drawn."""
    names = [f"f{level}" for level in range(5000)]
    deep = aggregate.fold([stack(1, *names, kinds=(PYTHON,) * 5000), stack(20_000, "main")])
    assert len(boxes(flamegraph.render(deep, "deep", baseline=deep))) < 10
    alone = aggregate.fold([stack(1, *names, kinds=(PYTHON,) * 5000)])
    assert len(boxes(flamegraph.render(alone, "deep"))) == 5002


def test_differential_colours_tell_growth(folded):
    grown = aggregate.fold(
        [
            stack(60, "main", "kernel.decide", "design.logdet"),
            stack(140, "main", "kernel.observe"),
        ]
    )
    found = boxes(flamegraph.render(grown, "x", baseline=folded))

    def colour(name):
        red, _, blue = map(int, re.findall(r"\d+", found[name].find(SVG + "rect").get("fill")))
        return red - blue

    assert colour("kernel.observe") > 0 > colour("design.logdet")


def test_speedscope_weights_are_the_samples(folded):
    document = speedscope.render(folded, "x")
    run, compiled = document["profiles"]
    assert (run["endValue"], compiled["endValue"]) == (90, 10)
    assert sum(run["weights"]) == 90
    frames = document["shared"]["frames"]
    innermost = [frames[sample[-1]]["name"] for sample in run["samples"]]
    weights = dict(zip(innermost, run["weights"], strict=True))
    assert weights["design.logdet"] == 60


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("chromium and chromedriver are not installed")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.mark.parametrize("embedded", [False, True], ids=["svg", "page"])
def test_zoom_and_search_in_chromium(browser, folded, tmp_path, embedded):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.by import By

    svg = flamegraph.render(folded, "kernel")
    path = tmp_path / ("page.html" if embedded else "flamegraph.svg")
    path.write_text(f"<!DOCTYPE html><body>{svg}</body>" if embedded else svg)
    browser.get(path.as_uri())

    def box(name):
        return browser.find_element(By.CSS_SELECTOR, f'g.frame[data-name="{name}"]')

    def shown_width(name):
        element = box(name)
        return element.rect["width"] if element.is_displayed() else 0

    whole = shown_width("all")
    assert box("design.logdet").get_attribute("data-kind") == INLINED
    assert shown_width("kernel.decide") == pytest.approx(0.7 * whole, rel=0.02)

    box("kernel.decide").find_element(By.TAG_NAME, "rect").click()
    assert shown_width("kernel.decide") == pytest.approx(whole, rel=0.02)
    assert shown_width("design.logdet") == pytest.approx(6 / 7 * whole, rel=0.02)
    assert shown_width("kernel.observe") == 0

    reset = browser.find_element(By.CSS_SELECTOR, "text.reset")
    reset.click()
    assert shown_width("kernel.decide") == pytest.approx(0.7 * whole, rel=0.02)
    assert shown_width("kernel.observe") > 0

    browser.find_element(By.CSS_SELECTOR, "input.search").click()
    ActionChains(browser).send_keys("logdet|observe").perform()
    marked = browser.find_elements(By.CSS_SELECTOR, "g.frame.match")
    names = {element.get_attribute("data-name") for element in marked}
    assert names == {"design.logdet", "kernel.observe"}
    assert "80.0 %" in browser.find_element(By.CSS_SELECTOR, "text.matched").text
    severe = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert not [entry for entry in severe if "favicon" not in entry["message"]]
    assert os.path.getsize(path) > 2000
