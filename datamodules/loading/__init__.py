"""From a data set to batches: stream, crops, decoded copy."""
