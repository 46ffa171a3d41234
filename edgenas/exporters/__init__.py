"""From a trained network to ONNX files and a bundle."""
