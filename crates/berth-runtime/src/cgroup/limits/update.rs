//! Changing the limits of a running container.
//!
//! v2 keeps in one file, or counts apart, what OCI says in two values; where only one of them is
//! given, the other is what the kernel has now.

use std::borrow::Cow;

use oci_spec::runtime::LinuxResources;

use super::{Controller, Version};
use crate::cgroup::branch::Branch;
use crate::cgroup::{Cgroup, CgroupError};

impl Cgroup {
    /// Writes the limits in `resources` to the cgroup of a running container. Values that are
    /// absent, or 0, stay as they are; so do the device rules.
    pub fn update(&self, resources: &LinuxResources) -> Result<(), CgroupError> {
        let resources = self.complete(resources)?;
        self.apply_limits(&resources)
    }

    /// Fills in what v2 has to be told along with what was asked.
    pub(super) fn complete<'r>(
        &self,
        resources: &'r LinuxResources,
    ) -> Result<Cow<'r, LinuxResources>, CgroupError> {
        let Some(branch) = &self.v2 else {
            return Ok(Cow::Borrowed(resources));
        };
        let mut completed = Cow::Borrowed(resources);
        let unset = |value: Option<i64>| value.is_none_or(|value| value == 0);
        if let Some(cpu) = resources.cpu()
            && self.locate(Controller::Cpu) == Some(Version::V2)
            && unset(cpu.quota())
            && cpu.period().is_some_and(|period| period != 0)
            && let Some(quota) = first_number(branch, "cpu.max")?
        {
            let mut cpu = cpu.clone();
            cpu.set_quota(Some(quota));
            completed.to_mut().set_cpu(Some(cpu));
        }
        if let Some(memory) = resources.memory()
            && self.locate(Controller::Memory) == Some(Version::V2)
            && unset(memory.limit())
            && memory.swap().is_some_and(|bytes| bytes > 0)
            && let Some(limit) = first_number(branch, "memory.max")?
        {
            let mut memory = *memory;
            memory.set_limit(Some(limit));
            completed.to_mut().set_memory(Some(memory));
        }
        Ok(completed)
    }
}

/// The first word of a file as a number: `None` for `max` and where there is no such file.
fn first_number(branch: &Branch, file: &str) -> Result<Option<i64>, CgroupError> {
    let text = branch.read_if_present(file)?.unwrap_or_default();
    let word = text.split_ascii_whitespace().next();
    Ok(word.and_then(|word| word.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(files: &[(&str, &str)], json: &str) -> serde_json::Value {
        let folder = tempfile::tempdir().unwrap();
        for (file, text) in files {
            std::fs::write(folder.path().join(file), text).unwrap();
        }
        let cgroup = Cgroup {
            v2: Some(Branch::named(Vec::new(), folder.path().to_owned())),
            v1: Vec::new(),
            left_out: Vec::new(),
        };
        let asked: LinuxResources = serde_json::from_str(json).unwrap();
        serde_json::to_value(cgroup.complete(&asked).unwrap().as_ref()).unwrap()
    }

    #[test]
    fn what_was_not_asked_stays_as_the_kernel_has_it() {
        let cpu = complete(
            &[("cpu.max", "20000 100000\n")],
            r#"{"cpu": {"period": 50000}}"#,
        );
        assert_eq!(cpu["cpu"]["quota"], 20000);
        let cpu = complete(
            &[("cpu.max", "max 100000\n")],
            r#"{"cpu": {"period": 50000}}"#,
        );
        assert_eq!(cpu["cpu"]["quota"], serde_json::Value::Null);
        let memory = complete(&[("memory.max", "4096\n")], r#"{"memory": {"swap": 8192}}"#);
        assert_eq!(memory["memory"]["limit"], 4096);
        let both = r#"{"memory":{"limit":1,"swap":2},"cpu":{"quota":5,"period":6}}"#;
        let files = [("memory.max", "9\n"), ("cpu.max", "9 9\n")];
        let whole: serde_json::Value = serde_json::from_str(both).unwrap();
        assert_eq!(complete(&files, both), whole);
    }
}
