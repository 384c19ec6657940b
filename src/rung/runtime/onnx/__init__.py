"""ONNX Runtime sessions and their outputs."""
