/**
 * Everything that the `-f` files say, as objects with their origin, and every problem with file, line,
 * column and field. One faulty document never hides another. Used by `manifest-sync.ts`; documents
 * that did not change since the last reading are not parsed again.
 */
import type { FieldProblem } from '#api/meta/v1/field-problem';
import { EXPECTED_TEXT } from '#api/meta/v1/field-problem';
import { field, isFields } from '#api/meta/v1/field-reader';
import { nearestName } from '#lib/config/nearest-name';
import type { Clock } from '#lib/time/clock';
import {
  DOCUMENT_BYTES_MAX,
  DOCUMENTS_PER_FILE_MAX,
  listManifestFiles,
  readManifestFile,
  splitDocuments,
} from './manifest-text.ts';
import type { DocumentText, ManifestFile } from './manifest-text.ts';
import type { ManifestProblem } from './manifest-problem.ts';
import type { ManifestObject, UrlCheck } from './object-kinds.ts';
import { parseObject, SERVED_KINDS, titleOf, titleOfRaw } from './object-kinds.ts';
import { itemPath, parseYamlDocument } from './yaml-document.ts';
import type { YamlValue } from './yaml-document.ts';

export interface ReadObject {
  readonly title: string;
  readonly object: ManifestObject;
  /** As it was decoded: what is kept on disk and parsed again at the next start. */
  readonly raw: unknown;
  /** Absolute path of the file. */
  readonly origin: string;
}

export interface ManifestReading {
  /** By title; the first one in order of `-f` and file name. */
  readonly objects: ReadonlyMap<string, ReadObject>;
  /** Objects that are there and faulty: their last good version stays in force. */
  readonly faultyTitles: ReadonlySet<string>;
  /** Files with a part that could not be read: nothing that came from them may be deleted. */
  readonly unreadableOrigins: ReadonlySet<string>;
  /** A `-f` that could not be listed: nothing at all may be deleted by this reading. */
  readonly isListingComplete: boolean;
  readonly problems: readonly ManifestProblem[];
}

/** Problems that are kept; a file of 10,000 bad objects says the same 10,000 times. */
export const PROBLEMS_KEPT_MAX = 1_000;
/** Parsing goes on for this long before others get a turn. */
const SLICE_MS = 20;

/** What one document holds, with lines relative to its own first line. */
interface ParsedDocument {
  readonly objects: readonly { readonly object: ManifestObject; readonly raw: unknown }[];
  readonly faultyTitles: readonly string[];
  /** False when something in it could not even be named. */
  readonly isNamed: boolean;
  readonly problems: readonly ManifestProblem[];
}

export class ManifestReader {
  readonly #clock: Clock;
  readonly #rules: UrlCheck;
  #cache = new Map<string, ParsedDocument>();

  constructor(deps: { readonly clock: Clock; readonly rules: UrlCheck }) {
    this.#clock = deps.clock;
    this.#rules = deps.rules;
  }

