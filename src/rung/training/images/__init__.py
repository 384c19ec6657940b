"""Fitting image models and writing image backbones as ONNX."""
