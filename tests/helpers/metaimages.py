"""MetaImage files, as SimpleITK writes them."""

import SimpleITK as sitk


def write_mhd(path, pixels, spacing_mm=(1, 1), compressed=False):
    """Writes `[H, W]`, or `[H, W, C]`, and the folders above; returns the path. ITK takes 1 x 1 mm for unknown."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(pixels, isVector=pixels.ndim > 2)
    image.SetSpacing(spacing_mm[::-1])
    sitk.WriteImage(image, str(path), useCompression=compressed)
    return path
