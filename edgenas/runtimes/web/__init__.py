"""onnxruntime-web in a JavaScript engine of its own: what the runtimes on Node and on Chromium share."""
