"""The CRASS12 data set: chest radiographs with clavicle masks."""
