import { Command } from 'commander';
import { formatBytes, formatTable, printJson } from './format.js';

/** `devices`: what layers can run on here. */
export function devicesCommand(): Command {
  return new Command('devices')
    .description('list the devices that layers can run on')
    .option('--json', 'print JSON instead of a table')
    .action(async (options: { json?: boolean }) => {
      // The addon is loaded by the action, so that help works without it.
      const { devices, deviceDiagnostics } = await import('../index.js');
      const found = devices();
      if (options.json) return printJson(found);
      const rows = found.map((device) => [
        device.name,
        device.kind,
        device.instructionSet ?? device.soc ?? '',
        device.threads === undefined ? '' : String(device.threads),
        formatBytes(device.memory.free),
        formatBytes(device.memory.total),
      ]);
      const header = ['NAME', 'KIND', 'CHIP', 'THREADS', 'FREE MEMORY', 'MEMORY'];
      process.stdout.write(formatTable([header, ...rows], [3, 4, 5]));
      const { npu } = deviceDiagnostics();
      if (!npu.available) process.stdout.write(`\nNo npu: ${npu.reason}\n`);
    });
}
