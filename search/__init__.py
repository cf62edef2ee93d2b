"""From labelled studies to a candidate."""
