"""The screens of the app, each with the lines that it shows."""
