"""OpenAI's dialect: chat completions and the list of models."""
