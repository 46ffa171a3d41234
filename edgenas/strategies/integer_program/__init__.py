"""Parts of the integer program."""
