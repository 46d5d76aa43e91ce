"""The nouns: data_contract, model, deployment, environment, monitor. Each folder holds a spec, a diff and steps."""
