/** Original DICOM files, fetched from Django once a page and handed to cornerstone. */

import dicomImageLoader from "@cornerstonejs/dicom-image-loader";

/** The server's answer instead of a file, as a sentence for the reader. */
export class NotHandedOut extends Error {}

const known = new Map<string, Promise<string>>();

/** cornerstone's name for the file at `url`. Raises NotHandedOut; then asks anew. */
export function imageIdOf(url: string): Promise<string> {
  const id = known.get(url) ?? fetched(url);
  known.set(url, id);
  id.catch(() => known.delete(url));
  return id;
}

// Not by cornerstone's own `wadouri:` request, which drops the server's sentence.
async function fetched(url: string): Promise<string> {
  const answer = await fetch(url).catch(() => {
    throw new NotHandedOut("There is no connection to Osteon; the image was not loaded.");
  });
  if (!answer.ok) throw new NotHandedOut(await sentenceOf(answer));
  return dicomImageLoader.wadouri.fileManager.add(await answer.blob());
}

async function sentenceOf(answer: Response): Promise<string> {
  const plain = answer.headers.get("Content-Type")?.startsWith("text/plain");
  return plain ? answer.text() : `The image was not handed out (${answer.status}).`;
}
