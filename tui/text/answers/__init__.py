"""Says in sentences what a study has found, each with the test or interval behind it; pure functions."""
