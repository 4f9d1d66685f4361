// HAProxy in front of the replicas, configured as docs/serving.md shows.
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

/** Returns a port that is free now, because HAProxy cannot choose one and report it. */
export async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** @param checks when HAProxy takes a replica out, and back in. */
export async function startProxy(folder, ports, retries, checks = 'inter 200ms fall 1 rise 1') {
  const port = await freePort();
  const servers = ports.map((each, i) => `    server replica${i} 127.0.0.1:${each}`).join('\n');
  const file = join(folder, `haproxy-${port}.cfg`);
  writeFileSync(
    file,
    `defaults
    mode http
    timeout connect 1s
    timeout client 60s
    timeout server 60s

frontend front
    bind 127.0.0.1:${port}
    default_backend latte

backend latte
    option httpchk GET /v2/health/ready
    balance leastconn
${retries ? '    option redispatch 1\n    retries 3\n    retry-on conn-failure empty-response 503' : '    retries 0'}
    default-server check ${checks}
${servers}
`,
  );
  const proxy = spawn('haproxy', ['-f', file, '-q'], { stdio: ['ignore', 'ignore', 'inherit'] });
  await new Promise((resolve, reject) => {
    proxy.once('spawn', resolve);
    proxy.once('error', reject);
  });
  return {
    base: `http://127.0.0.1:${port}`,
    pid: proxy.pid,
    stop: () => proxy.kill('SIGKILL'),
  };
}
