"""Content-addressed model artifacts: layout, manifest, flavors.

Travels into images, so it imports nothing else of ours.
"""
