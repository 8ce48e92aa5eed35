/**
 * Pictures for a question: as data URLs, no larger than models look at.
 */
const TYPES = ["image/png", "image/jpeg", "image/webp", "image/gif"];
const BYTES_MAX = 2 * 1024 * 1024;
const SIDE_PX_MAX = 2048;
const QUALITY = 0.88;

/** Pictures of one question. */
export const IMAGES_MAX = 8;

/** What a file chooser takes. */
export const ACCEPTED = TYPES.join(",");

/**
 * The pictures among what was pasted, dropped or chosen.
 * @param {Iterable<File>} files
 */
export const picturesOf = (files) => [...files].filter((file) => file.type.startsWith("image/"));

/**
 * @param {File} file
 * @returns {Promise<{name: string, url: string}>}
 * @throws {Error} it is no picture that can be read
 */
export async function read(file) {
  const small = TYPES.includes(file.type) && file.size <= BYTES_MAX;
  return { name: file.name || "image", url: await dataUrl(small ? file : await reduced(file)) };
}

function dataUrl(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

/** A photo of many megabytes says no more to a model than one of two thousand points. */
async function reduced(file) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, SIDE_PX_MAX / Math.max(bitmap.width, bitmap.height));
  const canvas = new OffscreenCanvas(Math.round(bitmap.width * scale), Math.round(bitmap.height * scale));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY });
}
