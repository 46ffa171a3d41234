"""Training loops, their settings, and the memory that a step takes."""
