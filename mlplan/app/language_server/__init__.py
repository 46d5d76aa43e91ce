"""The language server: what editors show while files are written. `server` speaks the protocol; the rest knows only text."""
