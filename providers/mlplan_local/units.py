"""Units: the processes that serve one version, one for each replica, with a listening socket that they inherit.

A unit's folder holds `unit.json` (what it is: never its environment, which may hold secrets), and for each replica
`replica-<i>.json` (who the process is, its port) and `replica-<i>.log`. Traffic is the business of `endpoints`, which is told when a replica got
another port.
"""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlplan.spi.capabilities import ProviderError, UnitSpec, UnitState, UnitStatus
from mlplan_local.files import cut_log, last_lines, locked, read_json, write_json
from mlplan_local.places import LOCK_SECONDS, Places
from mlplan_local.process import (
    MARK,
    Identity,
    LaunchError,
    base_environment,
    cpu_seconds_of,
    end_group,
    end_marked,
    identity_from,
    launch,
    memory_of,
    tree_of,
)

_FACTS = "unit.json"
_MOST_LOG = 32 * 1024 * 1024
_BACKLOG = 1024
_HEALTH_TIMEOUT = 2.0
_REPLACE_GRACE = 5.0


@dataclass(frozen=True)
class Replica:
    """One process of a unit as its facts file tells. Units: `started` seconds since the epoch."""

    index: int
    identity: Identity
    port: int
    command: tuple[str, ...]
    started: float

    @property
    def address(self) -> str:
        """Return where it answers."""
        return f"127.0.0.1:{self.port}"


