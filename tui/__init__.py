"""Footplate's terminal front: draws and sends commands, and holds no model, no job and no state that matters."""
