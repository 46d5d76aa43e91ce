from pathlib import Path

from mlplan.ledger.profile import ColumnProfile, Profile


def _one(name, s, ref):
    import numpy as np
    import pandas as pd

    n = len(s)
    nulls = int(s.isna().sum())
    v = s.dropna()
    if (ref and ref.type == "numeric") or (
        not ref and pd.api.types.is_numeric_dtype(s) and not pd.api.types.is_bool_dtype(s)
    ):
        v = v.astype(float).to_numpy()
        edges = np.array(ref.edges) if ref else np.unique(np.quantile(v, np.linspace(0, 1, 21)))
        idx = np.searchsorted(edges, v, side="right")
        idx = np.where(v == edges[-1], len(edges) - 1, idx)
        counts = np.bincount(idx, minlength=len(edges) + 1)
        return ColumnProfile(name, "numeric", n, nulls, tuple(int(c) for c in counts), tuple(float(e) for e in edges))
    cats = ref.categories if ref else tuple(str(x) for x in v.astype(str).value_counts().index[:50])
    vc = v.astype(str).value_counts()
    counts = [int(vc.get(c, 0)) for c in cats]
    return ColumnProfile(name, "categorical", n, nulls, (*counts, len(v) - sum(counts)), (), tuple(cats))


def profile(contract, snapshot, root, reference=None, columns=None, cache=None):
    import pandas as pd

    f = pd.concat([pd.read_parquet(p) for p in snapshot.paths(root)])
    names = [
        c.name
        for c in contract.columns.values()
        if not c.label and c.name not in contract.key and c.type not in ("timestamp",)
    ]
    return Profile(snapshot.digest, len(f), {n: _one(n, f[n], None) for n in names})


def profile_requests(files, columns, since, until, reference, version=None):
    import json

    import pandas as pd

    rows = []
    for p in files:
        for line in Path(p).read_text().splitlines():
            try:
                d = json.loads(line)
            except ValueError:
                continue
            if since <= d["at"] < until and (version is None or d["version"] == version):
                rows.append(d["inputs"])
    f = pd.DataFrame(rows)
    return Profile(
        "window",
        len(f),
        {
            c: _one(c, f[c] if c in f else pd.Series([], dtype=object), reference.columns[c])
            for c in columns
            if c in reference.columns
        },
    )
