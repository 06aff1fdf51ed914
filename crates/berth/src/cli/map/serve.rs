//! `berth map --serve`: the live map as a web page.

use berth_base::ErrorClass;
use berth_map::live::{Feed, WatchOptions};
use berth_map::model::{Wanted, WantedThreads};
use berth_sys::signal::{SignalFd, wait_for};
use clap::Args;

use super::Map;
use super::live::report;
use crate::cli::failure::Failure;
use crate::cli::pid::sources;
use crate::cli::{Context, Outcome};
use crate::web::{Address, Hub, Listening, Privacy, ServeError};

const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;
const ENDING: [i32; 2] = [SIGINT, SIGTERM];

/// The page, and what it may tell to whom.
#[derive(Args, Debug)]
pub(super) struct PageFlags {
    /// Serve the live picture as a web page; on 127.0.0.1 and a free port unless told
    #[arg(
        long,
        value_name = "ADDR",
        num_args = 0..=1,
        default_missing_value = Address::DEFAULT,
        conflicts_with_all = ["json", "svg", "dot", "scope", "watch"],
    )]
    serve: Option<Address>,
    /// With --serve, listen on an address that other machines reach
    #[arg(long, requires = "serve")]
    allow_remote: bool,
    /// With --serve, show command lines, which may hold secrets
    #[arg(long, requires = "serve")]
    show_args: bool,
}

impl PageFlags {
    /// Whether the page was asked for.
    pub(super) const fn is_asked(&self) -> bool {
        self.serve.is_some()
    }

    fn privacy(&self) -> Privacy {
        match self.show_args {
            true => Privacy::ShowArguments,
            false => Privacy::HideArguments,
        }
    }

    /// Refuses an address that other machines reach, unless that is allowed; then says what it
    /// means.
    fn check_reach(&self, context: &Context, address: Address) -> Result<(), Failure> {
        if address.is_local() {
            return Ok(());
        }
        if !self.allow_remote {
            let message = format!("{} can be reached from other machines", address.0.ip());
            let hint = "add --allow-remote to serve it all the same, or use --serve 8080 and forward \
                        the port: ssh -L 8080:127.0.0.1:8080 HOST";
            return Err(Failure {
                hint: Some(hint.to_owned()),
                ..Failure::new(ErrorClass::Denied, message)
            });
        }
        let arguments = match self.show_args {
            true => "names, command lines",
            false => "names",
        };
        context.console.warn(&format!(
            "everybody who gets the URL, or reads this network, sees the {arguments} and PIDs of \
             all processes, their containers, namespaces, cgroups, addresses and listening ports; \
             the connection is not encrypted"
        ));
        Ok(())
    }
}

impl Map {
    /// Serves the host, or a recording, until SIGINT or SIGTERM.
    pub(super) fn serve(&self, context: &mut Context) -> Outcome {
        let Some(address) = self.page.serve else {
            return Ok(0);
        };
        self.page.check_reach(context, address)?;
        // Before any thread is: all of them inherit the mask.
        let signals = SignalFd::new(&ENDING).map_err(|error| {
            let message = format!("cannot receive signals through a descriptor: {error}");
            Failure::new(ErrorClass::Unavailable, message)
        })?;
        let server = Listening::open(address)?;
        let (feed, host) = match &self.replay {
            // The processes of a recording are not those that have their PIDs here and now.
            Some(_) => (self.feed(context)?, None),
            None => {
                let feed = Feed::watch(sources(context)?, options())?;
                (feed, Some(sources(context)?))
            }
        };
        let recording = self.recording(&feed)?;
        let (hub, drawing) = Hub::start(&feed, host, self.page.privacy())?;
        context.out.line(&server.url())?;
        context.out.flush()?;
        let wait = || wait_for(&ENDING, -1);
        let signal = server.serve_until(hub, self.lens.as_str(), wait);
        drop((drawing, signals));
        if let Some(recording) = recording {
            report(context, recording)?;
        }
        // Ctrl-C is how one leaves; whoever sends SIGTERM wants to see that it was that.
        Ok(if signal == Some(SIGINT) { 0 } else { 128 + 15 })
    }
}

/// What the page shows: no holders, whose reading costs most.
fn options() -> WatchOptions {
    WatchOptions {
        wanted: Wanted {
            threads: WantedThreads::Strays,
            networks: true,
            usage: true,
            ..Wanted::default()
        },
        ..WatchOptions::default()
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        let hint = match &error {
            ServeError::Listen { error, .. } => match error.kind() {
                std::io::ErrorKind::AddrInUse => {
                    Some("choose another port, or none: --serve alone takes a free one")
                }
                std::io::ErrorKind::PermissionDenied => {
                    Some("ports below 1024 need privilege: choose a higher one")
                }
                std::io::ErrorKind::AddrNotAvailable => {
                    Some("this address is on no interface of this machine")
                }
                _ => None,
            },
            ServeError::Start { .. } => None,
        };
        Self {
            hint: hint.map(str::to_owned),
            ..Self::new(ErrorClass::Unavailable, error.to_string())
        }
    }
}
