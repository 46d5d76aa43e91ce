"""The only place where kinds, providers and stores meet the engine."""

from __future__ import annotations

import importlib.metadata
import os
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from mlplan.app import backend
from mlplan.app.encryption import keyring
from mlplan.config.load import load
from mlplan.config.program import Program
from mlplan.config.variables import NOT_GIVEN
from mlplan.engine.kind import Kind
from mlplan.engine.plan import World
from mlplan.kinds.services import Services
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError, suggestion
from mlplan.lang.values import Secret, Unknown
from mlplan.ledger.encrypted import EncryptedStore
from mlplan.ledger.keys import Keyring
from mlplan.ledger.rescue import Rescue
from mlplan.ledger.session import Ledger
from mlplan.spi.capabilities import Provider, ProviderFactory
from mlplan.spi.schema import BlockSchema
from mlplan.spi.secrets import SecretError, is_reference, resolve
from mlplan.spi.store import Store, StoreFactory

DEFAULT_PROVIDER = "local"
DEFAULT_STORE = "local"
DEFAULT_WORKSPACE = "default"


@dataclass(frozen=True)
class Settings:
    """What a command was told. variables: -var texts; variable_files: -var-file; environment: MLPLAN_VAR_* and more."""

    root: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    variable_files: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    workspace: str = "default"


@dataclass(frozen=True)
class Project:
    """Everything a use case works with."""

    settings: Settings
    program: Program
    kinds: Mapping[str, Kind]
    providers: Providers
    store: Store
    ledger: Ledger
    services: Services
    pins: LockPins
    warnings: tuple[Diagnostic, ...] = ()
    keys: Keyring | None = None
    place: backend.Place = field(default_factory=lambda: backend.Place(DEFAULT_STORE))

    def world(self) -> World:
        """Return what surrounds a plan now."""
        return World(
            self.settings.root,
            self.kinds,
            self.providers.get,
            self.services,
            self.store.get_blob,
            self.store.put_blob,
            time.time(),
            self.pins.digest(),
            self.settings.workspace,
        )


def kinds() -> dict[str, Kind]:
    """Return every kind by name."""
    from mlplan.kinds.data_contract.kind import DataContractKind
    from mlplan.kinds.deployment.kind import DeploymentKind
    from mlplan.kinds.environment.kind import EnvironmentKind
    from mlplan.kinds.model.kind import ModelKind
    from mlplan.kinds.monitor.kind import MonitorKind

    every: list[Kind] = [DataContractKind(), ModelKind(), DeploymentKind(), EnvironmentKind(), MonitorKind()]
    return {kind.name: kind for kind in every}


def schemas() -> dict[str, BlockSchema]:
    """Return the schemas of the nouns that files may declare."""
    return {name: kind.schema for name, kind in kinds().items() if name != "deployment"}


def open_project(
    settings: Settings, *, isolated: bool = False, anywhere: bool = False, lenient: bool = False
) -> Project:
    """Load the files and wire everything to them. Raises: DiagnosticError with every mistake in the files, or backend-changed.

    isolated: keep the state in the project's own folder, whatever `backend` and `encryption` say: for runs in a copy.
    anywhere: the backend may be another one than when the project was initialised. lenient: variables need no values.
    """
    program, diagnostics = load(
        settings.root,
        schemas=schemas(),
        variables=settings.variables,
        variable_files=settings.variable_files,
        environment=settings.environment,
        workspace=settings.workspace,
        lenient=lenient,
    )
    diagnostics = [d for d in diagnostics if not lenient or NOT_GIVEN not in d.detail]
    if program is None or any(d.is_error for d in diagnostics):
        raise DiagnosticError(*diagnostics)
    pins = LockPins(settings.root, settings.workspace)
    keys = None if isolated else keyring(program.encryption, settings.root, settings.environment)
    store, place = open_store(replace(program, backend=None) if isolated else program, settings, keys)
    before = backend.remembered(settings.root) if not anywhere and not isolated else None
    if before is not None and not before.same(place):
        raise backend.changed(before, place)
    rescue = Rescue(settings.root / ".mlplan" / "rescue", keys)
    return Project(
        settings,
        program,
        kinds(),
        Providers(program, settings.root),
        store,
        Ledger(store, rescue=rescue),
        Services(settings.root, sys.executable, pins),
        pins,
        (*diagnostics, *rescue_waits(rescue)),
        keys,
        place,
    )


