"""The one idea: a search space is one straight-line program of ops with shapes."""
