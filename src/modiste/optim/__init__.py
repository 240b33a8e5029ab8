"""Update rules on one vector of weights, a file each."""
