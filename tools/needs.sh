#!/bin/sh
# Checks what must be on the machine before anything can be installed, and says what is missing and how to get it.
# In: PYTHON (default python3). Out: nothing when all is there; else one paragraph per missing thing, exit status 1.
# Always: names every missing thing in one go, and changes nothing.
python=${PYTHON:-python3}
rust_oldest=1.88
missing=0

lack() {
    missing=1
    printf 'missing: %s\n    %s\n' "$1" "$2" >&2
}

if ! command -v "$python" >/dev/null 2>&1; then
    lack "Python 3.11 or newer ('$python' is not on the PATH)" \
        "Debian, Ubuntu: apt-get install python3 python3-venv. macOS: brew install python. Another name: make PYTHON=python3.12"
elif ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    lack "Python 3.11 or newer ('$python' is $("$python" -V 2>&1))" \
        "install a newer one beside it and run: make PYTHON=python3.12"
elif ! "$python" -c 'import venv, ensurepip' >/dev/null 2>&1; then
    lack "Python's venv module" "Debian, Ubuntu: apt-get install python3-venv"
fi

if ! command -v cargo >/dev/null 2>&1 || ! command -v rustc >/dev/null 2>&1; then
    lack "a Rust toolchain (cargo, rustc), $rust_oldest or newer" \
        "rustup (see the page 'Install Rust' of the Rust project), then open a new shell; Debian: apt-get install rustup && rustup default stable"
else
    rust=$(rustc --version 2>&1 | sed -n 's/^rustc \([0-9]*\.[0-9]*\).*/\1/p')
    if [ -z "$rust" ]; then
        lack "a Rust toolchain that runs" "rustc says: $(rustc --version 2>&1 | head -n 1). With rustup: rustup default stable"
    elif [ "$(printf '%s\n%s\n' "$rust_oldest" "$rust" | sort -t. -k1,1n -k2,2n | head -n 1)" != "$rust_oldest" ]; then
        lack "Rust $rust_oldest or newer (this is $rust)" "rustup update stable"
    elif [ -n "${NEEDS_LINT:-}" ]; then
        cargo clippy --version >/dev/null 2>&1 || lack "clippy" "rustup component add clippy (Debian: apt-get install rust-clippy)"
        cargo fmt --version >/dev/null 2>&1 || lack "rustfmt" "rustup component add rustfmt (Debian: apt-get install rustfmt)"
    fi
fi

command -v cc >/dev/null 2>&1 || lack "a C linker ('cc' is not on the PATH; Rust links with it)" \
    "Debian, Ubuntu: apt-get install build-essential. macOS: xcode-select --install"

if [ "$missing" -ne 0 ]; then
    printf 'Install what is missing and run make again.\n' >&2
    exit 1
fi
