"""Mean and standard deviation of ImageNet's RGB, by which every network's input is normalised.

Krizhevsky's subtraction of the mean, in the numbers of torchvision and of every library that ships
weights trained on ImageNet. timm has the same as IMAGENET_DEFAULT_MEAN and IMAGENET_DEFAULT_STD.
"""

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of values in 0..1
# In bytes, for padding: what normalisation turns into zeros, as nearly as bytes can.
MEAN_COLOUR = (round(255 * MEAN[0]), round(255 * MEAN[1]), round(255 * MEAN[2]))
