import type { Radiograph } from "./radiograph";

const SIDE = 112;

/** Returns a picture of at most 112 pixels a side. */
export async function thumbnailOf({ width, height, grey }: Radiograph): Promise<Blob> {
  const scale = Math.min(1, SIDE / Math.max(width, height));
  const canvas = new OffscreenCanvas(Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale)));
  const context = canvas.getContext("2d")!;
  const image = context.createImageData(canvas.width, canvas.height);
  for (let y = 0, at = 0; y < canvas.height; y++) {
    for (let x = 0; x < canvas.width; x++, at += 4) {
      const value = grey[Math.floor((y + 0.5) / scale) * width + Math.floor((x + 0.5) / scale)];
      image.data.set([value, value, value, 255], at);
    }
  }
  context.putImageData(image, 0, 0);
  return canvas.convertToBlob({ type: "image/jpeg", quality: 0.8 });
}
