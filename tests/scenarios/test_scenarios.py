"""Scenario generators: their rates and labels, pairing, the closed loop, and bad input."""

import numpy as np
import pytest

from runtime_math.scenarios import (
    BASES,
    INCIDENTS,
    Overlap,
    base,
    generate,
    validation_cost_ns,
)
from runtime_math.scenarios.bases import HETEROGENEOUS_ADVERSE_RATES, fill
from runtime_math.scenarios.traffic import ADDRESS_LIMIT, FAMILY_WEIGHTS, draw_contention


def rate_agrees(hits, rate):
    return abs(hits.mean() - rate) <= 4.5 * np.sqrt(rate * (1 - rate) / len(hits))


@pytest.mark.parametrize("name", BASES)
def test_clean_rates_of_every_base(name):
    calls = generate(name, seed=3, calls=100_000).calls
    assert rate_agrees(calls["bloom_negative"], 0.01)
    assert rate_agrees(calls["is_write"], 0.3)
    assert rate_agrees(calls["overlap"] == Overlap.CONSISTENT, 0.01)
    assert not (calls["overlap"] == Overlap.INCONSISTENT).any()
    assert not calls["affected"].any()
    assert (calls["addr_hint"] < ADDRESS_LIMIT).all()
    assert (calls["addr_hint"] % 16 == 0).all()
    assert 0.5 < calls["cost_luck"].mean() / 0.5 < 1.5


def test_family_shares_and_sizes_of_the_plain_base():
    calls = generate("nine", seed=1, calls=100_000).calls
    for family, weight in enumerate(FAMILY_WEIGHTS):
        own = calls[calls["family"] == family]
        assert rate_agrees(calls["family"] == family, weight)
        centre, spread = (5.5, 1.2) if family in (1, 2, 3) else (4.0, 0.8)
        logs = np.log(own["requested_bytes"] + 0.5)
        assert logs.mean() == pytest.approx(centre, abs=0.05)
        assert logs.std() == pytest.approx(spread, rel=0.05)
    assert rate_agrees(calls["adverse"], 0.005)
    pages = np.unique(calls["addr_hint"] >> np.uint64(12), return_counts=True)[1]
    assert (pages > 100).sum() == 64


def test_heterogeneous_families_keep_their_rates_and_their_company():
    calls = generate("hetero", seed=2, calls=400_000).calls
    assert (calls["family"][1:] == calls["family"][:-1]).mean() > 0.98
    for family, rate in enumerate(HETEROGENEOUS_ADVERSE_RATES):
        assert calls["adverse"][calls["family"] == family].mean() == pytest.approx(rate, rel=0.4)


@pytest.mark.parametrize("name", INCIDENTS)
def test_an_incident_changes_its_window_only(name):
    kind = INCIDENTS[name]
    troubled = generate(incident=name, seed=11)
    clean = generate(kind.base, seed=11, calls=len(troubled))
    start, end = troubled.start, troubled.end
    assert end - start == kind.length
    outside = np.r_[0:start, end : len(troubled)]
    assert (troubled.calls[outside] == clean.calls[outside]).all()
    window, before = troubled.calls[start:end], clean.calls[start:end]
    assert (window != before).any()
    assert window["affected"].any()
    assert not window["bad"][~window["affected"]].any()


def test_incident_rates():
    def window(name, seed=5):
        found = generate(incident=name, seed=seed, calls=60_000, start=10_000, end=50_000)
        return found.calls[found.start : found.end]

    assert rate_agrees(window("adv20")["adverse"], 0.20)
    assert rate_agrees(window("overlap")["overlap"] == Overlap.INCONSISTENT, 0.05)
    own = window("rarefam")
    assert rate_agrees(own["adverse"][own["family"] == 7], 0.30)
    assert rate_agrees(own["adverse"][own["family"] != 7], 0.005)
    huge = window("oversize")["requested_bytes"]
    assert rate_agrees(huge >= 2**26, 0.05)
    assert huge.max() < 2**30
    pattern = window("pat_adv")["adverse"]
    assert (np.diff(np.flatnonzero(pattern)) == 10).all()
    ordered = window("pat_fam")["family"]
    assert (ordered[:20] == ordered[20:40]).all()
    assert np.bincount(ordered[:20], minlength=9).tolist() == [4, 4, 4, 2, 2, 1, 1, 1, 1]


def test_cost_is_decided_by_what_was_run():
    luck = np.random.default_rng(1).random(2000)
    fast = np.array([validation_cost_ns(u, 1.0, False) for u in luck])
    full = np.array([validation_cost_ns(u, 1.0, True) for u in luck])
    assert (fast.min(), fast.max()) == (6, 19)
    assert (full.min(), full.max()) == (60, 179)
    assert validation_cost_ns(0.5, 2.0, False) == 26


def test_contention_is_a_floored_exponential():
    drawn = draw_contention(np.random.default_rng(1), 200_000, 4.0)
    assert (drawn == 0).mean() == pytest.approx(1 - np.exp(-0.25), abs=0.005)


def test_a_base_of_ones_own():
    @base("quiet", "no contention", adverse_ceiling=0.01)
    def _quiet(traffic):
        fill(traffic, mean_contention=0.0)

    try:
        scenario = generate("quiet", incident="lat2", seed=1, calls=3100)
        assert not scenario.calls["contention_hint"].any()
        assert scenario.settings == {"adverse_ceiling": 0.01}
        assert (scenario.start, scenario.end) == (3000, 3100)
    finally:
        del BASES["quiet"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"base": "nein"}, ValueError, "unknown base 'nein'; did you mean nine"),
        ({"incident": "adv21"}, ValueError, "unknown incident 'adv21'; did you mean adv2"),
        ({"base": 7}, TypeError, "base must be a name"),
        ({"seed": -1}, ValueError, "seed must be from 0"),
        ({"seed": 1.5}, TypeError, "seed must be an integer"),
        ({"calls": 0}, ValueError, "calls must be from 1"),
        ({"base": "nine", "start": 10}, ValueError, "start and end belong to an incident"),
        ({"incident": "lat2", "start": 7000}, ValueError, "start must be from 0 to 6499"),
        ({"incident": "lat2", "start": 50, "end": 50}, ValueError, "end must be from 51"),
    ],
)
def test_bad_input(arguments, error, message):
    with pytest.raises(error, match=message):
        generate(**arguments)
