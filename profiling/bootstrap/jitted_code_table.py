"""Writes down every piece of machine code that Numba makes or loads, as the program runs.

Runs inside the profiled program, so it uses the standard library only and does as little as
possible: it keeps the ELF object of each code library as it was given to LLVM, and the address
at which the library's first visible function was loaded. Names, lines and inlining are read from
the objects later, by the recorder.

Folder layout (named by the environment variable ``JITTED_CODE_TABLE``)::

    PID.jsonl      one JSON line per event: a loaded object, new modules, versions, a fork
    PID-N.o        the ELF object of event N
    ready, go      the handshake that starts the program once the sampler has attached
    done           the program has ended; what follows is the interpreter cleaning up
    compiling      exists while Numba compiles
    paused         exists while the recorder does not sample; the program waits for it to go
                   before it runs what it has compiled
"""

import atexit
import contextlib
import ctypes
import json
import os
import struct
import sys
import time
import warnings

_GATE_TIMEOUT_SECONDS = 60.0
_PR_SET_PTRACER = 0x59616D61
_SECTION_HEADER = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_SYMBOL_TABLE = 2
_FUNCTION = 2
_BINDINGS = (1, 2)  # global, weak: wrappers of ufuncs have no other


def visible_functions(elf):
    """Yield (name, section index, offset) of the functions of a 64-bit ELF object.

    Global ones come first: of a weak one another object may have the copy that counts.
    """
    found = sorted(_visible_functions(elf), key=lambda function: function[0])
    return [function[1:] for function in found]


def _visible_functions(elf):
    section_offset = struct.unpack_from("<Q", elf, 0x28)[0]
    entry_size, count = struct.unpack_from("<HH", elf, 0x3A)
    headers = [
        _SECTION_HEADER.unpack_from(elf, section_offset + index * entry_size)
        for index in range(count)
    ]
    for header in headers:
        if header[1] != _SYMBOL_TABLE:
            continue
        names = headers[header[6]][4]
        for position in range(header[4], header[4] + header[5], _SYMBOL.size):
            name, info, _, section, value, _ = _SYMBOL.unpack_from(elf, position)
            if info & 15 == _FUNCTION and info >> 4 in _BINDINGS and 0 < section < 0xFF00:
                start = names + name
                text = elf[start : elf.index(b"\0", start)].decode()
                yield info >> 4, text, section, value


def _versions():
    versions = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in ("numba", "llvmlite", "numpy"):
        version = getattr(sys.modules.get(name), "__version__", None)
        if version is not None:
            versions[name] = str(version)
    return versions


class Table:
    """The growing table of one process.

    Parameters
    ----------
    folder : str
        Where the files go.
    unwinding : Unwinding, optional
        Makes each loaded object known to unwinders of other processes.
    """

    def __init__(self, folder, unwinding=None):
        self.folder = folder
        self._unwinding = unwinding
        self._pending = []
        self._known_modules = set()
        self._number = 0
        self._usable = True  # until the recorder, and its folder, have gone
        os.register_at_fork(after_in_child=self._after_fork)

    def add_object(self, name, elf):
        """Remember an object that LLVM is about to load."""
        self._pending.append((name, bytes(elf)))

    def write_loaded(self, engine):
        """Write all remembered objects, which are loaded by now, with their addresses."""
        pending, self._pending = self._pending, []
        if not self._usable:
            return
        try:
            self._write_objects(engine, pending)
        except OSError:  # whatever becomes of the recording, the program goes on
            self._usable = False

    def _write_objects(self, engine, pending):
        for name, elf in pending:
            bases = {}
            for function, section, offset in visible_functions(elf):
                if section not in bases:
                    bases[section] = engine.get_function_address(function) - offset
            if not bases:
                continue
            name_of_object = self._keep(elf)
            file_name = f"{name_of_object}.o"
            if self._unwinding is not None:
                self._unwinding.describe(f"{name_of_object}.code", elf, bases)
            self._write({"object": file_name, "library": name, "bases": bases, "time": time.time()})
        self._write_modules()

    def note_compiled(self, function, seconds):
        """Write down what the compiling of a function has taken, without that of others."""
        code = function.__code__
        place = {"file": code.co_filename, "line": code.co_firstlineno}
        what = {"function": function.__qualname__, **place, "seconds": round(seconds, 6)}
        try:
            self._write({"compiled": what})
        except OSError:
            self._usable = False

    def _keep(self, elf):
        """Write an object under a name that none has: a program may exec, and keep its number."""
        while True:
            self._number += 1
            name = f"{os.getpid()}-{self._number}"
            try:
                with open(os.path.join(self.folder, f"{name}.o"), "xb") as stream:
                    stream.write(elf)
            except FileExistsError:
                continue
            return name

    def _write_modules(self):
        if not self._known_modules:
            self._write({"versions": _versions()})
        found = {}
        for name, module in list(sys.modules.items()):
            if name in self._known_modules:
                continue
            self._known_modules.add(name)
            path = getattr(module, "__file__", None)
            if isinstance(path, str):
                found[name] = os.path.abspath(path)
        if found:
            self._write({"modules": found})

    def _write(self, event):
        # One write per line, in append mode: a killed program leaves whole lines only.
        line = json.dumps(event) + "\n"
        with open(os.path.join(self.folder, f"{os.getpid()}.jsonl"), "a") as stream:
            stream.write(line)

    def _after_fork(self):
        self._pending = []
        try:
            self._write({"parent": os.getppid()})
        except OSError:
            self._usable = False


