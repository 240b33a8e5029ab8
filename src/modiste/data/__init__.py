"""Images: sources, decoding, the split, batches, augmentation, and the seal of the test part."""
