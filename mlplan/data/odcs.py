"""The Open Data Contract Standard, v3: a document as arguments of `data_contract` blocks, and a contract as a document.

Source: Bitol, Open Data Contract Standard v3.0 to v3.2. What one side cannot say is named in notes, never dropped in silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlplan.data.contract import Column, Contract
from mlplan.data.types import LogicalType, parse_type
from mlplan.lang.diagnostic import Diagnostic, DiagnosticError

_LOGICAL = {
    "string": "string", "date": "date", "timestamp": "timestamp", "time": "string", "number": "float", "integer": "int",
    "boolean": "bool",
}  # fmt: skip
_PHYSICAL = re.compile(r"(?:decimal|numeric)\s*\(\s*(\d+)\s*(?:,\s*(\d+))?\s*\)", re.IGNORECASE)
_PERSONAL = ("restricted", "confidential", "pii", "personal", "sensitive")
_UNITS = {"d": "d", "day": "d", "days": "d", "h": "h", "hr": "h", "hour": "h", "hours": "h", "m": "m", "minutes": "m"}
_LOWER = {"mustBeGreaterThan": False, "mustBeGreaterOrEqualTo": True}
_UPPER = {"mustBeLessThan": False, "mustBeLessOrEqualTo": True}
_METRICS = ("nullValues", "missingValues")


@dataclass(frozen=True)
class _Made:
    """Columns and quality rules of a block that is being made."""

    columns: dict[str, dict[str, Any]]
    quality: dict[str, dict[str, Any]] = field(default_factory=dict)


def read_odcs(document: Any) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return name -> arguments of a `data_contract` block for each table, and notes on what has no counterpart.

    Diagnostics: invalid-odcs.
    """
    if not isinstance(document, Mapping) or document.get("kind") != "DataContract":
        raise _invalid(
            'It has no kind: DataContract. Only documents of version 3 are read ("schema" with "properties").'
        )
    version = str(document.get("apiVersion", ""))
    tables = document.get("schema")
    if not re.fullmatch(r"v3\.\d+\.\d+.*", version) or not isinstance(tables, Sequence) or isinstance(tables, str):
        raise _invalid(f'Its apiVersion is "{version}" and its schema no list of tables; version 3 has both.')
    notes: list[str] = []
    contracts: dict[str, dict[str, Any]] = {}
    for table in tables:
        if not isinstance(table, Mapping) or not table.get("name"):
            raise _invalid("A table of its schema has no name.")
        contracts[str(table["name"])] = _table(document, table, notes)
    return contracts, notes


def _invalid(detail: str) -> DiagnosticError:
    return DiagnosticError(Diagnostic("invalid-odcs", "This is no data contract of the open standard", detail))


