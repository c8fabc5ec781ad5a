// The client of the TypeScript SDK 2, over HTTP or, with `--through mcp-remote`, over mcp-remote's
// standard input and output. `--era` is legacy, auto or a revision; for mcp-remote also `bridged`:
// this side keeps to the handshake era, and mcp-remote goes over to the modern one by itself.

import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

import { ANSWERS, main } from './cases.mjs';

function overMcpRemote({ url, header, era }) {
    const script = 'node_modules/mcp-remote/dist/proxy.js';
    const headers = header.flatMap(line => ['--header', line]);
    const protocol = era === 'bridged' ? ['--protocol', 'auto'] : [];
    const args = [script, url, ...headers, ...protocol, '--allow-http', '--transport', 'http-only'];
    return new StdioClientTransport({ command: process.execPath, args, env: process.env });
}

async function connect(options) {
    const { url, headers, era, through } = options;
    const mode = { legacy: 'legacy', bridged: 'legacy', auto: 'auto' }[era] ?? { pin: era };
    const capabilities = { elicitation: {}, sampling: {} };
    const client = new Client({ name: 'sdk2', version: '1' }, { capabilities, versionNegotiation: { mode } });
    for (const [method, answer] of Object.entries(ANSWERS)) client.setRequestHandler(method, () => answer);
    const transport = through
        ? overMcpRemote(options)
        : new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
    await client.connect(transport);
    return {
        list: async () => (await client.listTools()).tools,
        call: (name, given, options) => client.callTool({ name, arguments: given }, options),
        prompt: async (name, given) => [
            await client.listPrompts(),
            await client.getPrompt({ name, arguments: given }),
        ],
        resource: async uri => [await client.listResources(), await client.readResource({ uri })],
        async close() {
            await transport.terminateSession?.();
            await client.close();
        },
    };
}

await main(connect);
