/**
 * A helper process of the bench: started with Node's `fork`, asked one thing at a time, answered over
 * IPC. The load and the sinks live in such processes, so that their CPU is not that of the mesh.
 */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

interface Answer {
  readonly value?: unknown;
  readonly error?: string;
}

export class BenchChild<Request, Response> implements AsyncDisposable {
  readonly #child: ChildProcess;

  /** @param module a `main.ts` that calls {@link serveBench} */
  constructor(module: URL, args: readonly string[] = []) {
    this.#child = fork(fileURLToPath(module), args, { serialization: 'advanced' });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async ask(request: Request): Promise<Response> {
    this.#child.send(request as object);
    const ended = new AbortController();
    const fail = (): void => ended.abort(new Error('a helper process of the bench has ended'));
    this.#child.once('exit', fail);
    const [answer] = (await once(this.#child, 'message', { signal: ended.signal })) as [Answer];
    this.#child.off('exit', fail);
    if (answer.error !== undefined) throw new Error(answer.error);
    // The child's main.ts is typed with the same pair.
    return answer.value as Response;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, 'exit');
    this.#child.disconnect();
    await exit;
  }
}

/** In the child: answers every request, ends with its parent. */
export function serveBench<Request, Response>(
  handle: (request: Request) => Promise<Response>,
): void {
  process.on('message', (request) => {
    handle(request as Request).then(
      (value) => process.send?.({ value }),
      (error: unknown) =>
        process.send?.({ error: error instanceof Error ? error.stack : 'unknown' }),
    );
  });
  process.on('disconnect', () => process.exit(0));
}
