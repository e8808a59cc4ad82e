"""A trained run at work: on files, on other shards, and what it sees of a clip."""
