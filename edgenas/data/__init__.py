"""Data sources, one file each: `build(...) -> Data` with a training, a validation and a held-out test split."""
