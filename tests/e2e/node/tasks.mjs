// Tasks of 2025-11-25 with the client of the TypeScript SDK 1:
//
//   node tasks.mjs URL OWNER STRANGER
//
// OWNER makes a task that has to ask its user, and reads, finds and lists it; STRANGER, another
// token, tries the same with its id. Prints one JSON line.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CallToolResultSchema, ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';

const [url, owner, stranger] = process.argv.slice(2);

async function connect(token) {
    const client = new Client({ name: 'tasks', version: '1' }, { capabilities: { elicitation: {} } });
    const answer = { action: 'accept', content: { interpretation: 'technical' } };
    client.setRequestHandler(ElicitRequestSchema, () => answer);
    const headers = { Authorization: `Bearer ${token}` };
    await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
    return client;
}

const code = promise => promise.then(() => 0, error => error.code);

const client = await connect(owner);
const told = { announced: client.getServerCapabilities().tasks, steps: [] };
const call = { name: 'simulate-research-query', arguments: { topic: 'python', ambiguous: true } };
const tasks = client.experimental.tasks;
for await (const step of tasks.callToolStream(call, CallToolResultSchema, { task: { ttl: 60_000 } })) {
    const name = step.type === 'taskStatus' ? step.task.status : step.type;
    if (told.steps.at(-1) !== name) told.steps.push(name);
    if (step.type === 'taskCreated') told.id = step.task.taskId;
    if (step.type === 'result') told.text = step.result.content[0].text;
    if (step.type === 'result') told.related = step.result._meta['io.modelcontextprotocol/related-task'].taskId;
}
told.found = (await tasks.getTask(told.id)).taskId;
told.list = await code(tasks.listTasks());

const others = (await connect(stranger)).experimental.tasks;
told.stranger = [
    await code(others.getTask(told.id)),
    await code(others.getTaskResult(told.id, CallToolResultSchema)),
    await code(others.cancelTask(told.id)),
];
console.log(JSON.stringify(told));
process.exit();
