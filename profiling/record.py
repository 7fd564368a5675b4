"""One recording from start to end: launch, sample, resolve, aggregate, write."""

import contextlib
import datetime
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from bench import machine
from profiling import aggregate, recording
from profiling.aggregate import Folded
from profiling.attach import sample_running
from profiling.backends import BACKENDS, Sampler, perf_map
from profiling.faults import ExitStatus, ProfilingError
from profiling.launch import Program
from profiling.render import flamegraph, speedscope, tables
from profiling.resolve import INLINED, JITTED, MemoryMap, Resolver, shorten
from profiling.run import POLL_SECONDS, ProcessWatcher, Request, Run, Show
from profiling.symbols import load_tables

_LATE_SHARE, _LATE_SECONDS = 0.1, 1.0
# A sampler that is stopped for a while and attached again costs about as much as this.
_LONG_COMPILE_SECONDS = 0.3
_COMPILED_ROWS = 25
_TOP_ROWS = 25


class Outcome(NamedTuple):
    """What came of it."""

    path: Path
    status: ExitStatus
    message: str


class _Session:
    """The samplers of one recording, one after the other.

    While Numba compiles for long the sampler is stopped, and another one is attached when the code
    is ready: sampled, compilers take several times as long. If they are to be sampled, that is done
    when the sampler falls behind, as one that is late stops the program in order to catch up.
    """

    def __init__(self, request: Request, folder: Path, program: Program) -> None:
        self._request, self._folder, self._program = request, folder, program
        self.samplers: list[Sampler] = []
        self.pauses = 0
        self._next_look = 0.0
        self._compiles_since: float | None = None

    def attach(self, pid: int) -> None:
        """Attach a sampler; the program goes on when it samples."""
        sampler = BACKENDS[self._request.backend](
            self._folder, self._request.rate, len(self.samplers)
        )
        self.samplers.append(sampler)
        self._program.attach(sampler, pid)

    def go_on(self, pid: int) -> bool:
        """Look after the sampler; returns whether there is still something to sample."""
        if self._program.finished:
            return False
        sampler = self.samplers[-1]
        paused = not sampler.running
        if paused and self.pauses == len(self.samplers):
            if not self._program.compiling:
                self.attach(pid)
            return True
        if paused:  # it ended by itself: the program is gone, or it cannot go on
            return False
        if self._is_too_much(sampler):
            self._program.pause_sampling(sampler)
            self.pauses += 1
        return True

    def _is_too_much(self, sampler: Sampler) -> bool:
        """Whether the compiler that runs now must not be sampled any longer."""
        now = time.monotonic()
        if not (self._program.compiling and sampler.complete):  # only deep stacks are slow
            self._compiles_since = None
            return False
        self._compiles_since = self._compiles_since or now
        if not self._request.compiling:
            return now - self._compiles_since > _LONG_COMPILE_SECONDS
        if now < self._next_look:
            return False
        self._next_look = now + 1.0
        return sampler.behind() > _LATE_SECONDS

    def stop(self) -> None:
        """Stop sampling."""
        for sampler in self.samplers:
            sampler.stop()


def _sample(request: Request, folder: Path, show: Show) -> Run:
    probe = BACKENDS[request.backend](folder, request.rate)  # fails here if it cannot be used
    program = Program(
        request.command, folder, with_lines=request.lines, gate_later=bool(request.identifier),
        unwindable=probe.complete,
    )  # fmt: skip
    session = _Session(request, folder, program)
    interrupted = ended_by_us = False
    pid: int | None = None
    started = time.monotonic()
    try:
        show("starting", 0.0)
        pid = program.wait_until_ready(lambda: show("starting", time.monotonic() - started))
        if pid is None:
            raise _early_end(program, request)
        session.attach(pid)
        watcher = ProcessWatcher(pid)
        started = time.monotonic()
        while session.go_on(pid):
            watcher.look()
            elapsed = time.monotonic() - started
            show("sampling", elapsed)
            if request.seconds is not None and elapsed >= request.seconds:
                ended_by_us = True
                break
            time.sleep(POLL_SECONDS)
        elapsed = time.monotonic() - started
        session.stop()
        if not ended_by_us:
            program.wait(lambda: show("waiting for its end", time.monotonic() - started))
    except KeyboardInterrupt:
        interrupted = True
        elapsed = time.monotonic() - started
        session.stop()
        program.interrupt()
    show("writing", elapsed)
    exit_status = program.end()
    if pid is None or not (folder / "go").exists():
        raise ProfilingError("interrupted before sampling began", ExitStatus.INTERRUPTED)
    samples = [sample for sampler in session.samplers for sample in sampler.samples(pid)]
    return Run(
        samples, load_tables(folder), pid, MemoryMap(watcher.text), exit_status, interrupted,
        session.samplers, session.pauses, elapsed, watcher.thread_seconds,
        was_ended=ended_by_us and exit_status is None and not request.identifier,
    )  # fmt: skip


