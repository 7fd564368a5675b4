"""Records of a whole calibrated kernel, with or without the 46 monitors beside the policy.

The record without monitors has what the calls besides decide and observe need: the check oracle
and the overlap sections. With monitors those live in the faithful kernel's record, which is then
part of this one.
"""

import numpy as np
from numba.extending import overload

from runtime_math.calibrated import policy, policy_state
from runtime_math.calibrated.acknowledgement import acknowledge as acknowledge_policy
from runtime_math.calibrated.acknowledgement import reset_alarms as reset_policy_alarms
from runtime_math.faithful import observe as faithful_observe
from runtime_math.faithful import ordering
from runtime_math.faithful.decide import decide_packed as faithful_decide
from runtime_math.faithful.state import KERNEL_STATE, NEUTRAL_BIAS, _Fields
from runtime_math.faithful.state import new_state as new_faithful_state
from runtime_math.monitors import check_oracle, cohomology
from runtime_math.numerics.compilation import interpreted, jitted
from runtime_math.records import Records
from runtime_math.types import FAMILY_COUNT, SafetyLevel

_COMMON = [
    ("busy", np.int64),
    ("mode", np.int64),
    ("decisions", np.int64),
    ("policy", policy_state.STATE),
]

LEAN_STATE = np.dtype(
    [
        *_COMMON,
        ("oracle_bias", np.uint8, (FAMILY_COUNT,)),
        ("check_oracle", check_oracle.STATE),
        ("cohomology", cohomology.STATE),
    ],
    align=True,
)
FULL_STATE = np.dtype([*_COMMON, ("monitors", KERNEL_STATE)], align=True)
DTYPES = {"none": LEAN_STATE, "all": FULL_STATE}


def new_state(
    mode: SafetyLevel | int,
    count: int = 1,
    *,
    alpha_alarm: float = policy_state.DEFAULT_ALPHA_ALARM,
    adverse_ceiling: float = policy_state.DEFAULT_ADVERSE_CEILING,
    latency_share: float = policy_state.DEFAULT_LATENCY_SHARE,
    monitors: str = "all",
) -> Records:
    """States of new calibrated kernels; settings as those of `CalibratedKernel`, unchecked.

    Returns
    -------
    numpy.ndarray of shape (count,)
        Of dtype `LEAN_STATE` or `FULL_STATE`.
    """
    newborn = np.zeros(1, DTYPES[monitors])
    newborn["mode"] = int(mode)
    settings = (int(mode), float(alpha_alarm), float(adverse_ceiling), float(latency_share))
    policy_state.init(newborn[0]["policy"], *settings)
    if monitors == "all":
        newborn["monitors"] = new_faithful_state(mode)
    else:
        newborn["oracle_bias"] = NEUTRAL_BIAS
        interpreted(check_oracle.init)(_Fields(newborn["check_oracle"][0]))
        interpreted(cohomology.init)(_Fields(newborn["cohomology"][0]))
    return np.tile(newborn.view(np.uint8), count).view(newborn.dtype)


def _has_monitors(record):
    return "monitors" in record.fields


def ordering_part(state):
    """The record that holds the check oracle and the overlap sections."""
    raise NotImplementedError("for jitted code")


@overload(ordering_part)
def _ordering_part(state):
    if _has_monitors(state):
        return lambda state: state.monitors
    return lambda state: state


def feed_decide(state, mode, context):
    """Let the monitors, if there are any, see a decision."""
    raise NotImplementedError("for jitted code")


@overload(feed_decide)
def _feed_decide(state, mode, context):
    if not _has_monitors(state):
        return lambda state, mode, context: None

    def feed(state, mode, context):
        faithful_decide(state.monitors, mode, context)

    return feed


def feed_observe(state, family, profile, cost_ns, adverse):
    """Let the monitors, if there are any, see an outcome."""
    raise NotImplementedError("for jitted code")


@overload(feed_observe)
def _feed_observe(state, family, profile, cost_ns, adverse):
    if _has_monitors(state):

        def feed(state, family, profile, cost_ns, adverse):
            faithful_observe.observe_validation_result(
                state.monitors, family, profile, cost_ns, adverse
            )

        return feed
    return lambda state, family, profile, cost_ns, adverse: None


@jitted
def decide_packed(state, mode, context):
    """Decide one call; the decision comes as one integer (see `decision`)."""
    state.decisions += 1
    feed_decide(state, mode, context)
    return policy.decide_packed(state.policy, mode, context)


@jitted
def observe_validation_result(state, family, profile, cost_ns, adverse):
    """Feed the outcome of one call to the policy, and to the monitors where they run."""
    feed_observe(state, family, profile, cost_ns, adverse)
    policy.observe(state.policy, family, profile, cost_ns, adverse)


@jitted
def note_overlap(state, left_shard, right_shard, witness):
    """Whether two shards' sections agree with a witness; a disagreement counts as a fault."""
    consistent = ordering.note_overlap(ordering_part(state), left_shard, right_shard, witness)
    policy.note_overlap(state.policy, consistent)
    return consistent


@jitted
def check_ordering(state, family, aligned, recent_page):
    """Present stage ordering for a context, packed; changes nothing."""
    return ordering.check_ordering(ordering_part(state), family, aligned, recent_page)


@jitted
def note_check_order_outcome(state, family, aligned, recent_page, stages, exit_stage):
    """Report at which position (0-6, -1 for none) of an ordering a validation ended."""
    ordering.note_check_order_outcome(
        ordering_part(state), family, aligned, recent_page, stages, exit_stage
    )


@jitted
def acknowledge(state, family):
    """Accept the present behaviour of one family, or of everything (family -1), as normal."""
    acknowledge_policy(state.policy, family)


@jitted
def reset_alarms(state, family):
    """End one family's alarm, or all (family -1), and learn nothing from it."""
    reset_policy_alarms(state.policy, family)


@jitted
def in_alarm(state, family):
    """Whether an alarm applies to the calls of a family now."""
    return policy.in_alarm(state.policy, family)
