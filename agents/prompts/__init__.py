"""What the model is shown, strongest layer first; pure functions from plain data to text."""
