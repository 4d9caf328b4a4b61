"""Series, images and clips as arrays of numbers: their files, what is made of them, data modules."""
