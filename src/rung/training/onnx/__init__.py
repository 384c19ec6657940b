"""Writing ONNX graphs with the onnx package alone."""
