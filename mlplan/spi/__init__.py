"""What a plug-in implements: capabilities, stores, block schemas. Plug-ins import this and nothing else of ours."""
