//! Passes the extension the name of the Cargo profile that it is built with. In: `OUT_DIR`. Out: `HOLDFAST_PROFILE`, for `env!`.
//! Always: the profile's own name; Cargo's `PROFILE` variable says only "release" or "debug".

use std::path::Path;

fn main() {
    let directory = std::env::var("OUT_DIR").expect("Cargo sets OUT_DIR");
    // <target>/<profile>/build/<package>/out
    let profile = Path::new(&directory)
        .ancestors()
        .nth(3)
        .and_then(Path::file_name)
        .expect("OUT_DIR is four folders deep");
    println!("cargo::rustc-env=HOLDFAST_PROFILE={}", profile.to_string_lossy());
    println!("cargo::rerun-if-changed=build.rs");
}
