/** Who makes room when a source has too many connections. */
import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { test } from 'node:test';
import { ConnectionTable } from './connection-table.ts';
import type { Connection } from './connection-table.ts';

function socketFrom(remoteAddress: string): Socket {
  return Object.defineProperty(new Socket(), 'remoteAddress', { value: remoteAddress });
}

function tableOf(perSourceMax: number) {
  const table = new ConnectionTable(perSourceMax);
  const evicted: Connection[] = [];
  const add = (address: string): Connection | null =>
    table.add(socketFrom(address), (connection) => evicted.push(connection));
  return { table, evicted, add };
}

test('the oldest silent connection of the same source goes', () => {
  const { table, evicted, add } = tableOf(2);
  const first = add('a');
  const second = add('a');
  const other = add('b');
  const third = add('a');
  assert.deepEqual(evicted, [first]);
  assert.ok(first && second && third && other);
  assert.equal(table.get(first.socket), undefined);
  assert.equal(table.size, 3);
});

test('connections that spoke stay, and the newcomer is refused', () => {
  const { table, evicted, add } = tableOf(2);
  const connections = [add('a'), add('a')];
  for (const connection of connections) if (connection !== null) table.spoke(connection);
  assert.equal(add('a'), null);
  assert.deepEqual(evicted, []);
  assert.equal(table.size, 2);
});

test('a place becomes free when a connection goes, once', () => {
  const { table, add } = tableOf(1);
  const first = add('a');
  assert.ok(first);
  table.spoke(first);
  assert.equal(add('a'), null);
  table.remove(first);
  table.remove(first);
  const second = add('a');
  assert.ok(second);
  table.spoke(second);
  assert.equal(add('a'), null);
  assert.equal(table.size, 1);
});

test('a limit of one still lets the newest in', () => {
  const { table, evicted, add } = tableOf(1);
  for (let count = 0; count < 5; count++) assert.ok(add('a'));
  assert.equal(evicted.length, 4);
  assert.equal(table.size, 1);
});
