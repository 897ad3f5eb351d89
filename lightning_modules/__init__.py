"""Training: the LightningModule, its loss and the confusion matrix of the validation curve."""
