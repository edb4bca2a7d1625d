"""Parts for other libraries, each of which is imported only here."""
