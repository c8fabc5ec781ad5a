#!/bin/sh
# Builds doorward, starts it with the gateway.toml of this repository, and says what to paste.
#
#   sh deploy/try.sh
#
# From any folder. Ctrl-C or SIGTERM ends the gateway and this script. The exit code is the
# gateway's own where it does not start.

set -u
cd "$(dirname "$0")/.." || exit 1
. deploy/need.sh

url=http://127.0.0.1:8080/mcp
admin=http://127.0.0.1:9901
doorward=${CARGO_TARGET_DIR:-target}/debug/doorward

build() {
    need_to_build || return 1
    need "curl ca-certificates" command -v curl || return 1
    echo "Building doorward. The first time takes about five minutes on two cores."
    cargo build --locked
}

# SIGTERM alone would keep serving for the lame-duck time of gateway.toml; the second signal says
# that nobody waits. SIGTERM comes first, since a gateway that has not started ignores SIGINT.
end() {
    trap '' INT TERM
    kill -TERM "$gateway" 2>/dev/null
    kill -INT "$gateway" 2>/dev/null
    wait "$gateway" 2>/dev/null
    echo "doorward has stopped."
    exit 0
}

# Until /readyz says yes; 1 where the gateway ends before.
wait_until_ready() {
    until curl -fs -o /dev/null --max-time 2 "$admin/readyz"; do
        kill -0 "$gateway" 2>/dev/null || return 1
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

Every request leaves one record below. Ctrl-C ends doorward.

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
if curl -s -o /dev/null --max-time 2 "$admin"; then
    # Somebody else has the port, and would answer in the place of our gateway; that one says so.
    exec "$doorward" run --config gateway.toml
fi
"$doorward" run --config gateway.toml &
gateway=$!
trap end INT TERM
if wait_until_ready; then
    welcome
fi
wait "$gateway"
