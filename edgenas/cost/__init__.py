"""Cost models: MACs, parameters, bytes moved, memory and file size, and what latency is built on."""
