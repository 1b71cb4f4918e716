"""The Dropzone API of 2012: one module for each of its own."""
