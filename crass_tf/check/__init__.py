"""What is in a data set's folder, and what a curator would object to, before anything is built from it."""
