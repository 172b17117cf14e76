/**
 * Images made small in the browser, which also leaves behind what a camera writes into them.
 *
 * Read by `createImageBitmap` and shown as canvases: a page's CSP has no say in either, as it would in `<img>`.
 */

export const MOST = 5;
const SIDE = 1600;
// Of a data URL: five of them are well under what a request may weigh.
const WEIGHT = 900_000;

export interface Picture {
  canvas: HTMLCanvasElement;
  url: string;
}

/** The image of a file as a JPEG of moderate size, or null where it is none that the browser can read. */
export async function shrink(file: Blob): Promise<Picture | null> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    return null;
  }
  let scale = Math.min(1, SIDE / Math.max(bitmap.width, bitmap.height));
  for (;;) {
    const canvas = draw(bitmap, scale);
    for (const quality of [0.85, 0.7, 0.5]) {
      const url = canvas.toDataURL('image/jpeg', quality);
      if (url.length <= WEIGHT) {
        const canvas = draw(bitmap, Math.min(scale, 480 / Math.max(bitmap.width, bitmap.height)));
        bitmap.close();
        return { canvas, url };
      }
    }
    scale *= 0.7;
  }
}

function draw(bitmap: ImageBitmap, scale: number): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const pen = canvas.getContext('2d');
  if (pen) {
    // JPEG knows no transparency.
    pen.fillStyle = '#fff';
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  }
  return canvas;
}

/** The images among what was pasted, dropped or picked. */
export function among(data: DataTransfer | null): File[] {
  return [...(data?.files ?? [])].filter((file) => file.type.startsWith('image/'));
}
