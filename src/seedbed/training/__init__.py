"""One training loop; methods change the loss and the data, not the loop."""
