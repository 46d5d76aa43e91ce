"""The state as a value: records, evidence, journal, replay, codec, upgrades. Where bytes are kept is the stores' business."""
