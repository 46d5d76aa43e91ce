def request_schema(contract, drop=()):
    skip = set(drop) | {c.name for c in contract.columns.values() if c.label}
    return {
        "columns": [
            {
                "name": c.name,
                "type": c.type,
                "nullable": c.nullable,
                "one_of": list(c.one_of) if c.one_of else None,
                "between": list(c.between) if c.between else None,
                "pii": c.pii,
            }
            for c in contract.columns.values()
            if c.name not in skip
        ]
    }