def _table(document: Mapping[str, Any], table: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    name = str(table["name"])
    properties = [p for p in table.get("properties") or () if isinstance(p, Mapping) and p.get("name")]
    columns = {str(p["name"]): _column(name, p, notes) for p in properties}
    keys = sorted((p for p in properties if p.get("primaryKey")), key=lambda p: p.get("primaryKeyPosition") or 0)
    made = _Made(columns)
    least_rows = None
    for place, rules in _rules(table, properties):
        for rule in rules:
            least_rows = _quality(name, place, rule, made, notes) or least_rows
    return {
        "description": _description(table.get("description") or document.get("description")),
        "owner": _owner(document),
        "source": _source(document, table, notes),
        "key": [str(p["name"]) for p in keys] or None,
        **_freshness(document, name, columns),
        "min_rows": least_rows,
        "columns": columns,
        "quality": made.quality,
    }


def _rules(
    table: Mapping[str, Any], properties: Sequence[Mapping[str, Any]]
) -> Iterable[tuple[str | None, Sequence[Any]]]:
    yield None, table.get("quality") or ()
    for column in properties:
        yield str(column["name"]), column.get("quality") or ()


def _description(value: Any) -> str | None:
    if isinstance(value, Mapping):
        value = value.get("purpose")
    return str(value) if value else None


def _owner(document: Mapping[str, Any]) -> str | None:
    team = document.get("team")
    members = team.get("members") if isinstance(team, Mapping) else team
    for member in members or ():
        if isinstance(member, Mapping) and str(member.get("role", "")).lower() in ("owner", "data owner"):
            return str(member.get("username") or member.get("name"))
    if isinstance(team, Mapping) and team.get("name"):
        return str(team["name"])
    return str(document["domain"]) if document.get("domain") else None


def _source(document: Mapping[str, Any], table: Mapping[str, Any], notes: list[str]) -> str:
    name = str(table.get("physicalName") or table["name"])
    for server in document.get("servers") or ():
        kind = str(server.get("type", "")).lower()
        if kind in ("postgres", "postgresql"):
            place = f"{server.get('host', 'localhost')}:{server.get('port', 5432)}/{server.get('database', '')}"
            schema = f"{server['schema']}." if server.get("schema") else ""
            return f"postgres://{place}?table={schema}{name}"
        where = server.get("location") or server.get("path")
        if where:
            return str(where).replace("{model}", name)
    notes.append(f"{table['name']}: no server says where the data lies; correct the source.")
    return f"data/{name}.parquet"


def _freshness(document: Mapping[str, Any], table: str, columns: Mapping[str, Any]) -> dict[str, Any]:
    for promise in document.get("slaProperties") or ():
        element = str(promise.get("element") or document.get("slaDefaultElement") or "")
        column = element.rpartition(".")[2]
        unit = _UNITS.get(str(promise.get("unit", "")).lower())
        temporal = columns.get(column, {}).get("type") in ("date", "timestamp", "timestamptz")
        if promise.get("property") in ("latency", "freshness", "ly") and unit and temporal:
            return {"time": column, "fresh_within": f"{promise.get('value')}{unit}"}
    return {}


def _column(table: str, column: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    options = column.get("logicalTypeOptions") or {}
    physical = str(column.get("physicalType") or "")
    values = [v.get("value") if isinstance(v, Mapping) else v for v in column.get("enum") or options.get("enum") or ()]
    type_ = _type(table, column, notes)
    low, high = options.get("minimum"), options.get("maximum")
    for exclusive in ("exclusiveMinimum", "exclusiveMaximum"):
        if options.get(exclusive) not in (None, False):
            notes.append(f"{table}.{column['name']}: {exclusive} became a bound that is allowed itself.")
            bound = options[exclusive]
            low, high = (bound, high) if exclusive == "exclusiveMinimum" and bound is not True else (low, high)
            high = bound if exclusive == "exclusiveMaximum" and bound is not True else high
    lengths = (options.get("minLength"), options.get("maxLength"))
    if (
        type_ == "string"
        and lengths == (None, None)
        and (sized := re.fullmatch(r"(?i)(?:var)?char\((\d+)\)", physical))
    ):
        lengths = (None, int(sized[1]))
    return {
        "type": type_,
        "nullable": None if column.get("required") or column.get("primaryKey") else True,
        "unique": bool(column.get("unique")) or None,
        "between": [low, high] if low is not None or high is not None else None,
        "one_of": values or None,
        "matches": options.get("pattern"),
        "length": list(lengths) if lengths != (None, None) and type_ == "string" else None,
        "pii": str(column.get("classification", "")).lower() in _PERSONAL or None,
        "description": _description(column.get("description")),
    }


def _type(table: str, column: Mapping[str, Any], notes: list[str]) -> str:
    logical = str(column.get("logicalType") or "").lower()
    physical = str(column.get("physicalType") or "").lower()
    options = column.get("logicalTypeOptions") or {}
    if match := _PHYSICAL.fullmatch(physical):
        return f"decimal({match[1]},{match[2] or 0})"
    if logical == "array":
        inner = _type(table, {"name": f"{column.get('name')}[]", **(column.get("items") or {})}, notes)
        return f"list({inner})"
    if logical == "object" and column.get("properties"):
        fields = (f"{p['name']}: {_type(table, p, notes)}" for p in column["properties"])
        return f"struct({', '.join(fields)})"
    if logical == "date" and ("timestamp" in physical or "H" in str(options.get("format", ""))):
        return "timestamp"
    if logical in ("timestamp", "date") and ("timestamptz" in physical or "with time zone" in physical):
        return "timestamptz"
    if logical in _LOGICAL:
        return _LOGICAL[logical]
    by_physical = {
        "int": "int",
        "bool": "bool",
        "double": "float",
        "float": "float",
        "real": "float",
        "timestamp": "timestamp",
    }
    found = next(
        (kind for start, kind in by_physical.items() if start in physical), "date" if physical == "date" else None
    )
    if found is None and not physical.startswith(("varchar", "char", "text", "string")):
        notes.append(f'{table}.{column.get("name")}: type "{logical or physical}" became string.')
    return found or "string"


def _quality(table: str, column: str | None, rule: Any, made: _Made, notes: list[str]) -> int | None:
    """Take a rule over where it has a counterpart; return the least number of rows when that is what it says."""
    if not isinstance(rule, Mapping):
        return None
    metric = str(rule.get("metric") or rule.get("rule") or "")
    low, high = _bounds(rule)
    if metric in ("rowCount", "row_count") and low is not None:
        return int(low)
    if column is None or not _column_rule(column, metric, rule, high, made):
        place = f"{table}.{column}" if column else table
        notes.append(f'{place}: quality rule "{metric or rule.get("type") or "text"}" has no counterpart.')
    return None


def _column_rule(column: str, metric: str, rule: Mapping[str, Any], high: float | None, made: _Made) -> bool:
    """Take over a rule of one column; tell whether it has a counterpart. A count of rows has one only when it is none."""
    percent = str(rule.get("unit", "")).lower() in ("percent", "%")
    allowed = (rule.get("arguments") or {}).get("validValues") or rule.get("validValues")
    if metric in ("duplicateValues", "duplicateCount", "unique") and not high:
        made.columns[column]["unique"] = True
        return True
    if metric in _METRICS and high == 0:
        made.columns[column]["nullable"] = None
        return True
    if metric in _METRICS and high is not None and percent:
        made.quality[f"{column}_present"] = {"metric": f"null_fraction({column})", "at_most": high / 100}
        return True
    if metric in ("invalidValues", "validValues") and allowed and not high:
        made.columns[column]["one_of"] = [value for value in allowed if value is not None]
        return True
    return False


def _bounds(rule: Mapping[str, Any]) -> tuple[float | None, float | None]:
    if rule.get("mustBe") is not None:
        return rule["mustBe"], rule["mustBe"]
    if between := rule.get("mustBeBetween"):
        return between[0], between[1]
    low = next((rule[name] for name in _LOWER if rule.get(name) is not None), None)
    return low, next((rule[name] for name in _UPPER if rule.get(name) is not None), None)


def write_odcs(contract: Contract, name: str) -> tuple[dict[str, Any], list[str]]:
    """Return the document of a contract, ready for YAML, and notes on what it cannot say."""
    notes = [f"quality.{rule}: written as text, other programs do not check it." for rule in contract.quality]
    notes += [f"drift.{rule}: has no counterpart." for rule in contract.drift]
    notes += ["strict: has no counterpart; other programs let undeclared columns pass."] if contract.strict else []
    notes += (
        [f"time: has no counterpart without fresh_within ({contract.time})."]
        if contract.time and not contract.fresh_within
        else []
    )
    table: dict[str, Any] = {
        "name": name, "logicalType": "object", "physicalType": "table",
        **({"description": contract.description} if contract.description else {}),
        "properties": [_property(c, contract) for c in contract.columns.values()],
    }  # fmt: skip
    rules: list[dict[str, Any]] = []
    if contract.min_rows is not None:
        rules.append({"type": "library", "metric": "rowCount", "mustBeGreaterOrEqualTo": contract.min_rows})
    rules += [
        {"type": "text", "name": r.name, "description": r.rule or str(r.metric or r.references)}
        for r in contract.quality.values()
    ]
    if rules:
        table["quality"] = rules
    document: dict[str, Any] = {
        "apiVersion": "v3.1.0", "kind": "DataContract", "id": f"mlplan-{name}", "name": name, "version": "1.0.0",
        "status": "active",
    }  # fmt: skip
    if contract.description:
        document["description"] = {"purpose": contract.description}
    document["servers"] = [
        {"server": "source", "type": "local", "path": contract.source, "format": contract.format or "parquet"}
    ]
    document["schema"] = [table]
    if contract.owner:
        document["team"] = [{"username": contract.owner, "role": "Owner"}]
    if contract.time and contract.fresh_within:
        document["slaProperties"] = [
            {
                "property": "latency",
                "value": contract.fresh_within / 3600,
                "unit": "h",
                "element": f"{name}.{contract.time}",
            }
        ]
    return document, notes


def _property(column: Column, contract: Contract) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if column.between:
        options |= {k: v for k, v in zip(("minimum", "maximum"), column.between, strict=True) if v is not None}
    if column.length:
        options |= {k: v for k, v in zip(("minLength", "maxLength"), column.length, strict=True) if v is not None}
    if column.matches:
        options["pattern"] = column.matches
    made = {"name": column.name, **_written_type(parse_type(column.type)), "required": not column.nullable}
    if column.name in contract.key:
        made |= {"primaryKey": True, "primaryKeyPosition": contract.key.index(column.name) + 1}
    if column.unique:
        made["unique"] = True
    if column.pii:
        made["classification"] = "restricted"
    if column.description:
        made["description"] = column.description
    if options:
        made["logicalTypeOptions"] = {**made.get("logicalTypeOptions", {}), **options}
    if column.one_of:
        made["quality"] = [
            {
                "type": "library",
                "metric": "invalidValues",
                "arguments": {"validValues": list(column.one_of)},
                "mustBe": 0,
            }
        ]
    return made


def _written_type(logical: LogicalType) -> dict[str, Any]:
    if logical.of is not None:
        return {"logicalType": "array", "items": _written_type(logical.of)}
    if logical.fields:
        return {"logicalType": "object", "properties": [{"name": n, **_written_type(t)} for n, t in logical.fields]}
    physical = {
        "timestamptz": "timestamp with time zone",
        "timestamp": "timestamp",
        "decimal": str(logical),
        "float": "double",
    }
    names = {"int": "integer", "float": "number", "decimal": "number", "bool": "boolean", "timestamptz": "timestamp"}
    made = {"logicalType": names.get(logical.name, logical.name)}
    return made | ({"physicalType": physical[logical.name]} if logical.name in physical else {})
