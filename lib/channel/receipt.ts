/**
 * The proof that a record is stored to the channel's durability level. Only a driver makes one, after
 * the level holds; only ingress' one accepting function and the dispatcher's reply turn it into a
 * success. Tidy refuses an import of {@link issueReceipt} outside `channels/`.
 */

const issued = new WeakSet<Receipt>();

export interface Receipt {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/** For drivers only: call it after the durability level holds, never before. */
export function issueReceipt(topic: string, partition: number, offset: number): Receipt {
  const receipt: Receipt = { topic, partition, offset };
  issued.add(receipt);
  return receipt;
}

/** True only for an object made by {@link issueReceipt}; a look-alike is refused. */
export function isReceipt(value: unknown): value is Receipt {
  return typeof value === 'object' && value !== null && issued.has(value as Receipt);
}
