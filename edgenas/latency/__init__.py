"""Latency tables, and what is predicted from them: networks of a space, ONNX files, and tables of new devices."""
