import { Command } from 'commander';
import { formatBytes, formatTable, printJson } from './format.js';

/** `devices`: lists the devices that layers can run on. */
export function devicesCommand(): Command {
  return new Command('devices')
    .description('list the devices that layers can run on')
    .option('--json', 'print JSON instead of a table')
    .action(async (options: { json?: boolean }) => {
      // Load the addon only here, so that --help works on hosts without one.
      const { devices, deviceDiagnostics, openDevice } = await import('../index.js');
      // An NPU that cannot be opened is still listed, without its memory.
      await Promise.all(devices().map(({ name }) => openDevice(name).catch(() => undefined)));
      const found = devices();
      if (options.json) return printJson(found);
      const rows = found.map((device) => [
        device.name,
        device.kind,
        device.instructionSet ?? device.soc ?? '',
        device.threads === undefined ? '' : String(device.threads),
        device.memory === undefined ? '' : formatBytes(device.memory.free),
        device.memory === undefined ? '' : formatBytes(device.memory.total),
      ]);
      const header = ['NAME', 'KIND', 'CHIP', 'THREADS', 'FREE MEMORY', 'MEMORY'];
      process.stdout.write(formatTable([header, ...rows], [3, 4, 5]));
      const { npu } = deviceDiagnostics();
      if (!npu.available) process.stdout.write(`\nNo npu: ${npu.reason}\n`);
    });
}
