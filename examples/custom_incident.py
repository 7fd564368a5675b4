"""Trouble of one's own: what would each policy do about it?

Run it with ``python examples/custom_incident.py``. A scenario is made of a clean base and an
incident; both are functions, registered under a name that the command line knows from then on.
"""

from runtime_math.evaluation.metrics import incident_metrics
from runtime_math.evaluation.run import Policy, run_scenario
from runtime_math.scenarios import generate, incident


@incident("slow_writes", "writes cost five times as much", length=1000)
def slow_writes(window, random):
    """Change the calls of the incident's window in place."""
    slow = window["is_write"]
    window["cost_factor"][slow] *= 5.0
    window["bad"][slow] = True


def main():
    """Run both policies over the incident."""
    scenario = generate("nine", incident="slow_writes", seed=1)
    for name in ("faithful", "calibrated"):
        figures = incident_metrics(scenario, run_scenario(Policy(name), "strict", scenario))
        if figures.pre_alarmed:
            print(f"{name}: in alarm before anything happened")
        else:
            print(
                f"{name}: noticed after {figures.delay} calls, "
                f"{figures.inside:.0%} of the calls inside escalated, "
                f"calm again {figures.recovery} calls after the end"
            )


if __name__ == "__main__":
    main()
