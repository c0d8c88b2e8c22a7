/** A file that cannot be used: one line that says what was found and what was expected. */
export class InputError extends Error {}
