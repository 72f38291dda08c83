"""Engine of nondet-tui: protocols, plans, studies, dispatch, training and measures."""
