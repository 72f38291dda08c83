"""Training of one recipe (torch, torchvision); imported by training processes alone."""
