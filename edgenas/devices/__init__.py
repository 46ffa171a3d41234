"""How latencies are measured: on this machine, by a kit on another, over ssh."""
