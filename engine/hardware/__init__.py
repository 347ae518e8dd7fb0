"""What the machine has, and what it does right now."""
