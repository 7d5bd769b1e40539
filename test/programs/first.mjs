// What each bundled program begins with, as infra/older-node/typescript.mjs has it for a program's sources: the language, and
// TypeScript for the processes that the program starts itself.
import { typescriptOptions } from '../../infra/older-node/language.mjs';

process.env.NODE_OPTIONS = typescriptOptions;
