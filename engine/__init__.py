"""Engine of nondet-tui: protocols, plans, studies, dispatch, training and measures."""

import resource
import sys

if resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY:
    # Python would keep the compiled modules that are larger than the limit cut short, and fail at them ever after.
    sys.dont_write_bytecode = True