def rescue_waits(rescue: Rescue) -> list[Diagnostic]:
    """Return a warning for each rescue file that nobody pushed yet."""
    return [
        Diagnostic(
            "rescue-waiting", "A run could not write all it did",
            f"When the store failed, what was left to write was kept. Bring it in:\n    mlplan state push {path}", "warning",
        )
        for path in rescue.waiting()
    ]  # fmt: skip


def open_store(program: Program, settings: Settings, keys: Keyring | None = None) -> tuple[Store, backend.Place]:
    """Return the store that the `backend` block names, or the local one, and its place; with keys, it encrypts."""
    name = program.backend.type if program.backend is not None else DEFAULT_STORE
    factory = cast("StoreFactory", plug_in("mlplan.stores", name, "state store"))
    values, diagnostics = program.backend_settings(factory.schema)
    if any(d.is_error for d in diagnostics):
        raise DiagnosticError(*diagnostics)
    for argument, value in values.items():
        if isinstance(value, Unknown):
            detail = f"The argument {argument} of the backend is {value.origin}. Give it with --var, --var-file or MLPLAN_VAR_…"
            raise DiagnosticError(Diagnostic("missing-variable", "A variable has no value", detail))
    place = backend.place_of(program, name, factory, values, settings.root)
    return make_store(name, values, settings, keys), place


def make_store(name: str, values: Mapping[str, Any], settings: Settings, keys: Keyring | None) -> Store:
    """Return a store made of decoded arguments. A sensitive argument that is a reference is resolved here."""
    factory = cast("StoreFactory", plug_in("mlplan.stores", name, "state store"))
    try:
        plain = {
            key: revealed(value, settings.root, settings.environment, "The backend") for key, value in values.items()
        }
        store = factory(plain, settings.root, settings.workspace)
    except ImportError as error:
        raise missing_extra("state store", name, error) from error
    return EncryptedStore(store, keys) if keys is not None else store


def revealed(value: Any, root: Path, environment: Mapping[str, str], who: str) -> Any:
    """Return the value of a sensitive argument for the plug-in that takes it; a reference is resolved here.

    Raises: DiagnosticError (secret-missing).
    """
    if not isinstance(value, Secret):
        return value
    if not isinstance(value.value, str) or not is_reference(value.value):
        return value.value
    try:
        return resolve(value.value, root, environment)
    except SecretError as error:
        detail = f"{who} needs it. {error}."
        raise DiagnosticError(Diagnostic("secret-missing", "A secret cannot be read", detail)) from error


def plug_in(group: str, name: str, what: str) -> Any:
    """Load a plug-in by entry point. Raises: DiagnosticError (unknown-plug-in, missing-extra)."""
    point = _own_plug_in(group, name)
    if point is None:
        known = {point.name: point for point in importlib.metadata.entry_points(group=group)}
        point = known.get(name)
    if point is None:
        detail = f'There is no {what} "{name}". Installed: {", ".join(sorted(known)) or "none"}.'
        raise DiagnosticError(
            Diagnostic("unknown-plug-in", "A plug-in is not installed", detail, hint=suggestion(name, known))
        )
    try:
        return point.load()
    except ImportError as error:
        raise missing_extra(what, name, error) from error


def _own_plug_in(group: str, name: str) -> importlib.metadata.EntryPoint | None:
    """Return a plug-in that comes with mlplan: found without reading what every other installed package offers."""
    try:
        offered = importlib.metadata.distribution("mlplan").entry_points
    except importlib.metadata.PackageNotFoundError:
        return None
    return next(iter(offered.select(group=group, name=name)), None)


