"""Latency tables and what is predicted from them."""
