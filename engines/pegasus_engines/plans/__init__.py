"""Plans of TensorRT: profiles, builders, and the bundle made of them."""
