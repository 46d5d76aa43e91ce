"""Text to values: source spans, diagnostics, syntax tree, expressions, functions. Knows no word of machine learning."""
