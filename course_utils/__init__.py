"""What the lessons share: convolution as taught, layers, filters, size arithmetic, data, training and figures.

Importing the package alone loads nothing heavy; import the module you need, for example `course_utils.ops`.
"""
