"""A video as clips: the rule that cuts them, the times, the pixels. No network."""
