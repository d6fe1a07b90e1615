// Files a member picks, in the form that the sandbox takes them.

export const MAX_FILE_BYTES = 10 * 1024 * 1024;

/** @returns {Promise<{filename: string, content_type: string, data_base64: string}>} */
export async function readFile(file) {
  if (file.size > MAX_FILE_BYTES) throw new Error(`${file.name} is larger than 10 MB.`);
  const dataUrl = await new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(reader.result));
    reader.addEventListener("error", () => reject(new Error(`${file.name} could not be read.`)));
    reader.readAsDataURL(file);
  });
  return { filename: file.name, content_type: file.type || "application/octet-stream", data_base64: dataUrl.slice(dataUrl.indexOf(",") + 1) };
}
