"""What every other room stands on: the errors, the emotions, the settings of a recipe, files and processes."""
