"""Which heavy monitors are worth their nanoseconds on this call?

Every probe is modelled as a linear measurement of four latent factors. The controller accumulates
the Fisher information of the probes that ran and plans the next call by sequential D-optimal
design: greedily, the probes whose rank-one update promises the largest gain of log-determinant per
nanosecond, within a budget set by the mode; a few probes are mandatory. The log-determinant also
gives a score of how identifiable the factors are.

The gain of a probe with features v and weight w is log(1 + w v'F^-1 v) (matrix determinant lemma),
so that a plan needs one inverse instead of one factorisation per probe. Recorded plans stem from
factorisations; where the short form could round to another answer, the long one decides.

References
----------
.. [1] F. Pukelsheim, "Optimal Design of Experiments", Wiley, 1993.
.. [2] A. C. Atkinson, A. N. Donev, R. D. Tobias, "Optimum Experimental Designs, with SAS", Oxford
       University Press, 2007.
"""

import math
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, flag, integer, member, operation, reading, uint32
from runtime_math.numerics.bits import count_ones
from runtime_math.numerics.compilation import jitted
from runtime_math.types import PPM, PROBE_COUNT, Probe, SafetyLevel

ALL_PROBES = (1 << PROBE_COUNT) - 1
PROBE_COST_NS = (20, 28, 30, 8, 10, 12, 8, 16, 12, 10, 10, 12, 10, 8, 10, 6, 8)
FEATURES = (
    (1.0, 0.7, 0.2, 0.4),
    (0.8, 0.6, 1.0, 0.3),
    (0.4, 0.3, 1.0, 0.2),
    (0.4, 0.9, 0.1, 0.5),
    (0.3, 1.0, 0.1, 0.6),
    (0.6, 0.7, 0.2, 1.0),
    (0.5, 0.9, 0.1, 0.4),
    (0.7, 0.8, 0.3, 1.0),
    (0.5, 0.6, 0.2, 0.9),
    (0.4, 0.5, 0.7, 0.4),
    (0.6, 0.7, 0.2, 0.9),
    (0.3, 0.4, 0.8, 0.6),
    (0.5, 0.8, 0.3, 0.7),
    (0.7, 0.6, 0.2, 0.8),
    (0.4, 0.9, 0.3, 0.5),
    (0.5, 0.7, 0.4, 0.6),
    (0.6, 0.5, 0.3, 0.7),
)
BUDGET_NS = (90, 220, 45)
PRIOR_INFORMATION = 1e-3
CLEAN_WEIGHT = 0.20
ANOMALY_WEIGHT = 1.25
BASE_TRIAL_WEIGHT = 0.25
RISK_TRIAL_WEIGHT = 2.5
FORGETTING_PERIOD = 1024
RETAINED_SHARE = 0.985
REGAINED_INFORMATION = 1e-4
PIVOT_FLOOR = 1e-12
SINGULAR_LOG_DETERMINANT = -1e9
LOG_DETERMINANT_OFFSET = 20.0
IDENTIFIABILITY_RATE = 0.05

# Bits of the mandatory probes: always; with high risk or a hint; the same in hardened mode.
ALWAYS = 1 << Probe.ANYTIME | 1 << Probe.LARGE_DEVIATIONS
ADVERSE = 1 << Probe.CVAR | 1 << Probe.HJI
HEALING = 1 << Probe.BRIDGE | 1 << Probe.MEAN_FIELD
TOPOLOGICAL = 1 << Probe.ROUGH_PATH | 1 << Probe.PERSISTENCE
ADVERSE_RISK_PPM = 200_000
HEALING_RISK_PPM = 150_000
DEFERRAL_RISK_PPM = 500_000
HARDENED = int(SafetyLevel.HARDENED)


def _cost_ns(mask):
    return sum(cost for probe, cost in enumerate(PROBE_COST_NS) if mask >> probe & 1)


