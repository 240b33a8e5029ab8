"""What `import modiste` gives: `ImageClassifier` and the other public names."""