def _early_end(program: Program, request: Request) -> ProfilingError:
    status = program.exit_status
    name = " ".join(request.command)
    if status:
        return ProfilingError(
            f"the program ended with status {status} before anything could be sampled: {name}",
            ExitStatus.PROGRAM_FAILED,
        )
    return ProfilingError(
        f"no Python that reads PYTHONPATH was started (python -I and -E do not): {name}",
        ExitStatus.NO_SAMPLES,
    )


def _judge(request: Request, run: Run, folded: Folded) -> tuple[ExitStatus, str]:
    """Return the exit status of a recording, and the sentence that explains it."""
    jitted = sum(
        count
        for (phase, frames), count in folded.items()
        if any(frame.kind in (JITTED, INLINED) for frame in frames)
    )
    if run.interrupted:
        return ExitStatus.INTERRUPTED, "interrupted; what was sampled until then is kept"
    if run.exit_status:
        return (
            ExitStatus.PROGRAM_FAILED,
            f"the program ended with status {run.exit_status}; the samples are kept",
        )
    if not jitted:
        return (
            ExitStatus.NO_JITTED_CODE,
            "no sample lies in jitted code: the program did not run any while it was sampled",
        )
    if run.was_ended:
        return (
            ExitStatus.DONE,
            f"the program was ended after {run.elapsed:.1f} s, as --seconds asks",
        )
    if request.pid is not None:
        if run.samplers[-1].complete:
            what = "of jitted functions that call one another a stack may have the innermost only"
        else:
            what = "perf sees what runs, not what has called it (--backend py-spy does, where"
            what += " jitted code has unwinding tables)"
        return ExitStatus.DONE, f"the program was not prepared: {what}"
    if run.behind > _LATE_SHARE * run.elapsed:
        return (
            ExitStatus.DONE,
            f"the sampler was up to {run.behind:.1f} s late, which slows the program "
            "down and shifts samples towards its end: choose a lower --rate",
        )
    return ExitStatus.DONE, ""


def _compiled(run: Run) -> dict[str, Any]:
    """What the program's own compiling has taken, and the functions that took most."""
    spent: dict[tuple[str, str, int], list[float]] = {}
    for table in run.tables.values():
        for function, file, line, seconds in table.compiled:
            spent.setdefault((function, file, line), []).append(seconds)
    most = sorted(spent.items(), key=lambda item: -sum(item[1]))[:_COMPILED_ROWS]
    return {
        "functions": len(spent),
        "seconds": round(sum(map(sum, spent.values())), 3),
        "most": [
            {"function": function, "file": shorten(file), "line": line, "times": len(seconds),
             "seconds": round(sum(seconds), 3)}
            for (function, file, line), seconds in most
        ],
    }  # fmt: skip


