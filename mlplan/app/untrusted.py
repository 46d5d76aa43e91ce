"""Plans of files from strangers: in a sandbox without network, environment, credentials or providers, or not at all.

What evaluates such files is a process of its own, started by `cli/inside.py`; here it is decided when that is needed, and what it sees.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mlplan.lang.diagnostic import Diagnostic, DiagnosticError

PROJECT = "/project"
SECONDS = 120
MOST_BASE = 32 * 1024 * 1024
MOST_BASE_FILE = 1024 * 1024
"""Units: bytes of the base revision that are looked at, in all and a file; rules that need more cannot be told."""
SCRATCH = 256 * 1024 * 1024
"""Units: bytes of the sandbox's own file systems, which live in memory."""


def foreign_head(environment: Mapping[str, str]) -> str | None:
    """Return why the checked out files are a stranger's, as CI tells it, or None. What CI leaves unclear counts as a stranger's."""
    if environment.get("GITHUB_ACTIONS") == "true" and environment.get("GITHUB_EVENT_NAME", "").startswith(
        "pull_request"
    ):
        return _github(environment.get("GITHUB_EVENT_PATH", ""))
    source, target = (environment.get(f"CI_MERGE_REQUEST_{side}PROJECT_ID") for side in ("SOURCE_", ""))
    if source and target and source != target:
        return f"the merge request comes from project {source}"
    if environment.get("SYSTEM_PULLREQUEST_ISFORK", "").lower() == "true":
        return "the pull request comes from a fork"
    return None


def _github(path: str) -> str | None:
    try:
        event = json.loads(Path(path).read_text(encoding="utf-8"))
        request = event["pull_request"]
        base = request["base"]["repo"]["full_name"]
        head = (request["head"]["repo"] or {}).get("full_name")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "this is a pull request, and its event file does not tell from where"
    return None if head == base else f"the pull request comes from {head or 'a repository that is gone'}"


def refuse_foreign(environment: Mapping[str, str], command: str) -> None:
    """Refuse to carry out what a stranger wrote. Raises: DiagnosticError (untrusted-head)."""
    why = foreign_head(environment)
    if why is not None:
        detail = (
            f"{why[0].upper()}{why[1:]}. {command} runs code from these files with the rights of this machine, so it is refused. "
            "What can be looked at is:\n    mlplan plan --untrusted"
        )
        raise DiagnosticError(Diagnostic("untrusted-head", "These files come from a stranger", detail))


def plan(root: Path, request: Mapping[str, Any], environment: Mapping[str, str], base: str | None) -> int:
    """Run a plan in a sandbox and return its exit code; it writes to our stdout and stderr. Raises: DiagnosticError (no-sandbox)."""
    program = _bubblewrap()
    _try(program)
    words = [*argv(program, root), *_interpreter(), json.dumps(dict(request))]
    before = json.dumps(_files_of(root, base, environment))
    try:
        done = subprocess.run(words, input=before, text=True, check=False, timeout=SECONDS, env={})  # noqa: S603  (a fixed program)
    except subprocess.TimeoutExpired as error:
        detail = f"The plan took more than {SECONDS} seconds and was ended."
        raise DiagnosticError(Diagnostic("untrusted-too-costly", "The plan took too much", detail)) from error
    if done.returncode < 0 or done.returncode > 100:
        detail = f"It ended with {done.returncode}: most likely it wanted more memory or time than a plan of strange files may have."
        raise DiagnosticError(Diagnostic("untrusted-too-costly", "The plan took too much", detail))
    return done.returncode


def argv(program: str, root: Path) -> list[str]:
    """Return the sandbox's words: nothing of this machine but programs and libraries; of the project everything but its secrets."""
    words = [
        program, "--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session", "--clearenv",
        "--cap-drop", "ALL", "--uid", "65534", "--gid", "65534", "--hostname", "sandbox",
        "--proc", "/proc", "--dev", "/dev",
        "--size", str(SCRATCH), "--tmpfs", "/tmp",  # noqa: S108  (inside the sandbox)
        "--size", str(SCRATCH), "--tmpfs", PROJECT,
    ]  # fmt: skip
    for place in _programs():
        words += ["--ro-bind-try", place, place]
    for item in sorted(root.iterdir()):
        # .git may hold credentials of the checkout; .mlplan holds the key that signs plans. A link leads nowhere but inside.
        if item.name in (".git", ".mlplan"):
            continue
        if item.is_symlink():
            words += ["--symlink", os.readlink(item), f"{PROJECT}/{item.name}"]
        elif item.is_file() or item.is_dir():
            words += ["--ro-bind", str(item), f"{PROJECT}/{item.name}"]
    state = root / ".mlplan" / "state"
    if state.is_dir() and not state.is_symlink() and not state.parent.is_symlink():
        words += ["--ro-bind", str(state), f"{PROJECT}/.mlplan/state"]
    for name, value in (("HOME", "/tmp"), ("LANG", "C.UTF-8"), ("PATH", "/usr/bin:/bin")):  # noqa: S108
        words += ["--setenv", name, value]
    return [*words, "--chdir", PROJECT, "--"]


