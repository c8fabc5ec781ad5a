#!/bin/sh
# Makes what deploy/compose.yaml needs and no repository may hold, in deploy/secrets:
# passwords for the database and for Grafana, and for the gateway a session key, a key that vouches for its requests, and its
# configuration with two new tokens.
#
#   sh deploy/secrets.sh
#
# Prints the tokens once; they are kept nowhere. Does nothing where the folder exists already.

set -eu
cd "$(dirname "$0")"

if [ -e secrets ]; then
    echo "deploy/secrets exists. Remove it for new tokens and passwords."
    exit 0
fi

random() {
    od -An -N32 -tx1 /dev/urandom | tr -d ' \n'
}

digest() {
    printf %s "$1" | sha256sum | cut -d ' ' -f 1
}

# Complete, or not there. The folder keeps others of this machine out; the files are for the users
# within the containers, who are none of this machine's.
umask 022
rm -rf secrets.new
mkdir -m 700 secrets.new
mkdir secrets.new/gateway
random >secrets.new/postgres_password
random >secrets.new/grafana_password
random >secrets.new/gateway/session.key
openssl genpkey -algorithm ed25519 -out secrets.new/gateway/assertion.pem
chmod 644 secrets.new/gateway/assertion.pem
alice=$(random)
bob=$(random)
sed -e "s/ALICE_SHA256/$(digest "$alice")/" -e "s/BOB_SHA256/$(digest "$bob")/" \
    gateway.compose.toml >secrets.new/gateway/gateway.toml
mv secrets.new secrets

cat <<END
alice, of dev-org      $alice
bob, of another-org    $bob

Keep them; they are written nowhere. Now: docker compose -f deploy/compose.yaml up --build --wait
END
