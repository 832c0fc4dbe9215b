"""What the fork server loads for decoding children: their own modules, and those that libraries load only at work."""

import av.subtitles.stream  # noqa: F401  whatever container is opened
import numpy.ma  # noqa: F401  NumPy's medians
from PIL import Image

import shared.media.decoding_child  # noqa: F401

Image.preinit()  # the modules of JPEG and PNG
