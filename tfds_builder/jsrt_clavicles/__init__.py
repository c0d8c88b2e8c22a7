"""JSRT/SCR: chest radiographs of the JSRT data base with the clavicle masks of the SCR data base."""
