"""Every random draw and perturbation of a training."""
