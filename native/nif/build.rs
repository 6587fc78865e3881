//! Keeps the library in memory once it is loaded: its drain thread runs its code, so the VM must not unmap it when
//! the module `ElixirScope.Native` is purged.

fn main() {
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
    println!("cargo:rerun-if-changed=build.rs");
}