def _interpreter() -> list[str]:
    # -I: neither the project's folder nor the environment can put modules in the place of ours.
    return [sys.executable, "-I", "-m", "mlplan.cli.inside"]


def _programs() -> list[str]:
    """Return the folders that Python and mlplan are read from."""
    places = ["/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/alternatives", sys.prefix, sys.base_prefix]
    places += [str(Path(sys.executable).parent), str(Path(os.path.realpath(sys.executable)).parent.parent)]
    places += [sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    for name in ("mlplan", "mlplan_local", "mlplan_state"):
        spec = find_spec(name)
        places += list(spec.submodule_search_locations or ()) if spec is not None else []
    return list(dict.fromkeys(places))


def _bubblewrap() -> str:
    program = shutil.which("bwrap")
    if program is None:
        detail = "A plan of strange files needs bubblewrap. Install it:\n    apt-get install bubblewrap\nWithout it nothing is done."
        raise DiagnosticError(Diagnostic("no-sandbox", "There is no sandbox", detail))
    return program


def _try(program: str) -> None:
    """Look whether a sandbox can be made on this machine at all; where namespaces are forbidden it cannot."""
    words = [program, "--unshare-all", "--ro-bind", "/", "/", "--", "/bin/true"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30, env={})  # noqa: S603
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        detail = (
            f"bubblewrap cannot make one here: {said[-1] if said else done.returncode}. The kernel or the container forbids user "
            "namespaces; allow them, or run this where they are allowed. Without a sandbox nothing is done."
        )
        raise DiagnosticError(Diagnostic("no-sandbox", "There is no sandbox", detail))


def _files_of(root: Path, base: str | None, environment: Mapping[str, str]) -> dict[str, str] | None:
    """Return the project's files as the base revision has them, by name; None without a base. Large and binary files are left out.

    Raises: DiagnosticError (unknown-revision): a base that is named and cannot be read is no reason to do without its rules.
    """
    revision = base or (f"origin/{environment['GITHUB_BASE_REF']}" if environment.get("GITHUB_BASE_REF") else None)
    if revision is None:
        return None
    git = shutil.which("git")
    listed = _git(git, root, "ls-tree", "-r", "-z", "-l", revision, "--", "./") if git and revision[:1] != "-" else None
    if git is None or listed is None:
        why = "git is not installed" if git is None else f'git does not know "{revision}" here'
        detail = f"{why[0].upper()}{why[1:]}, so the rules of the base cannot be read. Fetch it, or name another with --base."
        raise DiagnosticError(Diagnostic("unknown-revision", "There is no such revision", detail))
    wanted: dict[str, str] = {}
    room = MOST_BASE
    for line in listed.decode("utf-8", "replace").split("\0"):
        facts, _, name = line.partition("\t")
        words = facts.split()
        if len(words) == 4 and words[0].startswith("100") and words[3].isdigit():
            size = int(words[3])
            if size <= MOST_BASE_FILE and size <= room:
                room -= size
                wanted[name] = words[2]
    contents = _blobs(git, root, wanted.values())
    return {name: text for name, digest in wanted.items() if (text := contents.get(digest)) is not None}


def _blobs(git: str, root: Path, digests: Iterable[str]) -> dict[str, str]:
    """Return the texts of objects; what is no text is left out."""
    answer = _git(git, root, "cat-file", "--batch", given="".join(f"{digest}\n" for digest in digests)) or b""
    found: dict[str, str] = {}
    position = 0
    while (end := answer.find(b"\n", position)) >= 0:
        digest, _, size = answer[position:end].decode().rpartition(" ")
        length = int(size)
        data = answer[end + 1 : end + 1 + length]
        with suppress(UnicodeDecodeError):
            found[digest.partition(" ")[0]] = data.decode("utf-8")
        position = end + 1 + length + 1
    return found


def _git(git: str, root: Path, *words: str, given: str = "") -> bytes | None:
    safe: Sequence[str] = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.pager=cat")
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(  # noqa: S603  (git, with words of ours)
        [git, "-C", str(root), *safe, *words],
        input=given.encode(),
        capture_output=True,
        check=False,
        timeout=60,
        env=kept,
    )
    return done.stdout if done.returncode == 0 else None
