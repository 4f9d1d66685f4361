/** One line of the report. */
export interface Finding {
  name: string;
  /** ok; note: worth knowing; failure: to be mended; absent: there is none, and none is asked for. */
  state: 'ok' | 'note' | 'failure' | 'absent';
  text: string;
  /** What to do about a failure. */
  fix?: string;
}
