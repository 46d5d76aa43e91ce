"""What can go wrong on the way to an exit code: diagnostics, stores, locks, interrupts, our own mistakes."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping

from mlplan.lang.diagnostic import Diagnostic, DiagnosticError
from mlplan.lang.hidden import hide
from mlplan.lang.source import SourceFile
from mlplan.spi.capabilities import ProviderError
from mlplan.spi.store import Conflict, LockHeld, StoreError

STALE = frozenset({"plan-stale", "plan-tampered", "plan-foreign"})


def guarded(action: Callable[[], int]) -> int:
    """Run a command; every failure becomes a message and an exit code."""
    try:
        code = action()
        if not sys.stdout.closed:  # a server closes it when its client leaves
            sys.stdout.flush()  # here, since at the end of the interpreter a pipe without a reader would make noise
        return code
    except DiagnosticError as error:
        show(error.diagnostics)
        _tell_programs(error.diagnostics)
        return 6 if {d.code for d in error.diagnostics} & STALE else 1
    except StoreError as error:
        from mlplan.ledger.damage import problem

        show((problem(error),))
        return 6 if isinstance(error, LockHeld | Conflict) else 1
    except ProviderError as error:
        show((Diagnostic("provider-error", error.summary, error.detail),))
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted. What was begun is in the journal; the next run takes it up.\n")
        return 1
    except BrokenPipeError:
        # The reader of a pipe went away; nothing of ours is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # the last seam: a mistake of ours must read like a message, not like a crash
        return _mistake(error)


def _tell_programs(diagnostics: tuple[Diagnostic, ...]) -> None:
    """Write what kept a command from its work to stdout as well, when a program reads that."""
    from mlplan.cli.terminal import sources_of, spoken_json

    form = spoken_json()
    if not form:
        return
    from mlplan.report.diagnostics import diagnostic_json
    from mlplan.report.json_text import dumps

    sources = sources_of(diagnostics)
    documents = [diagnostic_json(d, sources) for d in diagnostics]
    if form == "document":
        sys.stdout.write(dumps({"format_version": "1.0", "errored": True, "diagnostics": documents}) + "\n")
    else:
        sys.stdout.writelines(dumps({"type": "diagnostic", "diagnostic": d}, indent=False) + "\n" for d in documents)


def _mistake(error: Exception) -> int:
    """Show a bug as a diagnostic; the traceback goes to a file, or to the terminal with MLPLAN_DEBUG=1."""
    text = hide("".join(traceback.format_exception(error)))
    if os.environ.get("MLPLAN_DEBUG"):
        sys.stderr.write(text)
    descriptor, name = tempfile.mkstemp(prefix="mlplan-", suffix=".log")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    what = "".join(traceback.format_exception_only(error)).strip()
    detail = f"{what}. This is a bug in mlplan; what was done is in the journal. The details are in {name}."
    show((Diagnostic("internal-error", "mlplan made a mistake", detail),))
    return 1


def show(diagnostics: tuple[Diagnostic, ...], sources: Mapping[str, SourceFile] | None = None) -> None:
    """Write diagnostics to stderr; source lines are read again for those that have a place."""
    from mlplan.cli.terminal import stderr_style, warns_compactly
    from mlplan.report.diagnostics import compact_text, diagnostics_text

    if sources is None:
        from mlplan.cli.terminal import sources_of

        sources = sources_of(diagnostics)
    compact = warns_compactly() and not any(d.is_error for d in diagnostics)
    text = compact_text if compact else diagnostics_text
    sys.stderr.write(text(diagnostics, sources, stderr_style()))
