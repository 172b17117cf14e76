"""What may be known of an agent without a key."""