  /** Reads everything again. Never rejects for what a file holds. */
  async read(given: readonly string[]): Promise<ManifestReading> {
    const reading = new ReadingDraft();
    const cache = new Map<string, ParsedDocument>();
    let sliceEndMs = this.#clock.monotonicMs() + SLICE_MS;
    for (const one of given) {
      const list = await listManifestFiles(one);
      if (!list.ok) {
        reading.isListingComplete = false;
        reading.refuseFile(one, list.reason);
        continue;
      }
      for (const file of list.files) {
        for (const document of await this.#documents(file, reading)) {
          const parsed =
            cache.get(document.text) ??
            this.#cache.get(document.text) ??
            parseDocumentText(document, this.#rules);
          cache.set(document.text, parsed);
          reading.add(file, document.firstLine, parsed);
          if (this.#clock.monotonicMs() < sliceEndMs) continue;
          await new Promise<void>((resolve) => this.#clock.soon(resolve));
          sliceEndMs = this.#clock.monotonicMs() + SLICE_MS;
        }
      }
    }
    this.#cache = cache;
    return reading;
  }

  async #documents(file: ManifestFile, reading: ReadingDraft): Promise<readonly DocumentText[]> {
    if (reading.hasFile(file)) return [];
    const text = await readManifestFile(file);
    if (!text.ok) {
      reading.unreadableOrigins.add(file.path);
      reading.refuseFile(file.name, text.reason);
      return [];
    }
    const documents = splitDocuments(text.text);
    if (documents.length <= DOCUMENTS_PER_FILE_MAX) return documents;
    reading.unreadableOrigins.add(file.path);
    const reason = `has ${documents.length} documents, at most ${DOCUMENTS_PER_FILE_MAX} are read`;
    reading.refuseFile(file.name, reason);
    return [];
  }
}

/** The reading while it is made. */
class ReadingDraft implements ManifestReading {
  readonly objects = new Map<string, ReadObject>();
  readonly faultyTitles = new Set<string>();
  readonly unreadableOrigins = new Set<string>();
  readonly problems: ManifestProblem[] = [];
  readonly #files = new Set<string>();
  readonly #places = new Map<string, string>();
  isListingComplete = true;

  /** Each file counts once, however often `-f` names it. */
  hasFile(file: ManifestFile): boolean {
    if (this.#files.has(file.path)) return true;
    this.#files.add(file.path);
    return false;
  }

  add(file: ManifestFile, firstLine: number, parsed: ParsedDocument): void {
    for (const one of parsed.problems) {
      const line = one.line === null ? null : firstLine + one.line - 1;
      this.#report({ ...one, file: file.name, line });
    }
    if (!parsed.isNamed) this.unreadableOrigins.add(file.path);
    for (const title of parsed.faultyTitles) this.faultyTitles.add(title);
    for (const { object, raw } of parsed.objects) {
      const title = titleOf(object);
      const place = `${file.name}:${firstLine}`;
      const former = this.#places.get(title);
      if (former === undefined) {
        this.#places.set(title, place);
        this.objects.set(title, { title, object, raw, origin: file.path });
        continue;
      }
      const message = `defined twice: ${former} is in force`;
      const base = { file: file.name, line: firstLine, column: 1, object: title, field: '' };
      this.#report({ ...base, message, details: 'keep one of the two', isWarning: false });
    }
  }

  refuseFile(file: string, reason: string): void {
    const base = { file, line: null, column: null, object: null, field: '', details: null };
    this.#report({ ...base, message: reason, isWarning: false });
  }

  #report(problem: ManifestProblem): void {
    if (this.problems.length < PROBLEMS_KEPT_MAX) this.problems.push(problem);
  }
}

function parseDocumentText(document: DocumentText, rules: UrlCheck): ParsedDocument {
  const sizeBytes = Buffer.byteLength(document.text);
  if (sizeBytes > DOCUMENT_BYTES_MAX) {
    const message = `a document of ${sizeBytes} bytes, at most ${DOCUMENT_BYTES_MAX} are read`;
    return unnamed([{ line: 1, column: 1, message, details: null }]);
  }
  const result = parseYamlDocument(document.text, 1);
  if (!result.ok) return unnamed(result.problems);
  const { yaml } = result;
  if (yaml.value === null) return { objects: [], faultyTitles: [], isNamed: true, problems: [] };
  const items = listItems(yaml.value);
  if (items === null) return parseOne(yaml, yaml.value, rules, (path) => path);
  const parts = items.map((item, index) =>
    parseOne(yaml, item, rules, (path) => itemPath(index, path)),
  );
  return {
    objects: parts.flatMap((part) => part.objects),
    faultyTitles: parts.flatMap((part) => part.faultyTitles),
    isNamed: parts.every((part) => part.isNamed),
    problems: parts.flatMap((part) => part.problems),
  };
}

/** The items of a `kind: List`, as `kubectl get -o yaml` writes it; `null` for anything else. */
function listItems(value: unknown): readonly unknown[] | null {
  if (!isFields(value) || field(value, 'apiVersion') !== 'v1' || field(value, 'kind') !== 'List') {
    return null;
  }
  const items = field(value, 'items');
  return Array.isArray(items) ? items : null;
}

function parseOne(
  yaml: YamlValue,
  raw: unknown,
  rules: UrlCheck,
  placeOf: (path: string) => string,
): ParsedDocument {
  const result = parseObject(raw, rules);
  const title = result.ok ? titleOf(result.value) : titleOfRaw(raw);
  const place = (one: FieldProblem, isWarning: boolean): ManifestProblem => {
    const path = placeOf(one.path);
    const advice = one.message.startsWith(EXPECTED_TEXT) ? yaml.quotingAdviceAt(path) : null;
    const isName = one.message.startsWith('unknown');
    return {
      file: '',
      ...(isName ? yaml.locateName(path) : yaml.locate(path)),
      object: title,
      field: one.path,
      message: one.message,
      details: advice ?? one.details,
      isWarning,
    };
  };
  if (result.ok) {
    const problems = result.warnings.map((one) => place(one, true));
    return { objects: [{ object: result.value, raw }], faultyTitles: [], isNamed: true, problems };
  }
  const problems = result.problems.map((one) => place(one, false));
  const faultyTitles = title === null ? [] : [title];
  return { objects: [], faultyTitles, isNamed: title !== null || isForeign(raw), problems };
}

/** An object of a kind that is clearly not ours can be left out of account: nothing came from it. */
function isForeign(raw: unknown): boolean {
  if (!isFields(raw)) return false;
  const kind = field(raw, 'kind');
  return typeof kind === 'string' && kind !== '' && nearestName(kind, SERVED_KINDS) === null;
}

function unnamed(
  problems: readonly Pick<ManifestProblem, 'line' | 'column' | 'message' | 'details'>[],
): ParsedDocument {
  const placed = problems.map((one) => ({
    ...one,
    file: '',
    object: null,
    field: '',
    isWarning: false,
  }));
  return { objects: [], faultyTitles: [], isNamed: false, problems: placed };
}
