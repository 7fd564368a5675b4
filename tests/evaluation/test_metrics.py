"""Metrics on runs made by hand, summaries, bars, results files, the plan."""

import json

import numpy as np
import pytest

from runtime_math.evaluation import acceptance, metrics, results, run, tables
from runtime_math.evaluation.loop import STEP
from runtime_math.scenarios import generate


def quiet_steps(count):
    steps = np.zeros(count, STEP)
    steps["cost_ns"] = 13
    return steps


def mark(steps, start, end):
    steps["alarm"][start:end] = steps["escalated"][start:end] = True
    steps["decision"][start:end] = 3 << 20
    steps["raised"][start] = True


def test_clean_metrics():
    steps = quiet_steps(4000)
    mark(steps, 100, 300)
    mark(steps, 3000, 3020)
    figures = metrics.clean_metrics(steps)
    assert figures.escalated == pytest.approx(0.01)
    assert figures.flips == pytest.approx(1000 * 2 / 1999)
    assert (figures.false_alarms, figures.calls, figures.cost_ns) == (1, 2000, 13.0)


def test_incident_metrics():
    scenario = generate(incident="adv20", seed=1)
    steps = quiet_steps(6500)
    mark(steps, 3020, 4600)
    figures = metrics.incident_metrics(scenario, steps)
    assert (figures.delay, figures.missed, figures.pre_alarmed) == (20, False, False)
    assert figures.inside == pytest.approx(1480 / 1500)
    bad = scenario.calls["bad"][3000:4500]
    assert figures.covered == pytest.approx(bad[20:].sum() / bad.sum())
    assert figures.recovery == 100


def test_pre_alarmed_and_missed_runs_have_no_delay():
    scenario = generate(incident="adv20", seed=1)
    steps = quiet_steps(6500)
    figures = metrics.incident_metrics(scenario, steps)
    assert (figures.delay, figures.missed, figures.recovery) == (None, True, 0)
    mark(steps, 2000, 6500)
    figures = metrics.incident_metrics(scenario, steps)
    assert (figures.delay, figures.pre_alarmed, figures.recovery) == (None, True, None)


def test_a_family_s_delay_runs_to_the_first_call_of_that_family():
    scenario = generate(incident="rarefam", seed=1)
    steps = quiet_steps(6500)
    mark(steps, 3010, 4500)
    own = np.flatnonzero(scenario.calls["family"][3010:] == 7)[0] + 10
    assert metrics.incident_metrics(scenario, steps).delay == own


def test_a_burst_may_be_detected_within_its_grace():
    scenario = generate(incident="burst15", seed=1)
    steps = quiet_steps(6500)
    mark(steps, 3000 + 15 + 199, 3300)
    assert metrics.incident_metrics(scenario, steps).delay == 214
    late = quiet_steps(6500)
    mark(late, 3000 + 15 + 200, 3300)
    assert metrics.incident_metrics(scenario, late).missed


def test_recovery_allows_five_of_a_hundred():
    escalated = np.zeros(1000, bool)
    escalated[:40] = True
    escalated[[45, 60, 70, 80, 90]] = True
    assert metrics.recovery_calls(escalated, 0) == 40
    escalated[100] = True
    assert metrics.recovery_calls(escalated, 0) == 46


def test_seeds():
    assert run.parse_seeds("3, 1-2,2") == (3, 1, 2)
    for text in ("", "a", "1-", "-1", "7-3", "0-99999", "1.5"):
        with pytest.raises(ValueError, match="seeds"):
            run.parse_seeds(text)


def test_plan_names_the_nearest():
    policies = [run.Policy("calibrated")]
    with pytest.raises(ValueError, match="did you mean bursts"):
        run.plan(policies, ["strict"], bases=["burst"])
    with pytest.raises(ValueError, match="did you mean adv"):
        run.plan(policies, ["strict"], incidents=["adv3"])
    with pytest.raises(ValueError, match="unknown policy"):
        run.Policy("latched")
    assert len(run.plan(policies, ["strict"], incidents=["adv2"], seeds=(1, 2))) == 2


@pytest.fixture(scope="module")
def runs():
    policies = [run.Policy("calibrated"), run.Policy("calibrated", 0.05)]
    tasks = run.plan(policies, ["strict"], ["nine"], ["adv20", "lat2"], (1, 2), calls=6000)
    return run.run_here(tasks)


def test_processes_do_not_change_results(runs):
    policies = [run.Policy("calibrated"), run.Policy("calibrated", 0.05)]
    tasks = run.plan(policies, ["strict"], ["nine"], ["adv20", "lat2"], (1, 2), calls=6000)
    seen = []
    again = run.run_here(tasks, jobs=2, progress=lambda *state: seen.append(state[:2]))
    assert again == runs
    assert seen[-1] == (12, 12)


def test_results_file(runs, tmp_path):
    path = tmp_path / "results.json"
    results.write(path, results.document(runs, "a command"))
    found = results.read(path)
    assert found["runs"] == runs
    assert found["summary"] == results.summarise(runs)
    assert "adv20" in tables.render(found["summary"])
    for damage, message in (
        ({"version": 2}, "has version 2; this release reads version 1"),
        ({"format": "other"}, "is not a results file of an evaluation"),
        ({"runs": None}, "is damaged"),
    ):
        path.write_text(json.dumps({**found, **damage}))
        with pytest.raises(results.ResultsError, match=message):
            results.read(path)
    path.write_text("{")
    with pytest.raises(results.ResultsError, match="does not hold JSON"):
        results.read(path)


def test_bars(runs):
    found = {check.figure: check for check in acceptance.checks(results.summarise(runs))}
    assert found["adv20: escalated inside (%)"].met
    assert not found["adv20: escalated inside (%)"]._replace(measured=10.0).met
    assert not found["adv20: median delay (calls)"]._replace(measured=None).met
    assert acceptance.checks([]) == []
