#!/bin/sh
# Builds doorward, starts it with the gateway.toml of this repository, and says what to paste.
#
#   sh deploy/try.sh
#   sh deploy/try.sh --agent    with a chat application before it, in Python
#
# From any folder. Ctrl-C or SIGTERM ends all that was started, and this script. The exit code is the
# gateway's own where it does not start.

set -u
cd "$(dirname "$0")/.." || exit 1
. deploy/need.sh

url=http://127.0.0.1:8080/mcp
admin=http://127.0.0.1:9901
chat=http://127.0.0.1:8000
target=${CARGO_TARGET_DIR:-target}
doorward=$target/debug/doorward
venv=$target/agent-venv
agent=

with_agent=
case "$*" in
    "") ;;
    --agent) with_agent=yes ;;
    *)
        echo "usage: sh deploy/try.sh [--agent]" >&2
        exit 2
        ;;
esac

build() {
    need_to_build || return 1
    need "curl ca-certificates" command -v curl || return 1
    echo "Building doorward. The first time takes about five minutes on two cores."
    cargo build --locked
}

# The packages are pinned, so what is installed is right until the list changes.
install_agent() {
    if cmp -s deploy/agent/requirements.txt "$venv/installed.txt"; then
        return 0
    fi
    need "python3 python3-venv" python3 -c "import ensurepip, venv" || return 1
    echo "Installing the agent's Python packages into $venv."
    python3 -m venv --clear "$venv" &&
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
            -r deploy/agent/requirements.txt &&
        cp deploy/agent/requirements.txt "$venv/installed.txt"
}

# Returns 1 where it ends before it answers.
start_agent() {
    python=$(cd "$venv" && pwd)/bin/python
    (cd deploy/agent && exec "$python" -m chat --listen "${chat#http://}" --gateway "$url") &
    agent=$!
    wait_until_well "$agent" "$chat/health"
}

# SIGTERM alone would keep serving for the lame-duck time of gateway.toml; the second signal says
# that nobody waits. SIGTERM comes first, since a gateway that has not started ignores SIGINT.
end() {
    trap '' INT TERM
    if [ -n "$agent" ]; then
        kill -TERM "$agent" 2>/dev/null
        wait "$agent" 2>/dev/null
    fi
    kill -TERM "$gateway" 2>/dev/null
    kill -INT "$gateway" 2>/dev/null
    wait "$gateway" 2>/dev/null
    echo "doorward has stopped."
    exit "${1:-0}"
}

# wait_until_well PROCESS URL: until URL says yes; 1 where the process ends before.
wait_until_well() {
    until curl -fs -o /dev/null --max-time 2 "$2"; do
        kill -0 "$1" 2>/dev/null || return 1
        sleep 0.1
    done
}

welcome() {
    cat <<EOF

doorward is ready.

  MCP endpoint   $url
  metrics        $admin/metrics

  demo tokens    dev-alice-token
                   may use whoami, list_tickets, search_tickets and create_ticket
                 ai_dev_MwUVUygQboY9yIeXQ539PYTJfv9Y7yeexWL4TrELMB8
                   may also use get_ticket; another organization, other tickets

Paste these into another terminal.

1. An allowed call: the answer holds the new ticket, in alice's name.

$(call create_ticket '{"title":"Printer on fire","description":"Third floor"}')

2. A refused call: for this token the tool does not exist.

$(call get_ticket '{"ticket_id":"T-1"}')

3. What was counted.

curl -s $admin/metrics | grep tool_calls

$(chat_welcome)

Every request leaves one record below. Ctrl-C ends doorward.

EOF
}

chat_welcome() {
    if [ -z "$with_agent" ]; then
        echo "4. Optional, a chat application with an agent before all this: stop, and start with --agent."
        return 0
    fi
    cat <<EOF
4. A chat message. The agent asks the gateway which tools this token may use, and uses them. Its
   model is a few plain rules; with CHAT_MODEL (and its key) in the environment it is a real one.

curl -s $chat/api/v1/chat/dev-org/threads/4aba8e44-6900-4c76-8b33-f8b96ca0e75b/messages \\
  -H 'Authorization: Bearer dev-alice-token' \\
  -H 'Content-Type: application/json' \\
  -d '{"content":"create a ticket for testing doorward","message_type":"user"}'
EOF
}

# The shortest tools/call that MCP 2026-07-28 takes: no session, and a head that repeats the body.
call() {
    cat <<EOF
curl -s $url \\
  -H 'Authorization: Bearer dev-alice-token' \\
  -H 'Content-Type: application/json' \\
  -H 'Accept: application/json, text/event-stream' \\
  -H 'MCP-Protocol-Version: 2026-07-28' \\
  -H 'Mcp-Method: tools/call' \\
  -H 'Mcp-Name: $1' \\
  -d '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{
        "name":"$1",
        "arguments":$2,
        "_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",
                 "io.modelcontextprotocol/clientCapabilities":{}}}}'
EOF
}

build || exit 1
if [ -n "$with_agent" ]; then
    install_agent || exit 1
fi
if curl -s -o /dev/null --max-time 2 "$admin"; then
    # Somebody else has the port, and would answer in the place of our gateway; that one says so.
    exec "$doorward" run --config gateway.toml
fi
"$doorward" run --config gateway.toml &
gateway=$!
trap end INT TERM
if wait_until_well "$gateway" "$admin/readyz"; then
    if [ -n "$with_agent" ] && ! start_agent; then
        echo "The agent did not start; it said why above."
        end 1
    fi
    welcome
fi
wait "$gateway"
