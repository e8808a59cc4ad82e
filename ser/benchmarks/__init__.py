"""What the pipeline costs, stage by stage and beside its rivals, measured in one run."""
