/** Where the visitor may be led, and paths that a site owner has named. */

/** The page's own address that an action names; null where it leads anywhere else. */
export function sameSite(raw: unknown): URL | null {
  // SECURITY: the model's words. Only this very origin, so neither another site nor `javascript:`.
  if (typeof raw !== 'string' || raw.length > 2000) return null;
  try {
    const url = new URL(raw, location.href);
    return url.origin === location.origin && /^https?:$/.test(url.protocol) ? url : null;
  } catch {
    return null;
  }
}

/** Whether a path is one of `globs`, in which `*` is any text and `?` is one character. */
export function onPath(globs: string[] | undefined, path: string): boolean {
  return (globs ?? []).some((glob) => {
    const pattern = glob.replace(/[.+^${}()|[\]\\]/g, '\\$&').replace(/\*+/g, '.*').replace(/\?/g, '.');
    return new RegExp(`^${pattern}$`).test(path);
  });
}
