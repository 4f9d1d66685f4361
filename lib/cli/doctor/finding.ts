/** One line of the report. */
export interface Finding {
  name: string;
  /**
   * 'ok'; 'note': worth knowing; 'failure': must be solved; 'absent': the thing does not exist, and nothing
   * on this host needs it.
   */
  state: 'ok' | 'note' | 'failure' | 'absent';
  text: string;
  /** What to do about a failure. */
  fix?: string;
}
