"""How fast training and inference run, beside other ways and beside what hardware can do."""
