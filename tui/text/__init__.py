"""Tables, figures and plots as text: pure functions of what was measured."""