ALWAYS_COST_NS, ADVERSE_COST_NS, HEALING_COST_NS = map(_cost_ns, (ALWAYS, ADVERSE, HEALING))
ALL_COST_NS, DEFERRED_COST_NS = _cost_ns(ALL_PROBES), _cost_ns(ALL_PROBES & ~TOPOLOGICAL)

# The lower triangle of a symmetric 4x4 matrix, row by row, padded to whole vector registers.
TRIANGLE = tuple((row, column) for row in range(4) for column in range(row + 1))
PADDED = 12
# Probes that compete: all but the mandatory ones, padded to whole vector registers.
CONTENDERS = tuple(probe for probe in range(PROBE_COUNT) if not ALWAYS >> probe & 1)
SLOTS = 16
SLOT_BITS = SLOTS - 1


def _increments():
    """Rows 3p, 3p+1, 3p+2: what probe p adds when it did not run, was clean, was anomalous."""
    table = np.zeros((3 * PROBE_COUNT, PADDED))
    for probe, features in enumerate(FEATURES):
        for outcome, weight in enumerate((CLEAN_WEIGHT, ANOMALY_WEIGHT), 1):
            table[3 * probe + outcome, : len(TRIANGLE)] = [
                (weight * features[row]) * features[column] for row, column in TRIANGLE
            ]
    return table


def _feature_products():
    """Row k: the coefficient of entry k of the inverse in each contender's quadratic form."""
    table = np.zeros((len(TRIANGLE), SLOTS))
    for slot, probe in enumerate(CONTENDERS):
        v = FEATURES[probe]
        table[:, slot] = [(1 + (row != column)) * v[row] * v[column] for row, column in TRIANGLE]
    return table


