"""Where something was measured or recorded: CPU, system, revision of the code."""

import os
import platform
import subprocess
from pathlib import Path


def cpu_model():
    """Return the CPU's model name as the kernel tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _git(*arguments):
    try:
        finished = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return finished.stdout.strip()


def git_revision():
    """Return the revision checked out here, with "+" if files differ from it; "" outside git."""
    revision = _git("rev-parse", "--short=12", "HEAD")
    if revision and _git("status", "--porcelain", "--untracked-files=no"):
        revision += "+"
    return revision


def libm():
    """Return name and version of the C library, to which libm belongs."""
    return " ".join(platform.libc_ver())


def describe():
    """Return what identifies a machine and a checkout, as a dictionary."""
    return {
        "cpu": cpu_model(),
        "cpus": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "libm": libm(),
        "git_revision": git_revision(),
    }
