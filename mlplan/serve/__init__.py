"""The model server that goes into the image. Imports `mlplan.artifact` and nothing else of ours."""
