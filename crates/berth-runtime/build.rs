//! Names the program's entry point (`berth_sys::link_early_start` says why).

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("x86_64") {
        println!("cargo::rustc-link-arg-bin=berth-runtime=-Wl,-e,berth_early_start");
    }
}
