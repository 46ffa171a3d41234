"""Search spaces, one file each: `choices`, `emit` and `build(shape, classes)`."""
