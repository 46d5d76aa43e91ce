"""Files to instances: modules, variables, count and for_each; decodes blocks by the schemas that kinds declare."""
