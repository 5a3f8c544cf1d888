#!/usr/bin/env bash
# Does the crate compile for Windows and macOS? Nothing is linked, and nothing runs: whether it works there nobody knows.
#
# No standard library of theirs is in Debian, so it is built from the sources of Debian's newest compiler, which is unpacked
# into target/platforms and not installed. Some minutes the first time. Needs apt-get and Debian 12 with its security updates.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

place=$PWD/target/platforms
usr=$place/usr
if [ ! -x "$usr/bin/rustc" ]; then
    mkdir -p "$place/packages"
    (
        cd "$place/packages"
        library=$(apt-cache depends libstd-rust-web-dev | sed -n 's/.*Depends: \(libstd-rust-web-[0-9.]*\)$/\1/p' | head -n 1)
        llvm=$(apt-cache depends "$library" | sed -n 's/.*Depends: \(libllvm.*\)/\1/p')
        # The latter are cargo's libraries, and the linker's tool that makes import libraries for Windows.
        apt-get download rustc-web cargo-web rust-web-src libstd-rust-web-dev "$library" "$llvm" \
            libgit2-1.5 libhttp-parser2.9 libmbedtls14 libmbedcrypto7 libmbedx509-1 libssh2-1 binutils-mingw-w64-x86-64
        for package in *.deb; do dpkg-deb --extract "$package" "$place"; done
    )
fi
export PATH=$usr/bin:$PATH LD_LIBRARY_PATH=$usr/lib/x86_64-linux-gnu:$usr/lib
# Its own standard library is what is built, which only a nightly compiler does without being told.
export RUSTC=$usr/bin/rustc RUSTC_BOOTSTRAP=1 PYO3_CROSS_PYTHON_VERSION=3.11 CARGO_TARGET_DIR=$place/target
# Stands for a compiler and an archiver of C, which aws-lc wants for each: nothing is linked, so what they make may be empty.
nothing=$place/nothing
cat >"$nothing" <<'SCRIPT'
#!/bin/sh
while [ $# -gt 0 ]; do
    case $1 in -o) : >"$2"; shift ;; *.a | *.lib) : >"$1" ;; esac
    shift
done
SCRIPT
chmod +x "$nothing"
export AWS_LC_SYS_PREBUILT_NASM=1
for target in x86_64-pc-windows-gnu aarch64-apple-darwin x86_64-unknown-linux-musl; do
    echo "$target"
    export "CC_${target//-/_}=$nothing" "AR_${target//-/_}=$nothing"
    # What only the asyncio loop needs, which is for Linux, is not used elsewhere.
    cargo check --quiet --lib -Zbuild-std=std,panic_abort --target "$target" --config 'build.rustflags=["-Dwarnings", "-Adead_code"]'
done
