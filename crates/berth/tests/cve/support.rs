//! What the attacks share: the two ways in, a thread that swaps names, and a look at what must
//! not change.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use berth_testkit::{Bundle, Runtime};
use rustix::fs::{Mode, OFlags, RenameFlags, open, renameat_with};

use crate::cli::Berth;

/// Rounds of a race. With its guard taken out each race was seen to be lost within these.
pub(crate) const ROUNDS: u32 = 60;

/// The program whose command line is runc's.
pub(crate) fn program() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_berth")).with_file_name("berth-runtime")
}

/// `berth-runtime` as a shim drives it.
pub(crate) fn oci() -> Runtime {
    Runtime::new(program())
}

/// Exchanges two names of a folder as fast as it can, until it is dropped.
pub(crate) struct Swap {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<u64>>,
}

impl Swap {
    /// Both names exist, and do so at every moment (renameat2(2), RENAME_EXCHANGE).
    pub(crate) fn between(folder: &Path, one: &str, other: &str) -> Self {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = open(folder, flags, Mode::empty()).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let (one, other) = (one.to_owned(), other.to_owned());
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut count = 0;
            while !stopped.load(Ordering::Relaxed) {
                let swapped = renameat_with(&folder, &one, &folder, &other, RenameFlags::EXCHANGE);
                count += u64::from(swapped.is_ok());
            }
            count
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }

    /// Stops it; it must have swapped all the time.
    pub(crate) fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let count = self.thread.take().unwrap().join().unwrap();
        assert!(count > 1000, "only {count} swaps: no race was run");
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Names below a folder with kind, mode, owner and content, but for what is mounted there.
pub(crate) fn picture(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(path) = open.pop() {
        let stat = fs::symlink_metadata(&path).unwrap();
        let kind = stat.file_type();
        let content = if kind.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
            String::new()
        } else if kind.is_symlink() {
            fs::read_link(&path).unwrap().display().to_string()
        } else if kind.is_file() {
            String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned()
        } else {
            format!("{} {}", kind.is_char_device(), stat.rdev())
        };
        let line = format!("{:o} {} {} {content}", stat.mode(), stat.uid(), stat.gid());
        all.insert(path, line);
    }
    all
}

/// A folder beside the rootfs that holds something of value, and how it looks.
pub(crate) struct Outside {
    pub(crate) path: PathBuf,
    before: BTreeMap<PathBuf, String>,
}

impl Outside {
    /// In the folder of a bundle.
    pub(crate) fn beside(folder: &Path) -> Self {
        let path = folder.join("outside");
        // Targets that a link leads to exist there, too.
        for target in ["inner/t", "inner/b"] {
            fs::create_dir_all(path.join(target)).unwrap();
        }
        fs::write(path.join("value"), "dear\n").unwrap();
        Self {
            before: picture(&path),
            path,
        }
    }

    /// Nothing was made, removed, written or mounted in it.
    #[track_caller]
    pub(crate) fn is_untouched(&self) {
        assert_eq!(picture(&self.path), self.before, "the host was changed");
    }
}

/// A bundle whose rootfs has `data`, a folder, and `link`, a symbolic link to a folder of the
/// host's: what a [`Swap`] exchanges.
pub(crate) fn bundle_with_link(runtime: &Runtime) -> (Bundle, Outside) {
    let bundle = runtime.bundle();
    let outside = Outside::beside(bundle.path());
    lay_link(&bundle.rootfs(), &outside);
    (bundle, outside)
}

/// `data` and `link` in a root.
pub(crate) fn lay_link(root: &Path, outside: &Outside) {
    fs::create_dir_all(root.join("data")).unwrap();
    std::os::unix::fs::symlink(&outside.path, root.join("link")).unwrap();
}

/// A root file system with busybox for `berth run --rootfs`.
pub(crate) fn root_for(berth: &Berth) -> (Bundle, String) {
    let bundle = Bundle::new();
    let root = bundle.rootfs().to_str().unwrap().to_owned();
    assert!(berth.ids().is_empty());
    (bundle, root)
}
