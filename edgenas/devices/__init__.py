"""Measuring devices: this machine, kits, ssh."""
