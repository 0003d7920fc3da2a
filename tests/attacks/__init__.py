"""The product attacked from outside, each attack as it was once done: see tests/attacks/attack.py."""
