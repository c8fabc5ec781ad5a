# Installs what a command line lacks. Sourced by deploy/try.sh and tests/run.sh, which want the
# same on a bare Debian; does nothing, and says nothing, where everything is there.

# need PACKAGES TEST...: runs TEST; where it fails, installs the Debian PACKAGES.
# Returns 1, with a sentence, where that cannot be done.
need() {
    need_packages=$1
    shift
    if "$@" >/dev/null 2>&1; then
        return 0
    fi
    if ! command -v apt-get >/dev/null; then
        echo "Missing: $need_packages (names as in Debian). Please install it; apt-get is not here."
        return 1
    fi
    need_root=
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "Missing: $need_packages. Please run: apt-get install $need_packages"
            return 1
        fi
        need_root=sudo
    fi
    echo "Missing: $need_packages. Installing with apt-get."
    need_log=$(mktemp)
    # The list of packages may be absent (a fresh image) or old; neither is worth asking about.
    # shellcheck disable=SC2086  # several packages, several words
    if $need_root apt-get update >"$need_log" 2>&1 </dev/null &&
        $need_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
            $need_packages >>"$need_log" 2>&1 </dev/null; then
        rm -f "$need_log"
        return 0
    fi
    tail -n 20 "$need_log"
    rm -f "$need_log"
    echo "apt-get could not install $need_packages; its last lines are above."
    return 1
}

# What every build needs: pingora brings C libraries, one of them built with cmake.
need_to_build() {
    if ! command -v cargo >/dev/null; then
        echo "cargo is missing: install the Rust toolchain (1.89 or later) first, for example with rustup."
        return 1
    fi
    need cmake command -v cmake && need "gcc libc6-dev" command -v cc && need make command -v make
}