INCREMENTS = _increments()
FEATURE_PRODUCTS = _feature_products()
SLOT_PROBE = np.array((*CONTENDERS, PROBE_COUNT), np.int64)
SLOT_COST_NS = np.array([*(PROBE_COST_NS[probe] for probe in CONTENDERS), 0], np.int64)
# The 2 of 2 atanh(t) is in here.
SLOT_SCORE_FACTOR = np.array([2.0 / (cost + 1.0) for cost in SLOT_COST_NS.tolist()])
PLAN_BUDGET_NS = np.array([(budget, budget * 3 // 4) for budget in BUDGET_NS], np.int64)
FEATURE_TABLE = np.array(FEATURES)

# A determinant below this share of the diagonal's product has lost too many digits.
CONDITION_FLOOR = 1e-6
# Scores nearer than this (a relative gap of 2^-21 to 2^-20), and identifiabilities this near to a
# whole number of ppm, are computed in the long form; the short forms err a hundred times less.
CLOSE_SCORE_BITS = 1 << 32
PPM_RESOLUTION = 1e-4
SQRT_HALF_BITS = 0x3FE6A09E00000000
HALF_LOG_2 = math.log(2.0) / 2.0
UNKNOWN = -1

STATE = np.dtype(
    [
        ("fisher", np.float64, (PADDED,)),
        ("quadratic_forms", np.float64, (SLOTS,)),
        ("factor", np.float64, (len(TRIANGLE),)),
        ("keys", np.int64, (SLOTS,)),
        ("ranked", np.int64, (SLOTS,)),
        ("scores", np.float64, (SLOTS,)),
        ("determinant", np.float64),
        ("observations", np.int64),
        ("anomaly_events", np.int64),
        # Kept from the last request until the next record; UNKNOWN (or False) after one.
        ("identifiability", np.int64),
        ("plan_arguments", np.int64),
        ("inverted", np.bool_),
        ("mask", np.int64),
        ("selected_count", np.int64),
        ("budget_ns", np.int64),
        ("expected_cost_ns", np.int64),
    ],
    align=True,
)


class ProbePlan(NamedTuple):
    """Probes that may run (bit p for probe p), the budget, and their cost."""

    mask: int
    budget_ns: int
    expected_cost_ns: int


class DesignSummary(NamedTuple):
    """Identifiability now, and the latest plan."""

    identifiability_ppm: int
    selected_count: int
    budget_ns: int
    expected_cost_ns: int


@jitted
def _forget_derived(state):
    state.identifiability = UNKNOWN
    state.plan_arguments = UNKNOWN
    state.inverted = False


@jitted
def init(state):
    """Start with almost no information and every probe selected."""
    for entry in range(PADDED):
        state.fisher[entry] = 0.0
    for entry in (0, 2, 5, 9):
        state.fisher[entry] = PRIOR_INFORMATION
    for entry in range(len(TRIANGLE)):
        state.factor[entry] = 0.0
    for slot in range(SLOTS):
        state.quadratic_forms[slot] = 0.0
        state.scores[slot] = 0.0
        state.keys[slot] = 0
        state.ranked[slot] = SLOT_BITS - slot
    state.determinant = 0.0
    state.observations = 0
    state.anomaly_events = 0
    state.identifiability = UNKNOWN
    state.plan_arguments = UNKNOWN
    state.inverted = False
    state.mask = ALL_PROBES
    state.selected_count = PROBE_COUNT
    state.budget_ns = 0
    state.expected_cost_ns = 0


@jitted
def record_probe(state, probe, anomaly):
    """Add the information of one executed probe."""
    row = 3 * probe + (2 if anomaly else 1)
    for entry in range(PADDED):
        state.fisher[entry] += INCREMENTS[row, entry]
    state.observations += 1
    if anomaly:
        state.anomaly_events += 1
    if state.observations % FORGETTING_PERIOD == 0:
        for entry in range(PADDED):
            state.fisher[entry] *= RETAINED_SHARE
        for entry in (0, 2, 5, 9):
            state.fisher[entry] += REGAINED_INFORMATION
    _forget_derived(state)


@jitted
def record_probes(state, mask, anomaly_mask):
    """Record all probes of a mask in bit order; those of the other mask were anomalous."""
    executed = mask & ALL_PROBES
    count = count_ones(np.uint64(executed))
    if count + state.observations % FORGETTING_PERIOD >= FORGETTING_PERIOD:
        for probe in range(PROBE_COUNT):
            if executed >> probe & 1:
                record_probe(state, probe, (anomaly_mask >> probe & 1) != 0)
        return
    # Probes that did not run add a row of zeros: no branches, and entries share vector registers.
    for entry in range(PADDED):
        total = state.fisher[entry]
        for probe in range(PROBE_COUNT):
            row = 3 * probe + (executed >> probe & 1) * (1 + (anomaly_mask >> probe & 1))
            total += INCREMENTS[row, entry]
        state.fisher[entry] = total
    state.observations += count
    state.anomaly_events += count_ones(np.uint64(executed & anomaly_mask))
    _forget_derived(state)


@jitted
def _log_determinant(state, probe, weight):
    """Log-determinant after a trial record, by Cholesky factorisation in the order on record."""
    factor = state.factor
    total = 0.0
    for row in range(4):
        start = row * (row + 1) // 2
        scaled = weight * FEATURE_TABLE[probe, row]
        for column in range(row + 1):
            above = column * (column + 1) // 2
            rest = state.fisher[start + column] + scaled * FEATURE_TABLE[probe, column]
            for inner in range(column):
                rest -= factor[start + inner] * factor[above + inner]
            if column < row:
                factor[start + column] = rest / factor[above + column]
            elif rest <= PIVOT_FLOOR:
                return SINGULAR_LOG_DETERMINANT
            else:
                factor[start + column] = math.sqrt(rest)
                total += 2.0 * math.log(factor[start + column])
    return total


@jitted
def log_determinant(state):
    """Return the log-determinant of the information matrix."""
    return _log_determinant(state, 0, 0.0)


@jitted
def _trusted(determinant, f00, f11, f22, f33):
    """Return the determinant, or 0 where cancellation has left too few digits of it."""
    return determinant if determinant > CONDITION_FLOOR * (f00 * f11 * f22 * f33) else 0.0


@jitted
def _determinant(state):
    """Determinant by 2x2 blocks: one division where a factorisation has a chain of them."""
    f = state.fisher
    f00, f10, f11, f20, f21, f22, f30, f31, f32, f33 = (
        f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7], f[8], f[9],
    )  # fmt: skip
    block = f00 * f11 - f10 * f10
    reciprocal = 1.0 / block
    g20 = f20 * f11 - f21 * f10
    g21 = f21 * f00 - f20 * f10
    g30 = f30 * f11 - f31 * f10
    g31 = f31 * f00 - f30 * f10
    s22 = f22 - reciprocal * (g20 * f20 + g21 * f21)
    s32 = f32 - reciprocal * (g30 * f20 + g31 * f21)
    s33 = f33 - reciprocal * (g30 * f30 + g31 * f31)
    return _trusted(block * (s22 * s33 - s32 * s32), f00, f11, f22, f33)


@jitted
def _invert(state):
    """Refresh the determinant and every contender's quadratic form v'F^-1 v, by 2x2 blocks."""
    f = state.fisher
    f00, f10, f11, f20, f21, f22, f30, f31, f32, f33 = (
        f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7], f[8], f[9],
    )  # fmt: skip
    block = f00 * f11 - f10 * f10
    reciprocal = 1.0 / block
    g20 = reciprocal * (f20 * f11 - f21 * f10)
    g21 = reciprocal * (f21 * f00 - f20 * f10)
    g30 = reciprocal * (f30 * f11 - f31 * f10)
    g31 = reciprocal * (f31 * f00 - f30 * f10)
    s22 = f22 - (g20 * f20 + g21 * f21)
    s32 = f32 - (g30 * f20 + g31 * f21)
    s33 = f33 - (g30 * f30 + g31 * f31)
    complement = s22 * s33 - s32 * s32
    scale = 1.0 / complement
    i22 = scale * s33
    i32 = -scale * s32
    i33 = scale * s22
    i20 = -(i22 * g20 + i32 * g30)
    i21 = -(i22 * g21 + i32 * g31)
    i30 = -(i32 * g20 + i33 * g30)
    i31 = -(i32 * g21 + i33 * g31)
    i00 = reciprocal * f11 - (g20 * i20 + g30 * i30)
    i10 = -reciprocal * f10 - (g21 * i20 + g31 * i30)
    i11 = reciprocal * f00 - (g21 * i21 + g31 * i31)
    for slot in range(SLOTS):
        state.quadratic_forms[slot] = (
            (i00 * FEATURE_PRODUCTS[0, slot] + i10 * FEATURE_PRODUCTS[1, slot])
            + (i11 * FEATURE_PRODUCTS[2, slot] + i20 * FEATURE_PRODUCTS[3, slot])
            + (i21 * FEATURE_PRODUCTS[4, slot] + i22 * FEATURE_PRODUCTS[5, slot])
            + (i30 * FEATURE_PRODUCTS[6, slot] + i31 * FEATURE_PRODUCTS[7, slot])
            + (i32 * FEATURE_PRODUCTS[8, slot] + i33 * FEATURE_PRODUCTS[9, slot])
        )
    state.determinant = _trusted(block * complement, f00, f11, f22, f33)
    state.inverted = True


@jitted
def _rank(state, candidates, weight):
    """Rank the candidates by score; returns whether any two are too close to be sure."""
    for slot in range(SLOTS):
        # 2 atanh(t) = log(m), after the power of two has been split off; see SLOT_SCORE_FACTOR.
        bits = np.float64(1.0 + weight * state.quadratic_forms[slot]).view(np.int64)
        exponent = (bits - SQRT_HALF_BITS) >> 52
        mantissa = np.int64(bits - (exponent << 52)).view(np.float64)
        t = (mantissa - 1.0) / (mantissa + 1.0)
        z = t * t
        series = 1.0 + z * (
            1.0 / 3.0 + z * (1.0 / 5.0 + z * (1.0 / 7.0 + z * (1.0 / 9.0 + z * (1.0 / 11.0))))
        )
        score = SLOT_SCORE_FACTOR[slot] * (exponent * HALF_LOG_2 + t * series)
        # As positive floats order like their bits, four low bits can carry the slot.
        key = (np.float64(score).view(np.int64) & ~SLOT_BITS) * (candidates >> SLOT_PROBE[slot] & 1)
        state.keys[slot] = key | (SLOT_BITS - slot)
    # Insertion sort from the last order, from which little has changed as a rule.
    previous = state.keys[SLOT_BITS - (state.ranked[0] & SLOT_BITS)]
    state.ranked[0] = previous
    for end in range(1, SLOTS):
        key = state.keys[SLOT_BITS - (state.ranked[end] & SLOT_BITS)]
        place = end
        if key > previous:
            while place > 0 and key > state.ranked[place - 1]:
                state.ranked[place] = state.ranked[place - 1]
                place -= 1
        else:
            previous = key
        state.ranked[place] = key
    if state.determinant == 0.0:
        return True
    gap = state.ranked[0]
    for place in range(1, count_ones(np.uint64(candidates))):
        gap = min(gap, state.ranked[place - 1] - state.ranked[place])
    return gap < CLOSE_SCORE_BITS


@jitted
def _rank_exactly(state, candidates, weight):
    """Rank the candidates by the gains of trial factorisations; ties keep their index order."""
    base = log_determinant(state)
    count = 0
    for slot in range(SLOTS):
        probe = SLOT_PROBE[slot]
        if candidates >> probe & 1:
            gain = max(_log_determinant(state, probe, weight) - base, 0.0)
            score = gain / (SLOT_COST_NS[slot] + 1.0)
            place = count
            while place > 0 and score > state.scores[place - 1]:
                state.scores[place] = state.scores[place - 1]
                state.ranked[place] = state.ranked[place - 1]
                place -= 1
            state.scores[place] = score
            state.ranked[place] = SLOT_BITS - slot
            count += 1
    # The others go last: `_rank` starts from this order and needs every slot once.
    for slot in range(SLOTS):
        if (candidates >> SLOT_PROBE[slot] & 1) == 0:
            state.ranked[count] = SLOT_BITS - slot
            count += 1


@jitted
def _competitive_plan(state, risk_ppm, mask, cost_ns, candidates, budget_ns):
    """Fill the budget with the best candidates; one that does not fit is skipped."""
    weight = BASE_TRIAL_WEIGHT + RISK_TRIAL_WEIGHT * (risk_ppm / PPM)
    if not state.inverted:
        _invert(state)
    if _rank(state, candidates, weight):
        _rank_exactly(state, candidates, weight)
    for place in range(count_ones(np.uint64(candidates))):
        slot = SLOT_BITS - (state.ranked[place] & SLOT_BITS)
        fits = cost_ns + SLOT_COST_NS[slot] <= budget_ns
        cost_ns += SLOT_COST_NS[slot] if fits else 0
        mask |= (1 if fits else 0) << SLOT_PROBE[slot]
    state.mask = mask
    state.expected_cost_ns = cost_ns


@jitted
def choose_plan(state, mode, risk_ppm, adverse_hint, fast_over_budget):
    """Choose the probes of the next call; returns the plan, which stays readable in the state."""
    arguments = risk_ppm << 4 | mode << 2 | int(adverse_hint) << 1 | int(fast_over_budget)
    if state.plan_arguments != arguments:
        state.plan_arguments = arguments
        state.budget_ns = PLAN_BUDGET_NS[mode, int(fast_over_budget)]
        deferred = TOPOLOGICAL if fast_over_budget and risk_ppm < DEFERRAL_RISK_PPM else 0
        if mode == HARDENED and (deferred or not fast_over_budget):
            # Everything admissible fits into these two budgets, whatever its rank.
            state.mask = ALL_PROBES & ~deferred
            state.expected_cost_ns = DEFERRED_COST_NS if deferred else ALL_COST_NS
        else:
            mask, cost_ns = ALWAYS, ALWAYS_COST_NS
            if adverse_hint or risk_ppm >= ADVERSE_RISK_PPM:
                mask |= ADVERSE
                cost_ns += ADVERSE_COST_NS
            if mode == HARDENED and (adverse_hint or risk_ppm >= HEALING_RISK_PPM):
                mask |= HEALING
                cost_ns += HEALING_COST_NS
            candidates = ALL_PROBES & ~(mask | deferred)
            _competitive_plan(state, risk_ppm, mask, cost_ns, candidates, state.budget_ns)
        state.selected_count = count_ones(np.uint64(state.mask))
    return ProbePlan(state.mask, state.budget_ns, state.expected_cost_ns)


@jitted
def identifiability_ppm(state):
    """Return how well the recorded probes pin the factors down, from 0 to 1 000 000."""
    if state.identifiability != UNKNOWN:
        return state.identifiability
    determinant = state.determinant if state.inverted else _determinant(state)
    if determinant > 0.0:
        above = math.log(determinant) + LOG_DETERMINANT_OFFSET
        scaled = (1.0 - math.exp(-IDENTIFIABILITY_RATE * above)) * PPM
        whole = int(scaled)
        if above > 0.0 and PPM_RESOLUTION < scaled - whole < 1.0 - PPM_RESOLUTION:
            state.identifiability = whole
            return whole
    above = max(log_determinant(state) + LOG_DETERMINANT_OFFSET, 0.0)
    share = min(max(1.0 - math.exp(-IDENTIFIABILITY_RATE * above), 0.0), 1.0)
    state.identifiability = int(share * PPM)
    return state.identifiability


@jitted
def summary(state):
    """Return the identifiability now and the latest plan."""
    return DesignSummary(
        identifiability_ppm(state), state.selected_count, state.budget_ns, state.expected_cost_ns
    )


class Design(Monitor):
    """Budgeted D-optimal scheduler of the probes.

    Examples
    --------
    >>> monitor = Design()
    >>> plan = monitor.choose_plan(SafetyLevel.STRICT, 20_000, False, False)
    >>> [probe.name for probe in Probe if plan.mask >> probe & 1][:4]
    ['ANYTIME', 'CVAR', 'LARGE_DEVIATIONS', 'PADIC']
    >>> plan.expected_cost_ns, plan.budget_ns
    (88, 90)
    >>> monitor.record_probes(plan.mask, 0)
    >>> monitor.identifiability_ppm
    434482
    """

    STATE = STATE
    initialise = init
    choose_plan = operation(
        choose_plan,
        mode=member(SafetyLevel),
        risk_ppm=uint32,
        adverse_hint=flag,
        fast_over_budget=flag,
    )
    record_probe = operation(record_probe, probe=member(Probe), anomaly=flag)
    record_probes = operation(
        record_probes, mask=integer(0, ALL_PROBES), anomaly_mask=integer(0, ALL_PROBES)
    )
    identifiability_ppm = reading(identifiability_ppm)
    log_determinant = reading(log_determinant)
    summary = reading(summary)

    @property
    def information(self):
        """The Fisher information matrix, 4 x 4."""
        matrix = np.zeros((4, 4))
        for value, (row, column) in zip(self.record["fisher"], TRIANGLE, strict=False):
            matrix[row, column] = matrix[column, row] = value
        return matrix
