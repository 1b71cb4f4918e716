"""A data centre in a box: emulators on loopback and a plainly labelled demo installation."""
