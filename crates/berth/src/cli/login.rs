//! `berth login`.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use berth_base::ErrorClass;
use berth_image::registry::{Credential, Stored, verify_login};
use clap::Args;

use super::failure::Failure;
use super::progress::Bars;
use super::{Context, Outcome, registry};
use crate::terminal::read_secret;

/// The longest password that is read from standard input; tokens are long.
const SECRET_MAX: u64 = 64 << 10;

/// Log in to a registry.
///
/// The login is kept where docker keeps it: in config.json below DOCKER_CONFIG or ~/.docker, or
/// with the credential helper that this file names.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Login {
    /// The user's name
    #[arg(short, long, value_name = "NAME")]
    username: Option<String>,
    /// The password; others can see it in the list of processes
    #[arg(short, long, value_name = "PASSWORD", allow_hyphen_values = true)]
    password: Option<String>,
    /// Read the password from standard input
    #[arg(long, conflicts_with = "password")]
    password_stdin: bool,
    /// The registry, docker.io unless told otherwise
    #[arg(value_name = "HOST[:PORT]")]
    server: Option<String>,
}

impl Login {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let server = registry::server(self.server.as_deref())?;
        let files = registry::own_auth_files()?;
        let login = self.ask(context, &server)?;
        let bars = Bars::new(context.console, true);
        let verified = verify_login(registry::settings()?, &server, login.clone(), &bars);
        verified.map_err(|error| Failure::from(error).on(server.as_str()))?;
        let stored = files.store(&server, &login).map_err(Failure::from)?;
        if let Stored::File(path) = stored {
            let path = path.display();
            context.console.warn(&format!(
                "the password is kept in {path}, not encrypted and readable by you alone; a credential helper keeps it better"
            ));
        }
        context.out.line("Login Succeeded")?;
        Ok(0)
    }

    fn ask(&self, context: &Context, server: &str) -> Result<Credential, Failure> {
        let name = match &self.username {
            Some(name) => name.clone(),
            None if self.password_stdin => {
                return Err(Failure::usage("--password-stdin needs --username"));
            }
            None => ask_name(server)?,
        };
        let secret = match &self.password {
            Some(password) => {
                context
                    .console
                    .warn("a password on the command line is seen by others; use --password-stdin");
                password.clone()
            }
            None if self.password_stdin => secret_from_stdin()?,
            None => {
                check_terminal()?;
                read_secret(&format!("Password for {name} at {server}: "))?
            }
        };
        if name.is_empty() || secret.is_empty() {
            return Err(Failure::usage("a login needs a name and a password"));
        }
        if name.contains(':') {
            return Err(Failure::usage("the name of a login holds no colon"));
        }
        Ok(Credential::Password { name, secret })
    }
}

fn check_terminal() -> Result<(), Failure> {
    match io::stdin().is_terminal() {
        true => Ok(()),
        false => Err(Failure::usage(
            "cannot ask for a login without a terminal; give --username and --password-stdin",
        )),
    }
}

fn ask_name(server: &str) -> Result<String, Failure> {
    check_terminal()?;
    let mut stderr = io::stderr();
    // Where the question cannot be shown, the answer may come all the same.
    drop(write!(stderr, "Name at {server}: ").and_then(|()| stderr.flush()));
    let mut line = String::new();
    io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(unreadable)?;
    Ok(line.trim().to_owned())
}

fn secret_from_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    let stdin = io::stdin().lock();
    stdin
        .take(SECRET_MAX)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

fn unreadable(error: io::Error) -> Failure {
    let text = format!("cannot read standard input: {error}");
    Failure::new(ErrorClass::Unavailable, text)
}
