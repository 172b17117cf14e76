"""Model backends: the only place that talks to models. Imports none of our models."""
