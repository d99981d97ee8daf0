"""Settings of all tests."""

import torch

# Workers share the cores; a pool of threads in each would have them wait for one another.
torch.set_num_threads(1)
