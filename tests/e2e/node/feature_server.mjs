// The same server as ../feature_server.py, written with the TypeScript SDK 2 as a team would that
// serves both eras: sessions for the handshake era, one instance a request for the modern one.
//
//   node feature_server.mjs [PORT]

import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

import { NodeStreamableHTTPServerTransport, toNodeHandler, toWebRequest } from '@modelcontextprotocol/node';
import {
    McpServer,
    acceptedContent,
    createMcpHandler,
    inputRequired,
    inputResponse,
    isInitializeRequest,
    isLegacyRequest,
} from '@modelcontextprotocol/server';
import * as z from 'zod';

// Milliseconds before `count` answers: in mcp-remote an answer overtakes what came shortly before.
const PAUSE = 500;

const log = line => console.log(JSON.stringify(line));
const text = words => ({ content: [{ type: 'text', text: words }] });

// Every tool begins with this.
function called(tool, context) {
    const headers = context.http.req.headers;
    const all = name => (headers.has(name) ? [headers.get(name)] : []);
    log({
        tool,
        trace: headers.get('traceparent'),
        user: all('x-user-id'),
        organization: all('x-organization-id'),
        authorization: all('authorization'),
    });
}

function progress(context, step, total, message) {
    const progressToken = context.mcpReq._meta?.progressToken;
    if (progressToken === undefined) return undefined;
    const params = { progressToken, progress: step, total, message };
    return context.mcpReq.notify({ method: 'notifications/progress', params });
}

// What the SDK makes of `inputRequired` depends on the era: a request to the client on the
// call's own stream, or an answer that asks to be called again.
function newServer() {
    const server = new McpServer({ name: 'features', version: '1' });
    const tool = (name, description, inputSchema, run) =>
        server.registerTool(
            name,
            { description, inputSchema: z.object(inputSchema) },
            (given, context) => {
                called(name, context);
                return run(given, context);
            },
        );

    tool('echo', 'Answer with the same text.', { text: z.string() }, given => text(given.text));

    const count = { n: z.int() };
    tool('count', 'Count to n, with a progress notification for each step.', count, async ({ n }, context) => {
        for (let step = 1; step <= n; step++) await progress(context, step, n, `step ${step}`);
        await sleep(PAUSE);
        return text(`counted to ${n}`);
    });

    tool('ask', 'Ask the user for a name, and answer with it.', {}, (_, context) => {
        const answer = acceptedContent(context.mcpReq.inputResponses, 'who');
        if (answer) return text(`hello ${answer.name}`);
        const properties = { name: { type: 'string' } };
        const requestedSchema = { type: 'object', properties, required: ['name'] };
        const who = inputRequired.elicit({ message: 'What is your name?', requestedSchema });
        return inputRequired({ inputRequests: { who } });
    });

    tool('sample', "Ask the client's model for a word, and answer with it.", {}, (_, context) => {
        const answer = inputResponse(context.mcpReq.inputResponses, 'word');
        if (answer.kind === 'sampling') return text(`the model said ${answer.result.content.text}`);
        const messages = [{ role: 'user', content: { type: 'text', text: 'Say a word.' } }];
        const word = inputRequired.createMessage({ messages, maxTokens: 9 });
        return inputRequired({ inputRequests: { word } });
    });

    const slow = { tag: z.string(), speak: z.boolean() };
    tool('slow', 'Run until cancelled; with `speak`, only after a sign of life.', slow, async (given, context) => {
        if (given.speak) await progress(context, 1, 2, 'running');
        log({ slow: given.tag, state: 'running' });
        try {
            await sleep(60_000, undefined, { signal: context.mcpReq.signal });
        } catch (aborted) {
            log({ slow: given.tag, state: 'cancelled' });
            throw aborted;
        }
        return text('nobody cancelled');
    });

    const silent = { seconds: z.number(), speak: z.boolean() };
    const quiet = 'Say nothing for a while, with `speak` after a sign of life, then answer.';
    tool('silent', quiet, silent, async (given, context) => {
        if (given.speak) await progress(context, 1, 2, 'speaking');
        await sleep(given.seconds * 1000);
        return text(`silent for ${given.seconds} s`);
    });

    tool('secret', 'The tests let nobody call this through the gateway.', {}, () => text('the secret'));

    const greet = { description: 'A prompt with an argument.', argsSchema: z.object({ name: z.string() }) };
    server.registerPrompt('greet', greet, ({ name }) => ({
        messages: [{ role: 'user', content: text(`Greet ${name}.`).content[0] }],
    }));

    const today = { description: 'A resource.', mimeType: 'text/plain' };
    server.registerResource('today', 'note://today', today, uri => ({
        contents: [{ uri: uri.href, mimeType: 'text/plain', text: 'buy milk' }],
    }));
    return server;
}

const modern = toNodeHandler(createMcpHandler(newServer, { legacy: 'reject' }));
const sessions = new Map();

async function legacy(request, response, body) {
    let transport = sessions.get(request.headers['mcp-session-id']);
    if (!transport && isInitializeRequest(body)) {
        transport = new NodeStreamableHTTPServerTransport({
            sessionIdGenerator: randomUUID,
            onsessioninitialized: id => sessions.set(id, transport),
            onsessionclosed: id => sessions.delete(id),
        });
        await newServer().connect(transport);
    }
    if (transport) return transport.handleRequest(request, response, body);
    const error = { jsonrpc: '2.0', id: null, error: { code: -32001, message: 'Session not found' } };
    response.writeHead(404, { 'content-type': 'application/json' }).end(JSON.stringify(error));
}

const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = chunks.length ? JSON.parse(Buffer.concat(chunks)) : undefined;
    if (new URL(request.url, 'http://localhost').pathname !== '/mcp') {
        response.writeHead(404).end();
    } else if (await isLegacyRequest(await toWebRequest(request, body), body)) {
        await legacy(request, response, body);
    } else {
        await modern(request, response, body);
    }
});
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => {
    log({ listening: `http://127.0.0.1:${server.address().port}/mcp` });
});
