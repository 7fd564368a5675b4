"""What the policy promises and what it does in the situations that its page describes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime_math.calibrated import policy
from runtime_math.calibrated.policy_state import GLOBAL, STATE, alarm_evidence
from runtime_math.calibrated.state import new_state
from runtime_math.calibrated.status import status_of
from runtime_math.calibrated.streams import Stream
from runtime_math.call_context import CallContext
from runtime_math.decision import RISK_MASK
from runtime_math.evaluation.loop import STEP, run_calibrated
from runtime_math.numerics.compilation import jitted
from runtime_math.scenarios import generate
from runtime_math.types import ApiFamily

EXPLORATION = 1 / 256
BUCKET_RATE = 0.005


def newborn(mode=0, **settings):
    return new_state(mode, monitors="none", **settings)["policy"][0].copy()


def run(state, scenario, mode=0):
    steps = np.zeros(len(scenario.calls), STEP)
    run_calibrated(state, mode, scenario.calls, steps)
    return steps


def finite_everywhere(record):
    for name in record.dtype.names:
        value = record[name]
        if value.dtype.names:
            if not all(finite_everywhere(item) for item in np.atleast_1d(value).ravel()):
                return False
        elif value.dtype.kind == "f" and not np.isfinite(value).all():
            return False
    return True


@jitted
def time_to_alarm(state, seed, calls, adverse_rate):
    """Observations of independent clean calls until the first alarm; `calls` when none comes."""
    np.random.seed(seed)
    for call in range(calls):
        family = np.random.randint(0, 9)
        luck = np.random.random()
        policy.observe(
            state, family, 0, np.uint64(6 + 14 * luck), np.random.random() < adverse_rate
        )
        if state.alarms[9].count > 0 or state.alarms[family].count > 0:
            return call + 1
    return calls


def test_mean_time_to_a_false_alarm_is_at_least_its_bound():
    # A small threshold, so that false alarms happen at all: 150 runs of independent clean calls.
    bound = alarm_evidence(0.3)
    assert bound < 400
    times = [time_to_alarm(newborn(alpha_alarm=0.3), seed, 6000, 0.005) for seed in range(150)]
    error = np.std(times) / np.sqrt(len(times))
    assert min(times) < 6000
    assert np.mean(times) - 3 * error >= bound


def test_false_alarms_on_clean_traffic_stay_within_one_per_threshold():
    alarms = calls = 0
    for seed in range(12):
        steps = run(newborn(), generate("nine", seed=seed))
        alarms += steps["raised"].sum()
        calls += len(steps)
    assert alarms / calls <= 1 / alarm_evidence()


@pytest.mark.parametrize("base", ["single", "nine", "bursts", "weekly", "hetero"])
def test_clean_escalation_is_within_its_bound(base):
    scenario = generate(base, seed=21)
    settled = run(newborn(**scenario.settings), scenario)[2000:]
    assert settled["escalated"].mean() <= EXPLORATION + BUCKET_RATE + 0.0109


@given(
    calls=st.lists(
        st.tuples(st.integers(0, 8), st.booleans(), st.booleans(), st.sampled_from([0, 10, 5000])),
        min_size=20,
        max_size=60,
    ),
    repeats=st.integers(1, 60),
)
@settings(max_examples=25)
def test_the_token_bucket_bounds_unusual_calls_for_every_input(calls, repeats):
    state = newborn()
    sequence = calls * repeats
    for family, bloom_negative, is_write, size in sequence:
        context = CallContext(family, np.uint64(64), np.uint64(size), is_write, 0, bloom_negative)
        policy.decide_packed(state, 0, context)
    assert state["bucket"]["spent"] <= 16 + BUCKET_RATE * len(sequence)
    assert state["escalations"] == state["bucket"]["spent"] + state["explorations"]


EXTREME = st.sampled_from([0, 1, 2**31, 2**32, 2**47, 2**63, 2**64 - 1])


@jitted
def repeat_call(state, call, times):
    family, addr, size, is_write, contention, bloom, profile, cost, adverse = call
    for _ in range(times):
        context = CallContext(family, addr, size, is_write, contention, bloom)
        policy.decide_packed(state, 0, context)
        policy.observe(state, family, profile, cost, adverse)
        policy.note_overlap(state, not adverse)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 8),
            EXTREME,
            EXTREME,
            st.booleans(),
            st.sampled_from([0, 1, 65535]),
            st.booleans(),
            st.integers(0, 1),
            EXTREME,
            st.booleans(),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_whatever_comes_in_every_learnt_quantity_stays_finite(calls):
    state = newborn()
    for family, addr, size, is_write, contention, bloom, profile, cost, adverse in calls:
        call = (
            family, np.uint64(addr), np.uint64(size), is_write, contention, bloom, profile,
            np.uint64(cost), adverse,
        )  # fmt: skip
        repeat_call(state, call, 700)
    assert finite_everywhere(state)
    assert (state["rates"]["bound"] <= 0.05).all()


def test_one_wild_call_raises_no_alarm_that_lasts():
    scenario = generate("nine", seed=4, calls=5000)
    calls = scenario.calls
    wild = calls[3000]
    wild["addr_hint"], wild["requested_bytes"] = 2**64 - 1, 2**27
    wild["contention_hint"], wild["bloom_negative"], wild["adverse"] = 65535, True, True
    wild["cost_factor"], wild["overlap"] = 1e17, 2
    state = newborn()
    steps = run(state, scenario)
    assert not steps["alarm"][3300:].any()
    assert finite_everywhere(state)


def test_born_under_attack_is_not_accepted_as_normal():
    scenario = generate(incident="adv20", seed=2, calls=12_000, start=0, end=12_000)
    state = newborn()
    steps = run(state, scenario)
    assert steps["alarm"][600:].mean() > 0.97
    status = status_of(state)
    assert status.alarms
    assert len(status.over_ceiling) >= 7
    assert all(known.bound <= 0.05 for known in status.adverse.values())
    # A ceiling that allows it makes the same process normal.
    tolerant = run(newborn(adverse_ceiling=0.4), scenario)
    assert tolerant["alarm"][4000:].mean() < 0.05


def test_a_lasting_attack_never_becomes_normal_but_a_lasting_load_does():
    attack = generate(incident="adv20", seed=3, calls=30_000, start=3000, end=30_000)
    assert run(newborn(), attack)["alarm"][-5000:].mean() > 0.97
    load = generate(incident="lat2", seed=3, calls=30_000, start=3000, end=30_000)
    steps = run(newborn(), load)
    assert steps["alarm"][3000:3100].any()
    assert steps["alarm"][-10_000:].mean() < 0.02
    assert steps["escalated"][3000:].mean() < 0.05


def test_an_alarm_of_slowness_escalates_a_share_only():
    scenario = generate(incident="lat2", seed=6)
    none, every = (run(newborn(latency_share=share), scenario) for share in (0.0, 1.0))
    window = slice(3050, 3600)
    assert none["escalated"][window].mean() < 0.05
    assert every["escalated"][window].mean() > 0.9


def test_an_attack_during_a_storm_is_still_found():
    scenario = generate(incident="lat2", seed=8, calls=8000, end=8000)
    attack = generate(incident="adv20", seed=8, calls=8000, start=4000, end=5500)
    scenario.calls["adverse"] = attack.calls["adverse"]
    steps = run(newborn(), scenario)
    assert steps["escalated"][4100:5500].mean() > 0.9


def test_an_incident_during_warm_up_is_found():
    scenario = generate(incident="adv50", seed=1, calls=4000, start=1000, end=1500)
    steps = run(newborn(), scenario)
    assert steps["alarm"][1000:1040].any()
    assert not steps["alarm"][2500:].any()


def test_an_incident_that_ended_before_the_first_alarm_leaves_nothing():
    scenario = generate(incident="adv50", seed=1, calls=4000, start=100, end=300)
    assert run(newborn(), scenario)["alarm"][1500:].mean() < 0.1


def test_a_service_of_one_family_is_found_and_recovers():
    scenario = generate("single", incident="adv20", seed=5)
    steps = run(newborn(), scenario)
    assert not steps["alarm"][2000:3000].any()
    assert steps["alarm"][3000:3100].any()
    assert not steps["alarm"][5200:].any()


def test_a_family_first_seen_after_100_000_calls_is_no_incident():
    scenario = generate("nine", seed=9, calls=110_000)
    calls = scenario.calls
    early = calls[:100_000]
    early["family"][early["family"] == 7] = 6
    steps = run(newborn(), scenario)
    assert not steps["alarm"][100_000:].any()
    assert steps["escalated"][100_000:].mean() < 0.03


def test_ten_million_clean_calls():
    state, escalated, alarms = newborn(), 0, 0
    scenario = generate("nine", seed=31, calls=500_000)
    for _ in range(20):
        steps = run(state, scenario)
        escalated += int(steps["escalated"].sum())
        alarms += int(steps["raised"].sum())
    assert escalated / 1e7 <= 0.0199
    assert alarms <= 1e7 / alarm_evidence()
    assert finite_everywhere(state)
    rates = status_of(state).adverse
    observed = scenario.calls["adverse"].mean()
    assert all(abs(known.rate - observed) < 0.004 for known in rates.values())


def test_the_cause_and_the_family_are_named_and_the_onset_dated():
    scenario = generate(incident="onefam", seed=2)
    state = newborn()
    run(state, type(scenario)("nine", "onefam", 2, 3000, 4500, scenario.calls[:3400]))
    (alarm,) = status_of(state).alarms
    assert alarm.family is ApiFamily.STRING_MEMORY
    assert alarm.cause is Stream.FAMILY_ADVERSE
    assert abs(alarm.onset_call - 3000) < 120
    assert "string_memory" in str(alarm)


def test_risk_reaches_the_trigger_exactly_in_a_serious_alarm():
    for mode, trigger in ((0, 220_000), (1, 80_000)):
        scenario = generate(incident="adv20", seed=7)
        steps = run(newborn(mode), scenario, mode)
        risk = steps["decision"] & RISK_MASK
        assert (steps["alarm"] == (risk >= trigger)).all()


def test_acknowledging_a_lasting_attack_makes_it_normal():
    scenario = generate(incident="adv20", seed=3, calls=30_000, start=3000, end=30_000)
    state = newborn()
    first = type(scenario)("nine", "adv20", 3, 3000, 30_000, scenario.calls[:10_000])
    assert run(state, first)["alarm"][-100:].all()
    from runtime_math.calibrated.acknowledgement import acknowledge

    acknowledge(state, -1)
    assert not state["alarms"]["active"].any()
    rest = type(scenario)("nine", "adv20", 3, 3000, 30_000, scenario.calls[10_000:])
    steps = run(state, rest)
    assert steps["alarm"].mean() < 0.05
    assert status_of(state).adverse[ApiFamily.STDIO].rate > 0.1


def test_resetting_an_alarm_learns_nothing():
    from runtime_math.calibrated.acknowledgement import reset_alarms

    scenario = generate(incident="adv20", seed=3, calls=5000, end=5000)
    state = newborn()
    run(state, scenario)
    assert state["alarms"]["active"][GLOBAL]
    before = state["rates"].copy()
    reset_alarms(state, -1)
    assert not state["alarms"]["active"].any()
    assert state["rates"] == before
    assert run(state, scenario)["alarm"][3000:].mean() > 0.9


def test_the_record_is_small():
    assert STATE.itemsize <= 64 * 1024
    assert all(new_state(0, monitors=kind).nbytes <= 128 * 1024 for kind in ("all", "none"))
