/**
 * "Did you mean": the valid name nearest to a mistyped one. Used for settings and wherever a person
 * types a name. Distance is edits (insert, delete, replace, swap of neighbours), case ignored; a name
 * further away than a third of its length is no suggestion.
 */

const NAME_LENGTH_MAX = 128; // The distance is quadratic in the lengths.

/** The nearest of `names`, the first of equals, or `null` when none is near. */
export function nearestName(given: string, names: Iterable<string>): string | null {
  if (given.length > NAME_LENGTH_MAX) return null;
  const wanted = given.toLowerCase();
  let best: string | null = null;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const name of names) {
    if (name.length > NAME_LENGTH_MAX) continue;
    const distance = editDistance(wanted, name.toLowerCase());
    const isNear = distance <= Math.max(1, Math.floor(Math.max(given.length, name.length) / 3));
    if (isNear && distance < bestDistance) {
      best = name;
      bestDistance = distance;
    }
  }
  return best;
}

/** Optimal string alignment distance, with three rows. */
function editDistance(left: string, right: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let row = 1; row <= left.length; row++) {
    const current = [row];
    for (let column = 1; column <= right.length; column++) {
      const isSame = left[row - 1] === right[column - 1];
      let cost = Math.min(
        at(previous, column) + 1,
        at(current, column - 1) + 1,
        at(previous, column - 1) + (isSame ? 0 : 1),
      );
      const isSwap = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];
      if (row > 1 && column > 1 && isSwap)
        cost = Math.min(cost, at(beforePrevious, column - 2) + 1);
      current.push(cost);
    }
    beforePrevious = previous;
    previous = current;
  }
  return at(previous, right.length);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY;
}
