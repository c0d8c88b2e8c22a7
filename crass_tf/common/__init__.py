"""What every other room may use: files written whole or not at all, threads, quiet native libraries, the notice."""
