"""The making of Guide, Footplate's built-in model, from the project's own text. See README.md beside this file."""
