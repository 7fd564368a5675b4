"""The microlocal monitor against a direct transcription of its definition, and bad input."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_math.monitors.microlocal import Microlocal, MicrolocalState, Stratum

STRATA = st.sampled_from(Stratum)
TRANSFERS = st.lists(st.tuples(STRATA, STRATA, st.booleans()), min_size=70, max_size=250)
# Streams that stay on one boundary for a while reach every state; uniform ones seldom do.
REPEATED = st.lists(
    st.tuples(STRATA, STRATA, st.booleans(), st.integers(1, 60)), min_size=3, max_size=8
).map(lambda runs: [run[:3] for run in runs for _ in range(run[3])])


def definition(transfers):
    """Yield (state, mask, densities, overall rate) after every transfer, recomputed in full."""
    density, overall = [0.0] * 4, 0.0
    for count, (origin, target, adverse) in enumerate(transfers, 1):
        crossing = origin != target
        density[target] += 0.02 * (crossing - density[target])
        overall += 0.02 * ((crossing and adverse) - overall)
        active = max((stratum + 1 for stratum in Stratum if density[stratum] >= 0.15), default=0)
        if count < 64:
            state = MicrolocalState.CALIBRATING
        elif active >= 3 or overall >= 0.40:
            state = MicrolocalState.SINGULAR_SUPPORT
        elif active >= 1 and overall >= 0.25:
            state = MicrolocalState.FAULT_BOUNDARY
        else:
            state = MicrolocalState.PROPAGATING
        yield state, 2**active - 1, density, overall


@given(TRANSFERS | REPEATED)
def test_agrees_with_its_definition_and_counts_entries(transfers):
    monitor, plain = Microlocal(), Microlocal()
    previous, entries = MicrolocalState.CALIBRATING, {2: 0, 3: 0}
    for transfer, (state, mask, density, overall) in zip(
        transfers, definition(transfers), strict=True
    ):
        assert monitor.observe_and_update(*transfer) == plain.observe(*transfer) == state
        assert monitor.wavefront_bits == mask
        for stratum in Stratum:
            assert monitor.is_non_characteristic(stratum) == (not mask >> stratum & 1)
        values = monitor.summary
        assert values.max_conormal_density == pytest.approx(max(density), rel=1e-12)
        assert values.propagation_failure_rate == pytest.approx(overall, rel=1e-12)
        if state != previous and state in entries:
            entries[state] += 1
        previous = state
    assert (values.fault_boundary_count, values.singular_support_count) == (entries[2], entries[3])
    assert (plain.summary.fault_boundary_count, plain.summary.singular_support_count) == (0, 0)


@given(st.lists(STRATA, max_size=120))
def test_a_fault_inside_one_stratum_is_no_failure(strata):
    monitor = Microlocal()
    for stratum in strata:
        state = monitor.observe_and_update(stratum, stratum, True)
        assert state in (MicrolocalState.CALIBRATING, MicrolocalState.PROPAGATING)
    assert monitor.summary.propagation_failure_rate == 0.0


def test_nine_crossings_activate_and_94_transfers_within_clear():
    monitor = Microlocal()
    for crossings in range(1, 10):
        monitor.observe(Stratum.NORMAL_FLOW, Stratum.LONGJMP_BOUNDARY, False)
        assert monitor.wavefront_bits == (0b111 if crossings == 9 else 0)
    for _ in range(2_000):
        monitor.observe(Stratum.NORMAL_FLOW, Stratum.LONGJMP_BOUNDARY, False)
    assert monitor.summary.max_conormal_density == pytest.approx(1.0)
    for inner in range(1, 95):
        monitor.observe(Stratum.LONGJMP_BOUNDARY, Stratum.LONGJMP_BOUNDARY, False)
        assert monitor.wavefront_bits == (0 if inner == 94 else 0b111)


def test_a_density_decays_to_a_subnormal_and_stays_there():
    monitor = Microlocal()
    monitor.observe(Stratum.NORMAL_FLOW, Stratum.SIGNAL_BOUNDARY, True)
    monitor.record["conormal_density"][1] = 2.0**-1060
    for _ in range(1_000):
        monitor.observe(Stratum.SIGNAL_BOUNDARY, Stratum.SIGNAL_BOUNDARY, False)
    assert monitor.record["conormal_density"][1] == math.ldexp(24.0, -1074)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((4, 0, True), ValueError, "from_stratum must be a member of Stratum"),
        ((0, -1, True), ValueError, "to_stratum must be a member of Stratum"),
        ((0, 1, 1), TypeError, "adverse must be a bool"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(arguments, error, message):
    monitor = Microlocal()
    before = monitor.record.tobytes()
    with pytest.raises(error, match=message):
        monitor.observe_and_update(*arguments)
    assert monitor.record.tobytes() == before
