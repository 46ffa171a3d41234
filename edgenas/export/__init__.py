"""From a graph and its weights to files: ONNX, its int8 twin, and the bundle an app takes."""
