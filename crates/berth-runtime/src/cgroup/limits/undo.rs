//! Taking back a change of limits: what the files said before, and writing that again.

use berth_base::state::CgroupValue;
use oci_spec::runtime::LinuxResources;
use rustix::io::Errno;

use super::plan;
use crate::cgroup::branch::Branch;
use crate::cgroup::{Cgroup, CgroupError, files};

impl Cgroup {
    /// What the files say now that [`Cgroup::update`] would write, for [`Cgroup::restore`].
    ///
    /// Also finds out whether each limit can be set on this host at all.
    pub fn before_update(
        &self,
        resources: &LinuxResources,
    ) -> Result<Vec<CgroupValue>, CgroupError> {
        let resources = self.complete(resources)?;
        let settings = plan(&resources, &|controller| self.locate(controller))?;
        let mut values: Vec<CgroupValue> = Vec::with_capacity(settings.len());
        for setting in &settings {
            let branch = self.branch_for(setting.controller, setting.limit)?;
            let v1 = setting.controller.v1_name();
            let controller = branch.has(v1).then(|| v1.to_owned());
            for (file, _) in &setting.choices {
                let Some(text) = branch.read_if_present(file)? else {
                    continue;
                };
                // What else such a file lists is about single devices.
                let value = text.lines().next().unwrap_or_default().to_owned();
                let file = file.clone().into_owned();
                values.push(CgroupValue {
                    controller,
                    file,
                    value,
                });
                break;
            }
        }
        Ok(values)
    }

    /// Writes values that were there before. One bounds the other, so those that are refused are
    /// tried again after the rest. A cgroup that is gone needs nothing.
    pub fn restore(&self, values: &[CgroupValue]) -> Result<(), CgroupError> {
        let mut left: Vec<&CgroupValue> = values.iter().rev().collect();
        loop {
            let mut refused = Vec::new();
            let mut first_error = None;
            for value in &left {
                if let Err(error) = self.write_back(value) {
                    refused.push(*value);
                    first_error.get_or_insert(error);
                }
            }
            match first_error {
                None => return Ok(()),
                Some(error) if refused.len() == left.len() => return Err(error),
                Some(_) => left = refused,
            }
        }
    }

    fn write_back(&self, value: &CgroupValue) -> Result<(), CgroupError> {
        let Some(branch) = self.branch_of(value) else {
            return Ok(());
        };
        let written = branch
            .dir()
            .and_then(|dir| files::write_at(dir, &value.file, &value.value));
        match written {
            Ok(()) | Err(Errno::NOENT | Errno::NODEV) => Ok(()),
            Err(source) => Err(CgroupError::Limit {
                limit: "earlier limit".to_owned(),
                value: value.value.clone(),
                path: branch.file(&value.file),
                source,
            }),
        }
    }

    fn branch_of(&self, value: &CgroupValue) -> Option<&Branch> {
        match &value.controller {
            Some(controller) => self.v1_branch(controller),
            None => self.v2.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use oci_spec::runtime::LinuxResources;

    use crate::cgroup::kernel_tests::Place;

    #[test]
    fn a_change_is_taken_back() {
        let Some(place) = Place::new("undo") else {
            return;
        };
        let cgroup = place.create("a");
        let read = |json: &str| -> LinuxResources { serde_json::from_str(json).unwrap() };
        let first = read(
            r#"{"memory":{"limit":33554432,"swap":33554432},"pids":{"limit":20},"cpu":{"quota":20000,"period":50000}}"#,
        );
        cgroup.apply(&first).unwrap();
        // Up, then down again: the one that bounds the other is written first either way.
        for other in [
            r#"{"memory":{"limit":67108864,"swap":67108864},"pids":{"limit":-1},"cpu":{"quota":-1,"period":100000}}"#,
            r#"{"memory":{"limit":16777216,"swap":16777216},"pids":{"limit":5},"cpu":{"quota":1000,"period":10000}}"#,
        ] {
            let before = cgroup.before_update(&first).unwrap();
            assert!(before.len() >= 4, "{before:?}");
            let other = read(other);
            cgroup.update(&other).unwrap();
            assert_ne!(cgroup.before_update(&first).unwrap(), before);
            cgroup.restore(&before).unwrap();
            assert_eq!(cgroup.before_update(&first).unwrap(), before);
            cgroup.restore(&before).unwrap();
        }
        let before = cgroup.before_update(&first).unwrap();
        cgroup.remove().unwrap();
        cgroup.restore(&before).unwrap();
    }
}