def _hook_code_libraries(codegen, table):
    """Make Numba's code libraries report their objects."""
    library = codegen.CPUCodeLibrary
    compiled = library._object_compiled_hook.__func__
    cached = library._object_getbuffer_hook.__func__
    finish = codegen.JITCodeLibrary._finalize_specific

    def object_compiled(cls, module, elf):
        table.add_object(module.name, elf)
        return compiled(cls, module, elf)

    def object_from_cache(cls, module):
        elf = cached(cls, module)
        if elf:
            table.add_object(module.name, elf)
        return elf

    def finalize(self):
        finish(self)
        table.write_loaded(self._codegen._engine)

    library._object_compiled_hook = classmethod(object_compiled)
    library._object_getbuffer_hook = classmethod(object_from_cache)
    codegen.JITCodeLibrary._finalize_specific = finalize


class _AfterImport:
    """Meta path finder that runs a function on a module right after its first import."""

    def __init__(self, actions):
        self._actions = actions

    def find_spec(self, name, path=None, target=None):
        if name not in self._actions:
            return None
        action = self._actions.pop(name)
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None and spec.loader is not None:
                self._wrap(spec.loader, action)
                return spec
        return None

    @staticmethod
    def _wrap(loader, action):
        execute = loader.exec_module

        def exec_module(module):
            execute(module)
            action(module)

        loader.exec_module = exec_module


def _emit_line_tables(options):
    """Let Numba describe lines and inlining without touching the code it generates.

    `NUMBA_DEBUGINFO` would do more: it keeps variables alive and in memory, and checks bounds.
    """
    # Numba would tell for each function made from a string that it has no source lines.
    warnings.filterwarnings("ignore", "Could not find source for function")
    finalize = options.CPUTargetOptions.finalize

    def with_line_tables(self, flags, given):
        explicit = flags.is_set("debuginfo")
        finalize(self, flags, given)
        if not explicit and not flags.debuginfo:
            flags.debuginfo = True
            flags.dbg_directives_only = True

    options.CPUTargetOptions.finalize = with_line_tables


def _line_tables_only(debuginfo):
    """Describe inlining too, which Numba's own "directives only" kind leaves out."""
    kind = "LineTablesOnly"
    describe = debuginfo.DIBuilder._di_compile_unit
    mark_variable = debuginfo.DIBuilder.mark_variable

    def compile_unit(self):
        if self.emission_kind == "DebugDirectivesOnly":
            self.emission_kind = kind
        return describe(self)

    def variable(self, *arguments, **keywords):
        if self.emission_kind != kind:  # LLVM refuses variables in a table of lines
            mark_variable(self, *arguments, **keywords)

    debuginfo.DIBuilder._di_compile_unit = compile_unit
    debuginfo.DIBuilder.mark_variable = variable


