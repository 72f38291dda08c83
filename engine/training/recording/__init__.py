"""Work on a GPU that is recorded once and replayed."""