def missing_extra(what: str, name: str, error: ImportError) -> DiagnosticError:
    """Return the message about a plug-in whose package is not installed."""
    detail = f'The {what} "{name}" needs a package that is missing ({error.name}). Install it:\n    pip install "mlplan[{name}]"'
    return DiagnosticError(Diagnostic("missing-extra", "A plug-in lacks a package", detail))


class Providers:
    """Configured providers, made when first used."""

    def __init__(self, program: Program, root: Path) -> None:
        self._program = program
        self._root = root
        self._made: dict[str, Provider] = {}

    def get(self, name: str | None) -> Provider:
        """Return a provider by its local name; the local one when a block names none."""
        name = name or DEFAULT_PROVIDER
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def _make(self, name: str) -> Provider:
        config = self._program.providers.get(name)
        type_name = config.type if config is not None else name.partition(".")[0]
        factory = cast("ProviderFactory", plug_in("mlplan.providers", type_name, "provider"))
        values: Mapping[str, Any] = {}
        if config is not None:
            values, diagnostics = self._program.provider_settings(config, factory.schema)
            if any(d.is_error for d in diagnostics):
                raise DiagnosticError(*diagnostics)
        environment = os.environ  # a provider may be made long after the command began
        return factory({k: revealed(v, self._root, environment, "A provider") for k, v in values.items()}, self._root)


class LockPins:
    """The pins of one workspace in `mlplan.lock.hcl`, read once, written at every change; those of others stay as they are."""

    def __init__(self, root: Path, workspace: str = DEFAULT_WORKSPACE) -> None:
        from mlplan.config.lock import read_lock

        self._path = root / "mlplan.lock.hcl"
        self._workspace = workspace
        self._changing = threading.Lock()  # steps of several contracts end at the same time
        self._before: Mapping[str, str] = {}
        self._lock, diagnostics = read_lock(self._path)
        if any(d.is_error for d in diagnostics):
            raise DiagnosticError(*diagnostics)

    @property
    def _own(self) -> dict[str, Mapping[str, Any]]:
        return {address: values for (address, name), values in self._lock.pins.items() if name == self._workspace}

    def get(self, address: str) -> Mapping[str, Any] | None:
        """Return what is pinned for an address, under its old one when it is about to move."""
        pins = self._lock.pins
        before = self._before.get(address, address)
        return pins.get((address, self._workspace)) or pins.get((before, self._workspace))

    def put(self, address: str, values: Mapping[str, Any]) -> None:
        """Pin; written to the lock file at once."""
        with self._changing:
            own = self._own
            if own.get(address) != dict(values):
                self._write({**own, address: dict(values)})

    def drop(self, address: str) -> None:
        """Take the pin of an address out."""
        with self._changing:
            own = self._own
            if own.pop(address, None) is not None:
                self._write(own)

    def clear(self) -> None:
        """Take out every pin of the workspace."""
        with self._changing:
            if self._own:
                self._write({})

    def follow(self, moves: Mapping[str, str]) -> None:
        """Look for pins under the old addresses of what is about to move; nothing is written."""
        self._before = {new: old for old, new in moves.items()}

    def move(self, moves: Mapping[str, str]) -> None:
        """Give pins other addresses, as records get them."""
        with self._changing:
            own = self._own
            pins = {moves.get(address, address): values for address, values in own.items()}
            if pins != own:
                self._write(pins)

    def digest(self) -> str:
        """Return the digest of all pins of the workspace."""
        from mlplan.ledger.evidence import digest_of

        return digest_of({address: dict(values) for address, values in self._own.items()})

    def _write(self, own: Mapping[str, Mapping[str, Any]]) -> None:
        from mlplan.config.lock import read_lock, write_lock

        now, problems = read_lock(self._path)  # another workspace may have pinned since
        kept = self._lock if problems else now
        others = {pin: values for pin, values in kept.pins.items() if pin[1] != self._workspace}
        mine = {(address, self._workspace): values for address, values in own.items()}
        self._lock = replace(self._lock, pins={**others, **mine})
        write_lock(self._path, self._lock)
