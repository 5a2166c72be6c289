"""Episodes between an agent and simulated users, all roles batched."""
