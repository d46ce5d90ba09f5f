// Where things are, whatever directory the tests are run from.

import { fileURLToPath } from 'node:url';

/** A file of this repository. */
export const inRepository = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
