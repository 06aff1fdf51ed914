//! A user without any privilege, who has a home in the folder of the test.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Output};

use crate::cli::Berth;

pub struct User<'a> {
    berth: &'a Berth,
    uid: u32,
}

impl<'a> User<'a> {
    /// Puts the binaries where the user reaches them, and makes its home.
    pub fn new(berth: &'a Berth, uid: u32) -> Self {
        let open = |path: &Path| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        };
        open(&berth.path(""));
        for folder in ["bin", "home"] {
            std::fs::create_dir(berth.path(folder)).unwrap();
            open(&berth.path(folder));
        }
        chown(berth.path("home"), Some(uid), Some(uid)).unwrap();
        let built = Path::new(env!("CARGO_BIN_EXE_berth"));
        for name in ["berth", "berth-runtime"] {
            let copy = berth.path("bin").join(name);
            std::fs::copy(built.with_file_name(name), &copy).unwrap();
            open(&copy);
        }
        Self { berth, uid }
    }

    /// Runs `berth` as that user.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let home = self.berth.path("home");
        let mut command = Command::new("setpriv");
        let id = self.uid.to_string();
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"]);
        command.arg(self.berth.path("bin/berth")).args(arguments);
        command.env_clear().current_dir(&home);
        command.env("HOME", &home).env("XDG_RUNTIME_DIR", &home);
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("BERTH_DEFAULT_NETWORK", "none");
        command.output().unwrap()
    }
}
