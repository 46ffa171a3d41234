"""The stages of a run, in order: latency (bounds, profile, narrow), finalists, delivery."""
