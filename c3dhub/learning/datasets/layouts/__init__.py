"""One module for each way in which labelled videos lie on a disk."""
