//! What a group's `schemata` file is to say. Pure.

use oci_spec::runtime::LinuxIntelRdt;

use super::ResctrlError;

/// The lines to be written: those that a group of that name must already have where it exists,
/// and those that are written in any case, last.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// From `l3CacheSchema` and `memBwSchema`.
    pub(super) shared: Vec<String>,
    /// From `schemata`.
    pub(super) last: Vec<String>,
}

impl Wanted {
    /// The lines that a spec asks for. Where both older fields are set, bandwidth comes from
    /// `memBwSchema` alone (runtime-spec config-linux, "IntelRdt").
    pub(super) fn of(rdt: &LinuxIntelRdt) -> Result<Self, ResctrlError> {
        let invalid = |field, value: &str, why| ResctrlError::Invalid {
            field,
            value: value.to_owned(),
            why,
        };
        let cache = rdt.l3_cache_schema().as_deref().unwrap_or_default();
        let bandwidth = rdt.mem_bw_schema().as_deref().unwrap_or_default();
        if !bandwidth.is_empty() && (!bandwidth.starts_with("MB:") || bandwidth.contains('\n')) {
            return Err(invalid(
                "memBwSchema",
                bandwidth,
                "it is one line that begins with MB:",
            ));
        }
        let mut shared: Vec<String> = lines(cache)
            .filter(|line| bandwidth.is_empty() || !line.starts_with("MB:"))
            .map(str::to_owned)
            .collect();
        shared.extend(lines(bandwidth).map(str::to_owned));
        let last = rdt.schemata().iter().flatten();
        if let Some(entry) = last.clone().find(|entry| entry.contains('\n')) {
            return Err(invalid("schemata", entry, "an entry is one line"));
        }
        let last: Vec<String> = last
            .flat_map(|text| lines(text))
            .map(str::to_owned)
            .collect();
        if let Some(line) = shared
            .iter()
            .chain(&last)
            .find(|line| parse(line).is_none())
        {
            return Err(invalid(
                "schemata",
                line,
                "a line is like L3:0=7f0;1=1f or MB:0=20;1=70",
            ));
        }
        Ok(Self { shared, last })
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.shared.is_empty() && self.last.is_empty()
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

/// The first line that a group's schemata do not say. A domain that the line leaves out may be
/// anything; the kernel may write masks with other zeros before them.
pub(super) fn first_mismatch<'a>(wanted: &'a [String], found: &str) -> Option<&'a str> {
    let found: Vec<_> = lines(found).filter_map(parse).collect();
    wanted.iter().map(String::as_str).find(|line| {
        let Some((resource, domains)) = parse(line) else {
            return true;
        };
        let Some((_, present)) = found.iter().find(|(name, _)| *name == resource) else {
            return true;
        };
        domains.iter().any(|domain| !present.contains(domain))
    })
}

/// A resource and its values by domain, without leading zeros.
type Line<'a> = (&'a str, Vec<(u32, String)>);

fn parse(line: &str) -> Option<Line<'_>> {
    let (resource, domains) = line.split_once(':')?;
    let domains = domains
        .split(';')
        .map(|domain| {
            let (id, value) = domain.split_once('=')?;
            let value = value.trim().to_ascii_lowercase();
            let short = value.trim_start_matches('0');
            let plain = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_alphanumeric());
            plain.then(|| Some((id.trim().parse().ok()?, short.to_owned())))?
        })
        .collect::<Option<_>>()?;
    (!resource.is_empty()).then_some((resource.trim(), domains))
}
