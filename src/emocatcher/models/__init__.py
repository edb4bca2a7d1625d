"""A trained network as a folder: reading, writing, converting and exporting it, and the networks themselves."""
