"""Many conversations at once: brought in from elsewhere, made up for volume, and removed again."""
