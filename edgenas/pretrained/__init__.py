"""Trained networks that spaces are made of: one plugin file for each source."""
