"""Evaluators: what scores an architecture, one file each."""
