"""Speech emotion recognition on streamed audio."""
