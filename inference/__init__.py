"""From pixels to a reading."""