def _metadata(
    request: Request, run: Run, resolver: Resolver, folded: Folded, outcome: tuple[ExitStatus, str]
) -> dict[str, Any]:
    totals = aggregate.phase_totals(folded)
    in_jitted = resolver.named + resolver.unnamed
    table = run.tables.get(run.pid)
    status, message = outcome
    return {
        "id": request.identifier,
        "command": request.command,
        "mode": os.environ.get("GLIBC_RUST_MODE", "")
        if not request.identifier
        else request.identifier.rpartition("/")[2],
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "backend": run.samplers[-1].name,
        "sampler": run.samplers[-1].version,
        "rate": request.rate,
        "seconds": round(run.elapsed, 3),
        "lines": request.lines,
        "samples": {
            "total": sum(totals.values()),
            "run": totals["run"],
            "compile": totals["compile"],
            "import": totals["import"],
            "exit": totals["exit"],
            "lost": sum(sampler.errors() for sampler in run.samplers),
            "unseen_thread_seconds": round(run.unseen_seconds, 3),
            "seconds_behind": run.behind,
            "pauses_while_compiling": run.pauses,
        },
        "jitted": {
            "samples": in_jitted,
            "named": resolver.named,
            "named_share": resolver.named / in_jitted if in_jitted else None,
            "functions_in_table": len(table) if table else 0,
        },
        "compiled": _compiled(run),
        "processes": sorted({sample.pid for sample in run.samples}),
        "threads": len({(sample.pid, sample.thread) for sample in run.samples}),
        "exit_status": run.exit_status,
        "outcome": status.name.lower(),
        "note": message,
        "versions": table.versions if table else {},
        "machine": machine.describe(),
    }


def _keep_perf_files(folder: Path, partial: Path, run: Run) -> None:
    """Keep perf's data, and the map with which ``perf report`` names jitted functions."""
    data = folder / "perf.data"
    if not data.exists():
        return
    shutil.copyfile(data, partial / "perf.data")
    for pid, table in run.tables.items():
        text = perf_map(table)
        (partial / f"perf-{pid}.map").write_text(text)
        public = Path(f"/tmp/perf-{pid}.map")
        with contextlib.suppress(OSError):
            public.unlink(missing_ok=True)
            with open(public, "x") as stream:
                stream.write(text)


def _write(partial: Path, request: Request, run: Run, meta: dict[str, Any], folded: Folded) -> None:
    (partial / recording.FOLDED).write_text(aggregate.format_folded(folded))
    (partial / recording.META).write_text(json.dumps(meta, indent=2) + "\n")
    symbols = {
        str(pid): [symbol._asdict() for symbol in table.symbols()]
        for pid, table in run.tables.items()
    }
    (partial / recording.SYMBOLS).write_text(json.dumps(symbols, indent=1) + "\n")
    rankings = {
        "all": aggregate.ranking(folded)[:_TOP_ROWS],
        "jitted": aggregate.ranking(folded, kinds=(JITTED, INLINED))[:_TOP_ROWS],
    }
    rows = {name: [row._asdict() for row in ranked] for name, ranked in rankings.items()}
    (partial / recording.TOP_JSON).write_text(json.dumps(rows, indent=1) + "\n")
    (partial / recording.TOP_TEXT).write_text(tables.top_text(meta, rankings))
    title = request.title
    (partial / recording.FLAMEGRAPH).write_text(flamegraph.render(folded, title))
    (partial / recording.SPEEDSCOPE).write_text(json.dumps(speedscope.render(folded, title)))


def record(request: Request, show: Show = lambda phase, elapsed: None) -> Outcome:
    """Make one recording.

    Parameters
    ----------
    request : Request
        What to record, and where to.
    show : callable, optional
        Called with ("starting" | "sampling" | "writing", seconds) as the recording goes on.

    Returns
    -------
    Outcome

    Raises
    ------
    ProfilingError
        If nothing was recorded; no folder is left then.
    """
    if not os.path.isdir("/proc/self"):
        raise ProfilingError("recording needs Linux", ExitStatus.TOOL_UNUSABLE)
    with tempfile.TemporaryDirectory(prefix="profiling-") as name:
        folder = Path(name)
        with recording.new_folder(request.out) as partial:
            sample = _sample if request.pid is None else sample_running
            run = sample(request, folder, show)
            resolver = Resolver(run.tables, run.pid, run.memory, complete=run.samplers[-1].complete)
            folded = aggregate.fold([resolver.resolve(sample) for sample in run.samples])
            if not folded:
                idle = "it has ended too soon, or did nothing meanwhile"
                raise ProfilingError(f"no sample was taken: {idle}", ExitStatus.NO_SAMPLES)
            outcome = _judge(request, run, folded)
            meta = _metadata(request, run, resolver, folded, outcome)
            _write(partial, request, run, meta, folded)
            _keep_perf_files(folder, partial, run)
    return Outcome(Path(request.out), *outcome)
