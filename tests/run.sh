#!/bin/sh
# Every test, in the order in which they are cheap. Stops at the first that fails, and says which.
#
#   sh tests/run.sh
#
# From any folder. On a Debian it installs what it lacks; the Rust toolchain is taken as given.

set -u
cd "$(dirname "$0")/.." || exit 1
. deploy/need.sh

target=${CARGO_TARGET_DIR:-target}
venv=$target/e2e-venv
mcp1=$target/e2e-mcp1
node=$target/e2e-node
go=$target/e2e-go
java=$target/e2e-java
python_lists="tests/e2e/requirements.txt deploy/agent/requirements.txt
    deploy/tickets-fastmcp/requirements.txt"

# step HEADING COMMAND...
step() {
    step_heading=$1
    shift
    printf '\n== %s\n' "$step_heading"
    if "$@" </dev/null; then
        return 0
    fi
    printf '\n== FAILED: %s\n' "$step_heading"
    exit 1
}

prepare() {
    need_to_build || return 1
    need "python3 python3-venv" python3 -c "import ensurepip, venv" || return 1
    need "curl ca-certificates" command -v curl || return 1
    need openssl command -v openssl || return 1
    need prometheus command -v promtool || echo "Without prometheus some tests are skipped."
    need "npm nodejs" command -v npm || return 1
    need postgresql test -n "$(ls /usr/lib/postgresql 2>/dev/null)" ||
        echo "Without PostgreSQL its tests are skipped."
    cargo --version
    python3 --version
}

unit_tests() {
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run --workspace --locked
    else
        cargo test --workspace --locked --lib --bins --tests
    fi
}

# The benchmark is a workspace of its own and is not built here; what it builds with is known.
bench_lock() {
    cargo metadata --locked --format-version 1 --manifest-path tests/bench/Cargo.toml >/dev/null
}

documentation() {
    RUSTDOCFLAGS="-D warnings" \
        cargo doc --no-deps --document-private-items --workspace --locked
}

dependencies() {
    if cargo deny --version >/dev/null 2>&1; then
        cargo deny check bans licenses sources
    else
        echo "SKIPPED: cargo-deny is not installed; cargo install cargo-deny --locked"
    fi
}

# The packages are pinned, so what is installed is right until the list changes.
python_packages() {
    if cat $python_lists | cmp -s - "$venv/installed.txt"; then
        echo "$venv is up to date"
        return 0
    fi
    python3 -m venv --clear "$venv" &&
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
            -r tests/e2e/requirements.txt &&
        cat $python_lists >"$venv/installed.txt"
}

# The Python SDK of the years before, which cannot live beside the new one.
old_python_package() {
    if cmp -s tests/e2e/requirements-mcp1.txt "$mcp1/installed.txt"; then
        echo "$mcp1 is up to date"
        return 0
    fi
    python3 -m venv --clear "$mcp1" &&
        "$mcp1/bin/python" -m pip install --quiet --disable-pip-version-check \
            -r tests/e2e/requirements-mcp1.txt &&
        cp tests/e2e/requirements-mcp1.txt "$mcp1/installed.txt"
}

# The Go SDKs, where there is a Go that knows how to build them; pinned by go.sum.
go_programs() {
    if ! (cd tests/e2e/go && GOTOOLCHAIN=local go list -m) >/dev/null 2>&1; then
        echo "SKIPPED: there is no Go of at least $(sed -n 's/^go //p' tests/e2e/go/go.mod)"
        return 0
    fi
    if cat tests/e2e/go/go.* tests/e2e/go/*/*.go | cmp -s - "$go/installed.txt"; then
        echo "$go is up to date"
        return 0
    fi
    mkdir -p "$go" && folder=$(cd "$go" && pwd) &&
        (cd tests/e2e/go && GOTOOLCHAIN=local go build -o "$folder/" ./uri-reader ./echo-server) &&
        cat tests/e2e/go/go.* tests/e2e/go/*/*.go >"$go/installed.txt"
}

# The Java SDK, where there are a JDK and Maven; what it needs is pinned by its pom.
java_programs() {
    if ! command -v javac >/dev/null || ! command -v mvn >/dev/null; then
        echo "SKIPPED: there is no JDK, or no Maven"
        return 0
    fi
    if cat tests/e2e/java/* | cmp -s - "$java/installed.txt"; then
        echo "$java is up to date"
        return 0
    fi
    rm -rf "$java" &&
        mkdir -p "$java/lib" &&
        cp tests/e2e/java/pom.xml "$java" &&
        mvn --quiet --batch-mode --file "$java/pom.xml" -DoutputDirectory=lib \
            org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies &&
        javac --release 17 -cp "$java/lib/*" -d "$java/classes" tests/e2e/java/*.java &&
        cat tests/e2e/java/* >"$java/installed.txt"
}

# The official suite, the Node that it needs, and a server for it; all three pinned by their hashes.
# The test skips what is missing here, and fails on CI.
conformance_suite() {
    if ! command -v npm >/dev/null; then
        echo "SKIPPED: npm is not installed"
        return 0
    fi
    conformance=$target/conformance
    if cat tests/e2e/conformance/* | cmp -s - "$conformance/installed.txt"; then
        echo "$conformance is up to date"
        return 0
    fi
    rm -rf "$conformance" &&
        mkdir -p "$conformance" &&
        cp tests/e2e/conformance/*.json "$conformance" &&
        npm ci --prefix "$conformance" --ignore-scripts --no-audit --no-fund --loglevel=error &&
        "$venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps \
            --dest "$conformance" -r tests/e2e/conformance/everything.txt &&
        tar -xzf "$conformance"/mcp-*.tar.gz -C "$conformance" --strip-components=3 \
            --wildcards '*/everything-server' &&
        cat tests/e2e/conformance/* >"$conformance/installed.txt"
}

# The clients and servers in JavaScript. Node is one of the packages: Debian's is too old for some.
node_packages() {
    if cmp -s tests/e2e/node/package-lock.json "$node/installed.json"; then
        echo "$node is up to date"
        return 0
    fi
    mkdir -p "$node" &&
        cp tests/e2e/node/package.json tests/e2e/node/package-lock.json "$node" &&
        npm ci --prefix "$node" --ignore-scripts --no-audit --no-fund --loglevel=error &&
        cp tests/e2e/node/package-lock.json "$node/installed.json"
}

agent_tests() {
    PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" -m pytest -c deploy/agent/pytest.ini deploy/agent/tests
}

end_to_end() {
    PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" -m pytest -c tests/e2e/pytest.ini tests/e2e
}

step "what the tests need" prepare
step "format" cargo fmt --all --check
step "format of the benchmark" cargo fmt --manifest-path tests/bench/Cargo.toml --check
step "lock file of the benchmark" bench_lock
step "lints" cargo clippy --workspace --all-targets --locked -- -D warnings
step "lints without the demo server" \
    cargo clippy -p doorward --no-default-features --locked -- -D warnings
step "unit and integration tests" unit_tests
step "examples in the documentation" cargo test --doc --workspace --locked
step "documentation" documentation
step "build" cargo build --workspace --locked
step "gateway.toml" "$target/debug/doorward" check --config gateway.toml
step "dependencies" dependencies
step "packages for the end-to-end tests" python_packages
step "the older Python SDK" old_python_package
step "the conformance suite" conformance_suite
step "Node packages for the end-to-end tests" node_packages
step "servers in Go" go_programs
step "servers in Java" java_programs
step "tests of the agent" agent_tests
step "end-to-end tests" end_to_end
printf '\n== all good\n'
