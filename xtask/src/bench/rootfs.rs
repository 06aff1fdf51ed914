//! What the measured containers are made of: the floor program, a busybox root, OCI bundles.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::contestants::{RUNTIMES, SIZES, exec_bundle};
use super::peers::CGROUP;
use crate::exec;
use crate::failure::{Failure, Outcome};
use crate::scratch::Scratch;

const BUSYBOX: &str = "/usr/bin/busybox";

/// The folder of all bundles.
const BUNDLES: &str = "bundles";

/// What a bundle consists of.
pub(crate) const CONFIG: &str = "config.json";

/// Everything that contestants refer to.
pub(super) struct Stage {
    /// For state, sockets and logs; goes with the measurement.
    pub(super) folder: PathBuf,
    /// The compiled floor program.
    pub(super) floor: PathBuf,
    /// A root filesystem with nothing but busybox.
    pub(super) rootfs: PathBuf,
    /// Whether there are bundles: without runc there is no default spec of its.
    pub(super) has_bundles: bool,
    /// Our release binaries.
    pub(super) berth: PathBuf,
    /// The OCI command line.
    pub(super) runtime: PathBuf,
}

impl Stage {
    /// The folder of a bundle: runc's default spec with the measured root. Those named by a number
    /// run `true`, those of [`exec_bundle`] sleep.
    pub(super) fn bundle(&self, name: &str) -> String {
        let path = self.folder.join(BUNDLES).join(name);
        path.to_string_lossy().into_owned()
    }
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
    let floor = super::compile(scratch, "floor")?;
    let rootfs = scratch.folder("rootfs")?;
    lay_out(&rootfs)?;
    let has_bundles = exec::installed("runc");
    if has_bundles {
        make_bundles(scratch, &rootfs)?;
    }
    Ok(Stage {
        folder: scratch.path().to_path_buf(),
        floor,
        rootfs,
        has_bundles,
        berth: berth.clone(),
        runtime: runtime.clone(),
    })
}

/// Fills a root with busybox alone.
///
/// # Errors
/// A file cannot be written.
pub(crate) fn lay_out(rootfs: &Path) -> Outcome {
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

/// One bundle for each copy of a crowd, and one for each container that `exec` enters. Nothing but
/// terminal, program, root and cgroup differs from what runc wrote.
fn make_bundles(scratch: &Scratch, rootfs: &Path) -> Outcome {
    let folder = scratch.folder(BUNDLES)?;
    exec::read(
        exec::at_root("runc")
            .args(["spec", "--bundle"])
            .arg(&folder),
    )?;
    let path = folder.join(CONFIG);
    let text = fs::read_to_string(&path).map_err(|error| Failure::file("read", &path, &error))?;
    let mut spec: Value = serde_json::from_str(&text)
        .map_err(|error| Failure::new(format!("runc spec wrote no JSON: {error}")))?;
    spec["process"]["terminal"] = json!(false);
    spec["root"]["path"] = json!(rootfs);
    spec["process"]["args"] = json!(["/bin/true"]);
    for copy in 0..SIZES.into_iter().max().unwrap_or(1) {
        write_bundle(&mut spec, &folder, CGROUP, &copy.to_string())?;
    }
    spec["process"]["args"] = json!(["/bin/sleep", "9999"]);
    for name in RUNTIMES {
        for copies in SIZES {
            write_bundle(&mut spec, &folder, CGROUP, &exec_bundle(name, copies))?;
        }
    }
    Ok(())
}

/// Writes the bundle `name`, whose cgroup has that name below `parent`.
///
/// # Errors
/// The folder or the file cannot be made.
pub(crate) fn write_bundle(spec: &mut Value, folder: &Path, parent: &str, name: &str) -> Outcome {
    spec["linux"]["cgroupsPath"] = json!(format!("/{parent}/{name}"));
    let bundle = folder.join(name);
    fs::create_dir(&bundle).map_err(|error| Failure::file("create", &bundle, &error))?;
    let path = bundle.join(CONFIG);
    fs::write(&path, spec.to_string()).map_err(|error| Failure::file("write", &path, &error))
}
