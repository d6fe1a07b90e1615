"""GPUScout: what GPUs should earn, where, and at what price."""
