declare module 'dynalite' {
  import type { Server } from 'node:http';
  /** DynamoDB's protocol on LevelDB, in memory unless given a path; times in milliseconds. */
  export default function dynalite(options: {
    createTableMs: number;
    updateTableMs: number;
    deleteTableMs: number;
  }): Server;
}
