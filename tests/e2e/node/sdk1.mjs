// The client of the TypeScript SDK 1: one era, sessions.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CreateMessageRequestSchema, ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';

import { ANSWERS, main } from './cases.mjs';

async function connect({ url, headers }) {
    const capabilities = { elicitation: {}, sampling: {} };
    const client = new Client({ name: 'sdk1', version: '1' }, { capabilities });
    client.setRequestHandler(ElicitRequestSchema, () => ANSWERS['elicitation/create']);
    client.setRequestHandler(CreateMessageRequestSchema, () => ANSWERS['sampling/createMessage']);
    const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
    await client.connect(transport);
    return {
        list: async () => (await client.listTools()).tools,
        call: (name, given, options) => client.callTool({ name, arguments: given }, undefined, options),
        prompt: async (name, given) => [
            await client.listPrompts(),
            await client.getPrompt({ name, arguments: given }),
        ],
        resource: async uri => [await client.listResources(), await client.readResource({ uri })],
        async close() {
            await transport.terminateSession();
            await client.close();
        },
    };
}

await main(connect);
