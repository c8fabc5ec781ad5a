// What servers of both TypeScript SDKs serve for a URI: a line in is [WORLD, URI], a line out is
// what each of the readers makes of it (see ../readers/uri_readers.py).
//
//   node uri_reader.mjs WORLDS.json <uris >answers

import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

import { InMemoryTransport as Transport1 } from '@modelcontextprotocol/sdk/inMemory.js';
import { McpServer as Server1, ResourceTemplate as Template1 } from '@modelcontextprotocol/sdk/server/mcp.js';
import { InMemoryTransport as Transport2, McpServer as Server2, ResourceTemplate as Template2 } from '@modelcontextprotocol/server';

const SDKS = [
    ['typescript 1', Server1, Template1, Transport1],
    ['typescript 2', Server2, Template2, Transport2],
];

const components = url => ({
    scheme: url.protocol.slice(0, -1),
    host: url.hostname,
    port: url.port,
    path: url.pathname,
    query: url.search.slice(1),
});

// A server with what the world has, and a way to ask it for a resource: null where it has none.
async function served(McpServer, ResourceTemplate, Transport, world) {
    const server = new McpServer({ name: 'uris', version: '1' });
    const found = (name, url, vars) => ({
        contents: [{ uri: url.href, text: JSON.stringify({ name, vars, url: components(url) }) }],
    });
    for (const uri of world.fixed) {
        server.registerResource(uri, uri, {}, url => found(uri, url, {}));
    }
    for (const [name, template] of Object.entries(world.rfc6570)) {
        const templated = new ResourceTemplate(template, { list: undefined });
        server.registerResource(name, templated, {}, (url, vars) => found(name, url, vars));
    }
    const [ours, theirs] = Transport.createLinkedPair();
    let answer;
    ours.onmessage = message => answer(message);
    await ours.start();
    await server.connect(theirs);
    const ask = (method, params) =>
        new Promise(resolve => {
            answer = resolve;
            ours.send({ jsonrpc: '2.0', id: 1, method, params });
        });
    const clientInfo = { name: 'test', version: '1' };
    await ask('initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo });
    await ours.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
    return async uri => {
        const told = await ask('resources/read', { uri });
        return told.result ? JSON.parse(told.result.contents[0].text) : null;
    };
}

const worlds = {};
for (const [key, world] of Object.entries(JSON.parse(readFileSync(process.argv[2])))) {
    worlds[key] = [];
    for (const [name, ...sdk] of SDKS) worlds[key].push([name, await served(...sdk, world)]);
}

for await (const line of createInterface({ input: process.stdin })) {
    const [key, uri] = JSON.parse(line);
    const answers = {};
    for (const [name, read] of worlds[key]) {
        const answer = await read(uri);
        if (answer) answers[name] = answer;
    }
    if (URL.canParse(uri)) answers['WHATWG URL'] = { url: components(new URL(uri)) };
    process.stdout.write(JSON.stringify(answers) + '\n');
}
