"""The commands evaluate, plot and conformance: files, errors, a cluster, a browser."""

import re
import shutil
import time
import xml.etree.ElementTree as ElementTree

import pytest
from click.testing import CliRunner
from PIL import Image

from runtime_math import ApiFamily, RuntimeContext, RuntimeMathKernel
from runtime_math.command_line import cli
from runtime_math.conformance import outcome
from runtime_math.evaluation import cluster, plots, results, run, timeline
from runtime_math.scenarios import generate

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
SMALL = ["--base", "nine", "--incident", "adv20", "--seeds", "1-2", "--calls", "4000"]


def invoke(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("evaluation")
    both = invoke("evaluate", *SMALL, "-o", path / "report.html")
    assert both.exit_code == 0, both.output
    alphas = ["--policy", "calibrated", "--alpha", "0.01", "--alpha", "0.05"]
    assert invoke("evaluate", *SMALL, *alphas, "-o", path / "results.json").exit_code == 0
    (path / "report.txt").write_text(both.output)
    return path


def test_evaluate_puts_the_policies_side_by_side(folder):
    text = (folder / "report.txt").read_text()
    faithful, calibrated = (
        next(line for line in text.splitlines() if name in line)
        for name in ("faithful", "calibrated")
    )
    assert "100.00" in faithful
    assert float(calibrated.split()[1]) < 4
    assert "8 runs" in text


def test_plot_writes_every_format(folder):
    for suffix in (".png", ".svg", ".html"):
        found = invoke("plot", folder / "results.json", "-o", folder / f"figure{suffix}")
        assert found.exit_code == 0, found.output
    assert Image.open(folder / "figure.png").size[0] > 500
    assert Image.open(folder / "figure-2.png").size[0] > 500
    assert ElementTree.parse(folder / "figure.svg").getroot().tag.endswith("svg")
    assert (folder / "figure.html").read_text().count("data:image/png") == 2


@pytest.mark.parametrize("policy", ["faithful", "calibrated"])
def test_a_trace_is_plotted_and_replayed(policy, tmp_path):
    kernel = RuntimeMathKernel(0, policy=policy)
    path = tmp_path / "trace.csv.gz"
    with kernel.record(path):
        for call in range(300):
            context = RuntimeContext(ApiFamily(call % 9), 4096 * call, 64, False, 3, False)
            decision = kernel.decide(0, context)
            kernel.observe_validation_result(context.family, decision.profile, 12, call > 250)
    found = timeline.of_trace(path)
    assert len(found.risk_ppm) == 300
    assert (found.cost_ns == 12).all()
    assert (found.codes is None) == (policy == "calibrated")
    assert invoke("plot", path, "-o", tmp_path / "trace.png").exit_code == 0
    replayed = invoke("conformance", tmp_path)
    assert replayed.exit_code == 0
    assert "trace: 600 calls, 0 mismatches" in replayed.output


def test_conformance_reports_mismatches_and_unreadable_traces(tmp_path):
    kernel = RuntimeMathKernel(0)
    kernel.note_overlap(1, 2, 3)  # not recorded: the replay starts from another state
    with kernel.record(tmp_path / "a.csv.gz"):
        kernel.decide(0, RuntimeContext.pointer_validation(64))
    assert invoke("conformance", tmp_path).exit_code == 1
    (tmp_path / "b.csv.gz").write_bytes(b"not a trace")
    found = invoke("conformance", tmp_path)
    assert found.exit_code == 2
    assert "cannot read" in found.output
    assert "b.csv.gz" in found.output


def test_timelines_show_the_incident_and_the_evidence_that_raised_the_alarm():
    scenario = generate(incident="adv20", seed=2)
    found = timeline.of_scenario(run.Policy("calibrated"), "strict", scenario)
    first = int(found.alarm[3000:].argmax()) + 3000
    assert found.evidence[first - 3 : first].sum(axis=1).max() > 0.05 * found.threshold
    figure = plots.timeline_figure(found)
    (legend,) = figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert len(labels) == len(set(labels))
    assert {"incident", "adverse outcomes", "threshold", "in alarm"} <= set(labels)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("evaluate", "--base", "nein"), "did you mean nine"),
        (("evaluate", "--incident", "adv21"), "did you mean"),
        (("evaluate", "--seeds", "x"), "seeds must look like"),
        (("evaluate", "--alpha", "2"), "alpha must be from"),
        (("evaluate", "-o", "report.txt"), "output must end in .html, .json"),
        (("evaluate", "-o", "/nowhere/at/all.html"), "is not a folder"),
        (("plot", "missing.json", "-o", "a.png"), "missing.json"),
        (("plot", "adv21", "-o", "a.png"), "did you mean"),
        (("plot", "adv20", "-o", "a.gif"), "output must end in"),
        (("conformance", "."), "no \\*.csv.gz files"),
    ],
)
def test_errors_are_one_sentence(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = invoke(*arguments)
    assert found.exit_code == 2
    last = found.output.strip().splitlines()[-1]
    assert re.search(message, last), found.output


@pytest.mark.parametrize("command", [("evaluate", *SMALL), ("conformance",)])
def test_an_unreachable_cluster_is_told_within_ten_seconds(command, tmp_path):
    pytest.importorskip("distributed")
    if command == ("conformance",):
        (tmp_path / "a.csv.gz").write_bytes(b"")
        command = ("conformance", tmp_path)
    start = time.monotonic()
    found = invoke(*command, "--dask", "tcp://127.0.0.1:9")
    assert time.monotonic() - start < 12
    assert found.exit_code == 1
    assert "no Dask scheduler answers at tcp://127.0.0.1:9" in found.output


def test_two_workers_give_identical_results(tmp_path):
    distributed = pytest.importorskip("distributed")
    kernel = RuntimeMathKernel(0, policy="calibrated", monitors="none")
    for name in "ab":
        with kernel.copy().record(tmp_path / f"{name}.csv.gz") as recorded:
            recorded.decide(0, RuntimeContext.pointer_validation(64))
    tasks = run.plan([run.Policy("calibrated")], ["strict"], ["nine"], None, (1, 2, 3), 3000)
    files = sorted(map(str, tmp_path.glob("*.csv.gz")))
    # Here first: the workers then load machine code instead of compiling it twice.
    expected, replays = run.run_here(tasks), list(map(outcome, files))
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    ) as local:
        address = local.scheduler_address
        assert cluster.run_on_cluster(run.run_task, tasks, address) == expected
        replayed = cluster.run_on_cluster(outcome, files, address)
    assert replayed == replays
    assert [(each.calls, each.mismatches) for each in replays] == [(1, 0)] * 2
    assert results.summarise(expected)[0]["runs"] == 3


@pytest.fixture
def browser():
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("chromium and chromedriver are not installed")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def test_the_report_in_chromium(browser, folder):
    from selenium.webdriver.common.by import By

    browser.get((folder / "report.html").as_uri())
    images = browser.find_elements(By.CSS_SELECTOR, "figure img")
    assert len(images) >= 3
    for image in images:
        assert int(image.get_property("naturalWidth")) > 500
        assert image.get_attribute("alt")
    assert [table for table in browser.find_elements(By.TAG_NAME, "table") if table.is_displayed()]
    script = "return performance.getEntriesByType('resource').map(entry => entry.name)"
    loaded = browser.execute_script(script)
    assert all(name.startswith("data:") for name in loaded)
    assert browser.get_log("browser") == []
