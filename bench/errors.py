"""What a user of the benchmarks did wrong, in one sentence."""

import click


class UsageError(click.ClickException):
    """Wrong use; the message says what, and how to do better."""

    exit_code = 2