def _allow_tracing_by(recorder):
    """Where Yama lets only ancestors trace a process, name the recorder as another one."""
    try:
        with open("/proc/sys/kernel/yama/ptrace_scope") as stream:
            restricted = stream.read().strip() == "1"
    except OSError:
        return
    if restricted:
        ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_ulong(recorder), 0, 0, 0)


class _CompileWatch:
    """Tells the recorder when Numba compiles, and what that took, function by function.

    The deep stacks of compilers are slow to sample: the recorder rather waits.
    """

    def __init__(self, folder, table):
        self._table = table
        self._running = []  # of each function that is being compiled: [since, of which others]
        self._compiling = os.path.join(folder, "compiling")
        self._paused = os.path.join(folder, "paused")
        self._pid = os.getpid()
        self._depth = 0

    def on_start(self, event):
        self._running.append([time.perf_counter(), 0.0])
        self._depth += 1
        if self._depth == 1 and os.getpid() == self._pid:
            with contextlib.suppress(OSError):  # the recorder has gone
                open(self._compiling, "w").close()

    def on_end(self, event):
        since, others = self._running.pop()
        seconds = time.perf_counter() - since
        if self._running:
            self._running[-1][1] += seconds
        self._table.note_compiled(event.data["dispatcher"].py_func, seconds - others)
        self._depth -= 1
        if self._depth or os.getpid() != self._pid:
            return
        with contextlib.suppress(OSError):
            os.unlink(self._compiling)
        _wait(lambda: not os.path.exists(self._paused))


def _watch_compiler(event, folder, table):
    listener = type("CompileWatch", (_CompileWatch, event.Listener), {})
    event.register("numba:compile", listener(folder, table))


def _wait(condition):
    deadline = time.monotonic() + _GATE_TIMEOUT_SECONDS
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)


def wait_for_sampler():
    """Tell the recorder that there is something to sample, and wait until it does."""
    folder = os.environ.pop("JITTED_CODE_GATE", None)
    if folder is None:
        return
    _allow_tracing_by(int(os.environ.get("JITTED_CODE_RECORDER", "0")))
    announcement = os.path.join(folder, "ready")
    with open(announcement + ".new", "w") as stream:
        stream.write(str(os.getpid()))
    os.rename(announcement + ".new", announcement)
    _wait(lambda: os.path.exists(os.path.join(folder, "go")))
    # Registered first, hence called last, after the program's own exit functions.
    atexit.register(_announce_end, folder, os.getpid())


def _announce_end(folder, pid):
    if os.getpid() == pid:
        with contextlib.suppress(OSError):
            open(os.path.join(folder, "done"), "w").close()


def install():
    """Install the hooks; called once, before the program's own first line."""
    import jitted_code_unwinding  # only this folder's sitecustomize has it on its path

    folder = os.environ["JITTED_CODE_TABLE"]
    unwinding = None
    if os.environ.get("JITTED_CODE_UNWIND") and jitted_code_unwinding.supported():
        unwinding = jitted_code_unwinding.Unwinding(folder)
    table = Table(folder, unwinding)

    def hook(codegen):
        _hook_code_libraries(codegen, table)
        if unwinding is not None:
            jitted_code_unwinding.emit_for_all_functions(codegen)

    actions = {"numba.core.codegen": hook}
    if os.environ.get("JITTED_CODE_LINES"):
        actions["numba.core.cpu"] = _emit_line_tables
        actions["numba.core.debuginfo"] = _line_tables_only
    if os.environ.get("JITTED_CODE_GATE") and not os.environ.get("JITTED_CODE_GATE_LATER"):
        actions["numba.core.event"] = lambda event: _watch_compiler(event, folder, table)
    sys.meta_path.insert(0, _AfterImport(actions))
    if not os.environ.get("JITTED_CODE_GATE_LATER"):
        wait_for_sampler()
