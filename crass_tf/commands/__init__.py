"""What each command of `crass-tf` does, one module each."""
