"""What decides whether a challenger replaces the champion."""
