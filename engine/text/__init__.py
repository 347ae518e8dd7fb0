"""Text handling of the child, pure and the same for every runtime: templates, detokenizing, stops, tool calls."""
