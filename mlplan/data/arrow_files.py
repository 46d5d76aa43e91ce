"""Files of Arrow record batches, Feather (version 2) too: handed to the embedded engine batch by batch, as pyarrow reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlplan.data.failure import QueryFailed
from mlplan.data.relation import FILE, hive_columns, text

if TYPE_CHECKING:
    from sqlglot import Expr


def read_arrow(register: Callable[[Any], str], paths: Sequence[Path]) -> Expr:
    """Return the table that reads `paths` in their order, united by the names of their columns.

    register: gives a data set a name in the engine. Raises QueryFailed naming the file that cannot be read.
    """
    from sqlglot import exp

    folders = hive_columns(paths)
    tables: list[Expr] = []
    for path in paths:
        table: Expr = exp.Table(this=exp.to_identifier(register(_opened(path)), quoted=True))
        star: Any = exp.Star()
        values = dict(part.split("=", 1) for part in path.parts[:-1] if "=" in part)
        extra = [exp.alias_(text(str(path)), FILE, quoted=True)]
        extra += [exp.alias_(text(values[column]), column, quoted=True) for column in folders]
        tables.append(exp.select(star, *extra).from_(table))
    united: Any = tables[0]
    for other in tables[1:]:
        united = exp.Union(this=united, expression=other, distinct=False, by_name=True)
    return exp.Subquery(this=united, alias=exp.TableAlias(this=exp.to_identifier("files")))


def _opened(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.dataset as ds

    try:
        with pa.memory_map(str(path)) as mapped, pa.ipc.open_file(mapped) as file:
            names = file.schema.names
            for number in range(file.num_record_batches):  # wrong offsets in a damaged file would end this process
                file.get_batch(number).validate(full=True)
        opened = ds.dataset(path, format="ipc")
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise QueryFailed("read", f"it is not a file of Arrow record batches: {reason}", path) from error
    lower = [name.lower() for name in names]
    twice = sorted({name for name in names if lower.count(name.lower()) > 1})
    if twice:
        raise QueryFailed("read", f"it names a column twice: {', '.join(twice[:5])}.", path)
    return opened
