import { exploreWorlds } from './exploration.ts';

exploreWorlds(1, 2);
