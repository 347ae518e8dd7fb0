"""llama.cpp: GGUF models on processors and graphics cards of every make."""
