"""Folders, processes, progress and plugins: what every layer may use."""
