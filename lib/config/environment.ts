/**
 * The one reader of `process.env`. Composition roots take a copy at the start and hand on what each
 * part needs: settings through `parseSettings`, a child's environment through `childEnvironment`.
 */

export type Environment = Readonly<Record<string, string>>;

/** A frozen copy of the environment of this process. */
export function readEnvironment(): Environment {
  const copy: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined) copy[name] = value;
  }
  return Object.freeze(copy);
}

/** The environment for a child process: the given one, with `added` in front and `removed` gone. */
export function childEnvironment(
  environment: Environment,
  added: Environment = {},
  removed: readonly string[] = [],
): Environment {
  const entries = Object.entries({ ...environment, ...added });
  return Object.freeze(Object.fromEntries(entries.filter(([name]) => !removed.includes(name))));
}
