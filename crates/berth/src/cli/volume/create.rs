//! `berth volume create`.

use berth_base::state::VolumeName;
use berth_engine::VolumeRequest;
use clap::Args;

use crate::cli::parse::label::label;
use crate::cli::parse::mount::{driver_option, volume_name};
use crate::cli::{Context, Outcome};

/// Create a volume.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(super) struct Create {
    /// Who keeps its files: local is the only driver
    #[arg(short, long, value_name = "DRIVER")]
    driver: Option<String>,
    /// Metadata, KEY=VALUE or KEY
    #[arg(long, value_name = "KEY=VALUE", value_parser = label, allow_hyphen_values = true)]
    label: Vec<(String, String)>,
    /// What it is instead of a folder: type=tmpfs with o=size=64m, or type=none with o=bind and
    /// device=/srv/data
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = driver_option)]
    opt: Vec<(String, String)>,
    /// The same as the argument, as Docker had it before 1.9
    #[arg(long = "name", value_name = "VOLUME", value_parser = volume_name, hide = true, conflicts_with = "name")]
    old_name: Option<VolumeName>,
    /// Its name; a random one when absent
    #[arg(value_name = "VOLUME", value_parser = volume_name)]
    name: Option<VolumeName>,
}

impl Create {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let request = VolumeRequest {
            name: self.name.clone().or_else(|| self.old_name.clone()),
            driver: self.driver.clone(),
            labels: self.label.iter().cloned().collect(),
            options: self.opt.iter().cloned().collect(),
        };
        let volume = context.engine.create_volume(&request)?;
        context.out.line(volume.file.name.as_str())?;
        Ok(0)
    }
}
