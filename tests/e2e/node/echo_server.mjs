// The echo server of ../readers/python_echo.py with both TypeScript SDKs.
//
//   node echo_server.mjs (sdk1 | sdk2)

import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';

import { NodeStreamableHTTPServerTransport, toNodeHandler, toWebRequest } from '@modelcontextprotocol/node';
import * as sdk1 from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import * as sdk2 from '@modelcontextprotocol/server';
import * as z from 'zod';

const text = told => ({ content: [{ type: 'text', text: JSON.stringify(told) }] });
const message = told => ({ messages: [{ role: 'user', content: text(told).content[0] }] });

const TOOLS = {
    who: { user_id: z.string() },
    count: { n: z.number() },
    least: { n: z.number() },
    most: { n: z.number() },
    share: { x: z.number() },
    word: { word: z.string().nullable().optional() },
    level: { level: z.union([z.string(), z.array(z.string())]) },
    file: { path: z.string() },
    nested: { filter: z.object({ org_id: z.string() }) },
    flag: { text: z.string().optional() },
    secret: {},
};

// What a handler sees that goes on with a copy, as many do.
function seen(name, given) {
    if (name === 'nested') return { org_id: Object.assign({}, given.filter).org_id };
    const copy = Object.assign({}, given);
    return name === 'flag' ? { is_admin: copy.is_admin ?? false } : copy;
}

function newServer({ McpServer, ResourceTemplate }, schema) {
    const server = new McpServer({ name: 'echo', version: '1' });
    for (const [name, shape] of Object.entries(TOOLS)) {
        const loose = name === 'flag' ? z.looseObject(shape) : schema(shape);
        server.registerTool(name, { inputSchema: loose }, given => text({ ran: name, saw: seen(name, given) }));
    }
    for (const name of ['greet', 'hidden_prompt']) {
        const argsSchema = schema({ name: z.string().optional() });
        server.registerPrompt(name, { argsSchema }, () => message({ ran: name, saw: {} }));
    }
    const template = new ResourceTemplate('note://{host}/{path}', { list: undefined });
    server.registerResource('note', template, {}, (uri, saw) => ({
        contents: [{ uri: uri.href, text: JSON.stringify({ ran: 'note', saw }) }],
    }));
    return server;
}

const KINDS = {
    sdk1: [() => newServer(sdk1, shape => shape), StreamableHTTPServerTransport],
    sdk2: [() => newServer(sdk2, shape => z.object(shape)), NodeStreamableHTTPServerTransport],
};
const [create, Transport] = KINDS[process.argv[2]];
const modern = process.argv[2] === 'sdk2' && toNodeHandler(sdk2.createMcpHandler(create, { legacy: 'reject' }));
const sessions = new Map();

async function legacy(request, response, body) {
    let transport = sessions.get(request.headers['mcp-session-id']);
    if (!transport && body?.method === 'initialize') {
        transport = new Transport({
            sessionIdGenerator: randomUUID,
            onsessioninitialized: id => sessions.set(id, transport),
        });
        await create().connect(transport);
    }
    if (transport) return transport.handleRequest(request, response, body);
    response.writeHead(404).end();
}

const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    try {
        const body = chunks.length ? JSON.parse(Buffer.concat(chunks)) : undefined;
        if (modern && !(await sdk2.isLegacyRequest(await toWebRequest(request, body), body))) {
            await modern(request, response, body);
        } else {
            await legacy(request, response, body);
        }
    } catch (error) {
        response.headersSent || response.writeHead(500).end(String(error));
    }
});
server.listen(0, '127.0.0.1', () => {
    console.log(JSON.stringify({ listening: `http://127.0.0.1:${server.address().port}/mcp` }));
});
