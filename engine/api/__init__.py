"""The HTTP faces of the host: OpenAI-compatible for programs, control for screens."""
