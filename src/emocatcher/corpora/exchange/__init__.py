"""Read and write corpora in the forms of others: Hugging Face `datasets`, audio folders and audformat."""
