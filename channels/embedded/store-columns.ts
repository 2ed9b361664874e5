/**
 * Rows of the database as lists of columns, read with checks: node:sqlite types a row as an object
 * even when it returns lists, and lists are what the worker asks for (18 columns: 1.1 µs a row less).
 */
import { assert } from '#lib/assert/assert';
import type { DatabaseSync, SQLOutputValue, StatementSync } from 'node:sqlite';

export type Columns = readonly SQLOutputValue[];

/** A statement whose rows are {@link Columns}. */
export function prepare(database: DatabaseSync, sql: string): StatementSync {
  const statement = database.prepare(sql);
  statement.setReturnArrays(true);
  return statement;
}

export function columnsOf(row: unknown): Columns {
  assert(Array.isArray(row), 'the statement returns lists');
  return row;
}

export function numberAt(columns: Columns, index: number): number {
  const value = columns[index];
  assert(typeof value === 'number', 'the column is a number', { index });
  return value;
}

export function textAt(columns: Columns, index: number): string {
  const value = columns[index];
  assert(typeof value === 'string', 'the column is a text', { index });
  return value;
}

export function textOrNullAt(columns: Columns, index: number): string | null {
  const value = columns[index];
  assert(typeof value === 'string' || value === null, 'the column is a text or null', { index });
  return value;
}

export function bytesOrNullAt(columns: Columns, index: number): Uint8Array | null {
  const value = columns[index];
  assert(value instanceof Uint8Array || value === null, 'the column is bytes or null', { index });
  return value;
}
