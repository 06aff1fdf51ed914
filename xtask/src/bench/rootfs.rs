//! What the measured containers are made of: the floor program, a busybox root, an OCI bundle.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::scratch::Scratch;
use crate::workspace;

const BUSYBOX: &str = "/usr/bin/busybox";

/// Everything that contestants refer to.
pub(super) struct Stage {
    /// For state, sockets and logs; goes with the measurement.
    pub(super) folder: PathBuf,
    /// The compiled floor program.
    pub(super) floor: PathBuf,
    /// A root filesystem with nothing but busybox.
    pub(super) rootfs: PathBuf,
    /// runc's default spec with `true` for a program; `None` without runc.
    pub(super) bundle: Option<PathBuf>,
    /// Our release binaries.
    pub(super) berth: PathBuf,
    /// The OCI command line.
    pub(super) runtime: PathBuf,
}

/// Makes it all in the folder.
///
/// # Errors
/// The compiler fails, or a file cannot be written.
pub(super) fn prepare(scratch: &Scratch, binaries: &[PathBuf]) -> Outcome<Stage> {
    let [berth, runtime] = binaries else {
        return Err(Failure::new(
            "the release has other binaries than bench knows",
        ));
    };
    let floor = scratch.path().join("floor");
    let source = workspace::root().join("bench/floor.c");
    exec::run(
        exec::at_root("cc")
            .args(["-O2", "-static", "-o"])
            .arg(&floor)
            .arg(source),
    )?;
    let rootfs = scratch.folder("rootfs")?;
    lay_out(&rootfs)?;
    let bundle = exec::installed("runc")
        .then(|| make_bundle(scratch, &rootfs))
        .transpose()?;
    Ok(Stage {
        folder: scratch.path().to_path_buf(),
        floor,
        rootfs,
        bundle,
        berth: berth.clone(),
        runtime: runtime.clone(),
    })
}

fn lay_out(rootfs: &Path) -> Outcome {
    for name in ["bin", "dev", "etc", "proc", "sys", "tmp"] {
        let path = rootfs.join(name);
        fs::create_dir(&path).map_err(|error| Failure::file("create", &path, &error))?;
    }
    fs::copy(BUSYBOX, rootfs.join("bin/busybox"))
        .map_err(|error| Failure::file("copy", Path::new(BUSYBOX), &error))?;
    for name in ["sh", "true", "sleep"] {
        let path = rootfs.join("bin").join(name);
        symlink("busybox", &path).map_err(|error| Failure::file("create", &path, &error))?;
    }
    Ok(())
}

fn make_bundle(scratch: &Scratch, rootfs: &Path) -> Outcome<PathBuf> {
    let bundle = scratch.folder("bundle")?;
    exec::read(
        exec::at_root("runc")
            .args(["spec", "--bundle"])
            .arg(&bundle),
    )?;
    let path = bundle.join("config.json");
    let text = fs::read_to_string(&path).map_err(|error| Failure::file("read", &path, &error))?;
    let mut spec: Value = serde_json::from_str(&text)
        .map_err(|error| Failure::new(format!("runc spec wrote no JSON: {error}")))?;
    spec["process"]["terminal"] = json!(false);
    spec["process"]["args"] = json!(["/bin/true"]);
    spec["root"]["path"] = json!(rootfs);
    fs::write(&path, spec.to_string()).map_err(|error| Failure::file("write", &path, &error))?;
    Ok(bundle)
}
