"""The manual of the old module, step by step, in a browser, against two installations over real HTTP."""
