"""Where modules come from: folders of the project, and git repositories pinned by commit. Reads no network."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from mlplan.lang.diagnostic import Diagnostic

FOLDER = ".mlplan/modules"
SCHEMES = ("https", "ssh", "file")
_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+-]{0,199}")
_SCP = re.compile(r"(?P<user>[A-Za-z0-9_.-]+)@(?P<host>[A-Za-z0-9][A-Za-z0-9.-]*):(?P<path>[A-Za-z0-9_.~/-]+)")
_HOST = re.compile(r"[A-Za-z0-9\[][A-Za-z0-9.:\]-]*")


@dataclass(frozen=True)
class LocalSource:
    """A folder relative to the calling module's."""

    path: str


@dataclass(frozen=True)
class GitSource:
    """A repository. text: the source as written, the key in the lock file. inside: the folder below its top."""

    text: str
    url: str
    ref: str | None
    inside: str


class SourceError(Exception):
    """A source that cannot be used; the text says why."""


def parse_source(text: str) -> LocalSource | GitSource:
    """Return what a `source` means. Raises: SourceError."""
    if text.startswith(("./", "../")) or text in (".", ".."):
        return LocalSource(text)
    if text.startswith("git::"):
        return _git(text, text.removeprefix("git::"))
    if _SCP.match(text):
        return _git(text, text)
    if text.startswith("/"):
        raise SourceError(
            "absolute paths are not allowed, because the project must mean the same in another place; "
            "write a path that begins with ./ or ../"
        )
    raise SourceError(
        'a source is a folder of the project, as in "./modules/regional", or a git repository, as in '
        '"git::https://example.com/modules.git//regional?ref=v1.2"'
    )


def _git(text: str, address: str) -> GitSource:
    address, _, query = address.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    ref = options.pop("ref", None)
    if options:
        raise SourceError(f"a git source knows ?ref= and nothing else; here is {', '.join(options)}")
    if ref is not None and (not _REF.fullmatch(ref) or ".." in ref or ref.endswith((".lock", "/"))):
        raise SourceError(f'"{ref}" is no branch, tag or commit')
    scp = _SCP.match(address)
    if scp is not None:
        path, _, inside = scp["path"].partition("//")
        url = f"{scp['user']}@{scp['host']}:{path}"
    else:
        url, inside = _url(address)
    if inside and (inside.startswith("/") or ".." in inside.split("/")):
        raise SourceError(f'"//{inside}" leads out of the repository')
    return GitSource(text, url, ref, inside)


def _url(address: str) -> tuple[str, str]:
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError as error:
        raise SourceError(f"this is no URL: {error}") from None
    if parts.scheme not in SCHEMES:
        raise SourceError(f"a git source uses {', '.join(SCHEMES)}; {parts.scheme or 'no scheme'} is not allowed")
    if parts.scheme != "file" and not _HOST.fullmatch(host):
        raise SourceError("the URL has no host that can be used")
    if parts.password:
        raise SourceError("a password stands in the URL; leave it to git's credential helper")
    path, _, inside = parts.path.partition("//")
    if parts.scheme == "file" and path == "" and inside:
        raise SourceError("a file URL begins with file:///")
    return f"{parts.scheme}://{parts.netloc}{path}", inside.strip("/")


def package_folder(root: Path, source: GitSource, commit: str) -> Path:
    """Return where the files of a repository at a commit are kept."""
    name = hashlib.sha256(source.url.encode()).hexdigest()[:12]
    return root / FOLDER / f"{name}-{commit[:12]}"


def invalid(detail: str) -> Diagnostic:
    """Return the error about a source that means nothing."""
    return Diagnostic("invalid-module-source", "This module source cannot be used", detail)


def not_installed(source: GitSource) -> Diagnostic:
    """Return the error about a repository that was not fetched yet."""
    detail = f'The module "{source.text}" is not here yet. Fetch it:\n    mlplan init'
    return Diagnostic("module-not-installed", "A module is not installed", detail)
