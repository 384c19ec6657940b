"""Linear heads and kernel features, predicted with numpy alone."""
