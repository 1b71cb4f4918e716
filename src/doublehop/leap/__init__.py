"""The provider's face to clients of the old LEAP and Dropzone APIs."""