class Units:
    """Keeps units running; the methods are those of `Serves`.

    moved: called with (endpoint, unit) when the addresses of a unit may have changed. leave: called with (endpoint, unit, drain) before a unit is
    stopped, so that no router sends to it any more; raises ProviderError when it still has traffic.
    """

    def __init__(
        self, places: Places, moved: Callable[[str, str], None], leave: Callable[[str, str, float], None]
    ) -> None:
        self._places = places
        self._moved = moved
        self._leave = leave

    def ensure_unit(self, unit: UnitSpec) -> UnitStatus:
        """Start the replicas that are missing, replace those with another command, stop those too many; wait for nothing."""
        if not unit.command:
            raise ProviderError("A unit has no command", f"Unit {unit.name} cannot be started without one.")
        folder = self._places.unit(unit.name)
        with locked(self._places.lock("unit", unit.name), LOCK_SECONDS):
            facts = read_json(folder / _FACTS)
            if facts is not None and facts["token"] != unit.token:
                raise ProviderError(
                    "A unit with this name belongs to something else",
                    f"Unit {unit.name} carries another token. It is left as it is: remove it, or use another name.",
                )
            self._write_facts(folder, unit)
            self._converge(folder, unit)
        # Always, not only after a change: an earlier call may have been killed between the two.
        self._moved(unit.endpoint, unit.name)
        return self.inspect_unit(unit.name)

    def inspect_unit(self, name: str) -> UnitStatus:
        """Look at the processes and ask each for its health."""
        folder = self._places.unit(name)
        facts = read_json(folder / _FACTS)
        if facts is None:
            if folder.is_dir():
                return UnitStatus(
                    name, "", "", "failed", reason=f"{folder} has no readable {_FACTS}: half made or damaged"
                )
            return UnitStatus(name, "", "", "absent")
        replicas = read_replicas(folder)
        alive = [replica for replica in replicas if replica.identity.alive()]
        health = _ask_all(alive, facts["health_path"])
        state, reason = _judge(facts, alive, health, folder)
        return UnitStatus(
            name=name,
            token=facts["token"],
            version=facts["version"],
            state=state,
            addresses=tuple(replica.address for replica in alive),
            reason=reason,
            labels=facts["labels"],
            usage=_usage(alive),
        )

    def list_units(self, labels: Mapping[str, str]) -> Sequence[UnitStatus]:
        """Return units by labels; one whose facts are unreadable carries none and is listed when no label is asked for."""
        found = []
        for name in self._places.names("unit"):
            facts = read_json(self._places.unit(name) / _FACTS) or {"labels": {}}
            if labels.items() <= facts["labels"].items():
                found.append(self.inspect_unit(name))
        return found

    def remove_unit(self, name: str, drain: float = 10.0) -> None:
        """Take the unit out of its router, stop it, remove its folder."""
        folder = self._places.unit(name)
        if not folder.is_dir():
            return
        with locked(self._places.lock("unit", name), LOCK_SECONDS + drain):
            facts = read_json(folder / _FACTS) or {}
            if facts.get("endpoint"):
                self._leave(facts["endpoint"], name, drain)
            replicas = read_replicas(folder)
            if replicas:
                with ThreadPoolExecutor(len(replicas)) as pool:
                    list(pool.map(lambda replica: end_group(replica.identity, drain), replicas))
            if facts.get("token"):
                end_marked(self._places.mark("unit", name, facts["token"]))
            shutil.rmtree(folder, ignore_errors=False)
            self._places.tidy("unit", name)

    def unit_logs(self, name: str, lines: int = 20) -> Sequence[str]:
        """Return the last lines; with several replicas each line says whose it is."""
        logs = sorted(self._places.unit(name).glob("replica-*.log"))
        if len(logs) == 1:
            return last_lines(logs[0], lines)
        return [f"{log.stem}: {line}" for log in logs for line in last_lines(log, max(1, lines // len(logs)))]

    def _write_facts(self, folder: Path, unit: UnitSpec) -> None:
        facts = {
            "name": unit.name,
            "token": unit.token,
            "endpoint": unit.endpoint,
            "version": unit.version,
            "replicas": unit.replicas,
            "health_path": unit.health_path,
            "ready_within": unit.ready_within,
            "labels": dict(unit.labels),
        }
        if folder.is_dir():
            if read_json(folder / _FACTS) != facts:
                write_json(folder / _FACTS, facts)
            return
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        made = folder.with_name(f".new-{folder.name}")  # renamed with its facts inside: no folder is ever without them
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(mode=0o700)
        write_json(made / _FACTS, facts)
        made.rename(folder)

    def _converge(self, folder: Path, unit: UnitSpec) -> None:
        """Make the processes those of the specification."""
        known = {replica.index: replica for replica in read_replicas(folder)}
        for index, replica in known.items():
            if index >= unit.replicas or replica.command != unit.command:
                end_group(replica.identity, _REPLACE_GRACE)
            if index >= unit.replicas:
                for suffix in ("json", "log"):
                    (folder / f"replica-{index}.{suffix}").unlink(missing_ok=True)
        for index in range(unit.replicas):
            last = known.get(index)
            cut_log(folder / f"replica-{index}.log", _MOST_LOG)
            if last is None or not last.identity.alive():
                self._start(folder, unit, index, last.port if last else 0)

    def _start(self, folder: Path, unit: UnitSpec, index: int, port: int) -> None:
        mark = f"{self._places.mark('unit', unit.name, unit.token)}:{index}"
        end_marked(mark)  # a worker that outlived its replica would go on answering on the old socket
        with closing(_listen(port)) as listener:
            number = listener.fileno()
            port = listener.getsockname()[1]
            environment = {
                **base_environment(),
                **unit.environment,
                "MLPLAN_LISTEN_FD": str(number),
                MARK: mark,
            }
            try:
                launch(
                    unit.command,
                    environment,
                    folder=folder,
                    facts=folder / f"replica-{index}.json",
                    log=folder / f"replica-{index}.log",
                    extra={"index": index, "port": port, "command": list(unit.command), "started": time.time()},
                    keep=(number,),
                    memory=unit.memory,
                )
            except LaunchError as error:
                raise ProviderError("A unit could not be started", f"{unit.name}, replica {index}: {error}") from error


def read_replicas(folder: Path) -> list[Replica]:
    """Return the replicas that a unit's folder knows, dead or alive, by index."""
    found = []
    for path in folder.glob("replica-*.json"):
        facts = read_json(path)
        identity = identity_from(facts)
        if facts is not None and identity is not None:
            found.append(Replica(facts["index"], identity, facts["port"], tuple(facts["command"]), facts["started"]))
    return sorted(found, key=lambda replica: replica.index)


def addresses_of(places: Places, name: str) -> tuple[tuple[str, int], ...]:
    """Return host and port of every replica of a unit that runs."""
    replicas = read_replicas(places.unit(name))
    return tuple(("127.0.0.1", replica.port) for replica in replicas if replica.identity.alive())


def facts_of(places: Places, name: str) -> dict[str, Any] | None:
    """Return what a unit is; None when there is none."""
    return read_json(places.unit(name) / _FACTS)


def _listen(port: int) -> socket.socket:
    """Return a listening socket on the port of last time, so that no router has to be told, or on a free one."""
    for candidate in dict.fromkeys((port, 0)):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", candidate))
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
        else:
            return listener
    raise ProviderError("No free port", "The machine gave no free port on 127.0.0.1.", retryable=True)


def _ask_all(replicas: Sequence[Replica], path: str) -> list[str]:
    """Return for each replica an empty text when it is healthy, else why it is not."""
    if not replicas:
        return []
    with ThreadPoolExecutor(min(16, len(replicas))) as pool:
        return list(pool.map(lambda replica: _ask(replica.port, path), replicas))


def _ask(port: int, path: str) -> str:
    from http.client import HTTPConnection, HTTPException

    connection = HTTPConnection("127.0.0.1", port, timeout=_HEALTH_TIMEOUT)
    try:
        connection.request("GET", path, headers={"connection": "close"})
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        return f"{path}: {error or type(error).__name__}"
    finally:
        connection.close()
    return "" if status == 200 else f"{path} answers {status}"


def _judge(
    facts: Mapping[str, Any], alive: Sequence[Replica], health: Sequence[str], folder: Path
) -> tuple[UnitState, str]:
    wanted = facts["replicas"]
    if len(alive) < wanted:
        running = {replica.index for replica in alive}
        dead = next(index for index in range(wanted) if index not in running)
        tail = "\n".join(last_lines(folder / f"replica-{dead}.log", 8))
        return "failed", f"{len(alive)} of {wanted} processes run" + (f"; last output:\n{tail}" if tail else "")
    problems = [problem for problem in health if problem]
    if not problems:
        return "ready", ""
    youngest = max(replica.started for replica in alive)
    waited = time.time() - youngest
    if waited < facts["ready_within"]:
        return "starting", f"started {waited:.0f} s ago; {problems[0]}"
    return "unready", problems[0]


def _usage(replicas: Sequence[Replica]) -> dict[str, float]:
    processes = [pid for replica in replicas for pid in tree_of(replica.identity.pid)]
    return {
        "memory_bytes": float(sum(memory_of(pid) for pid in processes)),
        "cpu_seconds": round(sum(cpu_seconds_of(pid) for pid in processes), 2),
    }
