"""RADIUS: who may go on line, what was used, and telling access servers when something changed."""
