import { exploreWorlds } from './exploration.ts';

exploreWorlds(0, 2);
