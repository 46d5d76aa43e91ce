"""Plans, evidence and diagnostics as terminal text, Markdown and JSON. Imports types only; calls no provider."""
