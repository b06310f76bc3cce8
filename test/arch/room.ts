/** What the law says of one room. A file belongs to the first room whose pattern matches (rooms.ts). */
export interface Room {
  readonly name: string;
  readonly files: RegExp;
  /** Other rooms. */
  readonly rooms: readonly string[];
  readonly packages: readonly string[];
  /** The files of this room that other rooms may import. Absent: all files. */
  readonly entries?: readonly string[];
  /** Of a room in `rooms`, the only files that this room may import. Where only an interface of the other may be known. */
  readonly through?: Readonly<Record<string, readonly string[]>>;
  /** A pure room uses no clock, disk, network, environment or randomness of its own (purity.ts). */
  readonly pure?: boolean;
  readonly why: string;
}
