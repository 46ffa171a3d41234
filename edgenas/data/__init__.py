"""Data sources, one file each: `build(...) -> Data` with a train, a validation and a held-out test split."""
