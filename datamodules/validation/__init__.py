"""Whether a data set can be trained and scored on."""
