"""The basis of all other rooms: errors, emotions, the settings of a recipe, files and processes."""
