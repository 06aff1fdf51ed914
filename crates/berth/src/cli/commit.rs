//! `berth commit`.

use berth_base::ContainerId;
use berth_base::state::CgroupPaths;
use berth_engine::CommitOptions;
use berth_image::archive::Changes;
use clap::{ArgAction, Args};

use super::failure::Failure;
use super::image::new_name;
use super::progress::Bars;
use super::{Context, Outcome};

/// Make an image of a container.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Commit {
    /// Who made it
    #[arg(short, long, value_name = "NAME")]
    author: Option<String>,
    /// An instruction as in a Dockerfile, such as 'CMD ["sh"]' or 'ENV A=1'
    #[arg(short, long, value_name = "INSTRUCTION", allow_hyphen_values = true)]
    change: Vec<String>,
    /// A word about it
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true)]
    message: Option<String>,
    /// Stop its processes meanwhile; false for files of different moments
    #[arg(short, long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value_t = true, default_missing_value = "true", action = ArgAction::Set,
          hide_possible_values = true)]
    pause: bool,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
    /// The container, by name, id or unique beginning of an id
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// The image's name
    #[arg(value_name = "NAME[:TAG]")]
    name: Option<String>,
}

impl Commit {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let name = self.name.as_deref().map(new_name).transpose()?;
        Changes::parse(&self.change).map_err(|e| Failure::usage(e.to_string()))?;
        let id = context.engine.resolve(&self.container)?;
        let options = CommitOptions {
            name,
            author: self.author.clone(),
            message: self.message.clone(),
            changes: self.change.clone(),
            running: !self.pause,
        };
        if self.pause {
            warn_of_moments(context, &id)?;
        }
        let bars = Bars::new(context.console, self.quiet);
        let image = context.engine.commit(&id, &options, &bars)?;
        drop(bars);
        context.out.line(image.as_str())?;
        Ok(0)
    }
}

/// Says that processes go on meanwhile where nothing can stop them: no cgroup is delegated to the user.
fn warn_of_moments(context: &Context, id: &ContainerId) -> Result<(), Failure> {
    let container = context.engine.inspect(id)?;
    let live = container.live.as_ref();
    if live.is_some_and(|live| live.cgroups == CgroupPaths::default()) {
        context.console.warn(&format!(
            "the processes of {} go on meanwhile, since it has no cgroup of its own: files may be of different moments",
            container.name
        ));
    }
    Ok(())
}
