// What the JavaScript clients are put through, and how they tell what came of it. Each client is
// a command line of its own (`sdk1.mjs`, `sdk2.mjs`):
//
//   node sdk2.mjs --url URL [--era ERA] [--header 'Name: value']... [--log FILE] [--tag TAG]
//                 [--gate FILE] CASE...
//
// It prints one JSON line: an object that has the outcome of each case, and `end`. `../feature_client.py` is
// the same for the Python clients.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

const PATIENCE = 20_000;

// What the user and the model of these clients always answer.
export const ANSWERS = {
    'elicitation/create': { action: 'accept', content: { name: 'Ada' } },
    'sampling/createMessage': { model: 'none', role: 'assistant', content: { type: 'text', text: 'blue' } },
};

const { values: options, positionals: cases } = parseArgs({
    allowPositionals: true,
    options: {
        url: { type: 'string' },
        era: { type: 'string', default: 'legacy' },
        header: { type: 'string', multiple: true, default: [] },
        log: { type: 'string' },
        tag: { type: 'string' },
        gate: { type: 'string' },
        through: { type: 'string' },
    },
});
options.headers = Object.fromEntries(options.header.map(line => line.split(/: (.*)/)));

async function poll(what, until, patience = PATIENCE) {
    for (const deadline = Date.now() + patience; Date.now() < deadline; await sleep(20)) {
        if (until()) return true;
    }
    throw new Error(`${what}: not within ${patience} ms`);
}

// Whether the server has written that the slow call is in this state.
const logged = (tag, state) =>
    readFileSync(options.log, 'utf8')
        .split('\n')
        .some(line => line.includes(`"${tag}"`) && line.includes(`"${state}"`));

// Ports differ from run to run.
const words = error => error.message.replace(/127\.0\.0\.1:\d+/g, 'HOST');
const failure = error => ({ name: error.constructor.name, code: error.code ?? null, message: words(error) });
const outcome = promise => promise.then(result => ({ result }), error => ({ error: failure(error) }));

async function cancel(client, speak) {
    const tag = `${options.tag}-${speak}`;
    const stop = new AbortController();
    let spoken = !speak;
    const slow = outcome(
        client.call('slow', { tag, speak }, { signal: stop.signal, onprogress: () => (spoken = true) }),
    );
    await poll('the call runs', () => spoken && logged(tag, 'running'));
    stop.abort('enough');
    const call = await slow;
    // Looked up while this process lives: its end would cancel the call as well.
    await poll('the server sees the cancellation', () => logged(tag, 'cancelled'), 5_000);
    return { call, server: 'cancelled' };
}

const CASES = {
    list: client => client.list(),
    call: client => client.call('echo', { text: 'grüße' }),
    refused: client => client.call('secret', {}),
    async progress(client) {
        const steps = [];
        const result = await client.call('count', { n: 5 }, { onprogress: step => steps.push(step) });
        return { steps, result };
    },
    prompt: client => client.prompt('greet', { name: 'Ada' }),
    resource: client => client.resource('note://today'),
    elicitation: client => client.call('ask', {}),
    sampling: client => client.call('sample', {}),
    cancel: client => cancel(client, false),
    cancel_midway: client => cancel(client, true),
    silent: client => client.call('silent', { seconds: 3, speak: false }),
    silent_midway: client => client.call('silent', { seconds: 1.5, speak: true }, { onprogress: () => {} }),
    async gone(client, connect) {
        const before = await outcome(client.call('echo', { text: 'before' }));
        writeFileSync(`${options.gate}.ready`, '');
        await poll('the server is restarted', () => existsSync(`${options.gate}.go`));
        const after = await outcome(client.call('echo', { text: 'after' }));
        const again = await connect(options);
        const anew = await outcome(again.call('echo', { text: 'anew' }));
        await again.close();
        return { before, after, anew };
    },
    tickets: client => client.call('search_tickets', { query: 'no ticket says this' }),
    tickets_refused: client => client.call('get_ticket', { ticket_id: 'T-1' }),
};

// `connect` takes the options and gives { list, call, prompt, resource, close }.
export async function main(connect) {
    const outcomes = {};
    const client = await connect(options);
    for (const name of cases) {
        const late = sleep(PATIENCE + 5_000, undefined, { ref: false }).then(() => {
            throw new Error('no outcome');
        });
        outcomes[name] = await outcome(Promise.race([CASES[name](client, connect), late]));
    }
    outcomes.end = await outcome(client.close().then(() => 'ended'));
    console.log(JSON.stringify(outcomes));
    process.exit();
}
