"""How far an exported file is from the model it was exported from, measured on recordings."""
