"""Every recorded trace of a whole kernel replays exactly."""

from runtime_math.conformance import check_trace


def test_golden_kernel(kernel_file):
    result = check_trace(kernel_file)
    assert result.calls > 0
    assert result.mismatches == 0, result.divergences
