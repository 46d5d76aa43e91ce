"""Use cases, one file each. `compose` is the only file that wires kinds, providers and stores to the engine."""
