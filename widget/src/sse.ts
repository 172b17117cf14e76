/** Server-sent events out of a response, by the rules of the HTML standard that matter here. */

export interface Sent {
  id: string;
  event: string;
  data: unknown;
}

// The server says something every few seconds; a connection that is silent for longer is dead.
const SILENCE = 20_000;

/** The events of a response; ends where it ends, raises where it is cut or falls silent. */
export async function* events(response: Response, silence = SILENCE): AsyncGenerator<Sent> {
  const reader = response.body?.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  if (!reader) return;
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await within(reader.read(), silence);
      if (done) return;
      rest += value.replace(/\r/g, '');
      const whole = rest.split('\n\n');
      // What has no empty line behind it has not arrived.
      rest = whole.pop() ?? '';
      for (const block of whole) {
        const event = parse(block);
        if (event) yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

/** Ours have one line of data; what has none, as a sign of life, is no event. */
function parse(block: string): Sent | null {
  const field = (name: string): string => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1] ?? '';
  const data = field('data');
  return data ? { id: field('id'), event: field('event'), data: JSON.parse(data) } : null;
}

async function within<T>(read: Promise<T>, silence: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silent = new Promise<never>((_, refuse) => {
    timer = setTimeout(() => refuse(new Error('silent')), silence);
  });
  try {
    return await Promise.race([read, silent]);
  } finally {
    clearTimeout(timer);
  }
}
