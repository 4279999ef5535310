"""One function per ONNX operator; importing a module here registers its operators."""
