"""One file per case: how it is broken, what is true, and how it shows. Found by folder."""
