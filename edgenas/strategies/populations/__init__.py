"""Parts of population strategies."""
