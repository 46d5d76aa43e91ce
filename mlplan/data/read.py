def sample_rows(contract, snapshot, root, rows=64, seed=0):
    import json

    import pandas as pd

    f = pd.concat([pd.read_parquet(p) for p in snapshot.paths(root)])
    names = [c.name for c in contract.columns.values() if not c.label and c.name not in contract.key]
    return json.loads(f[names].sample(rows, random_state=seed).to_json(orient="records", date_format="iso"))
