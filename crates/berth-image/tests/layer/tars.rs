//! Archives, byte by byte, so that they can be as wrong as a test needs.

/// An entry to be written.
#[derive(Clone, Debug)]
pub(crate) struct E {
    pub(crate) name: Vec<u8>,
    pub(crate) kind: u8,
    pub(crate) link: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) ids: (u64, u64),
    pub(crate) mtime: u64,
    pub(crate) size: Option<u64>,
    pub(crate) device: (u32, u32),
    pub(crate) data: Vec<u8>,
    pub(crate) pax: Vec<(Vec<u8>, Vec<u8>)>,
}

fn entry(name: &str, kind: u8, mode: u32) -> E {
    E {
        name: name.into(),
        kind,
        link: Vec::new(),
        mode,
        ids: (0, 0),
        mtime: 1_000_000_000,
        size: None,
        device: (0, 0),
        data: Vec::new(),
        pax: Vec::new(),
    }
}

pub(crate) fn file(name: &str, data: impl AsRef<[u8]>) -> E {
    E {
        data: data.as_ref().to_vec(),
        ..entry(name, b'0', 0o644)
    }
}

pub(crate) fn folder(name: &str) -> E {
    entry(name, b'5', 0o755)
}

pub(crate) fn symlink(name: &str, target: &str) -> E {
    entry(name, b'2', 0o777).link(target)
}

pub(crate) fn hard_link(name: &str, target: &str) -> E {
    entry(name, b'1', 0o644).link(target)
}

pub(crate) fn device(name: &str, kind: u8, major: u32, minor: u32) -> E {
    E {
        device: (major, minor),
        ..entry(name, kind, 0o600)
    }
}

impl E {
    pub(crate) fn link(mut self, target: &str) -> Self {
        self.link = target.into();
        self
    }

    pub(crate) fn kind(mut self, kind: u8) -> Self {
        self.kind = kind;
        self
    }

    pub(crate) fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    pub(crate) fn ids(mut self, uid: u64, gid: u64) -> Self {
        self.ids = (uid, gid);
        self
    }

    pub(crate) fn mtime(mut self, mtime: u64) -> Self {
        self.mtime = mtime;
        self
    }

    pub(crate) fn size(mut self, size: u64) -> Self {
        self.size = Some(size);
        self
    }

    pub(crate) fn pax(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.pax.push((key.into(), value.as_ref().to_vec()));
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.pax.is_empty() {
            let mut records = Vec::new();
            for (key, value) in &self.pax {
                record(&mut records, key, value);
            }
            out.extend(meta(b'x', &records));
        }
        let size = self.size.unwrap_or(self.data.len() as u64);
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().linkflag = [self.kind];
        header.set_mode(self.mode);
        header.set_uid(self.ids.0);
        header.set_gid(self.ids.1);
        header.set_mtime(self.mtime);
        header.set_size(size);
        let ustar = header.as_ustar_mut().unwrap();
        ustar.name[..self.name.len().min(100)]
            .copy_from_slice(&self.name[..self.name.len().min(100)]);
        ustar.linkname[..self.link.len().min(100)]
            .copy_from_slice(&self.link[..self.link.len().min(100)]);
        ustar.set_device_major(self.device.0);
        ustar.set_device_minor(self.device.1);
        header.set_cksum();
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(&self.data);
        pad(&mut out);
        out
    }
}

/// A header in front of an entry, with its data.
pub(crate) fn meta(kind: u8, data: &[u8]) -> Vec<u8> {
    let mut out = E {
        data: data.to_vec(),
        ..entry("meta", kind, 0o644)
    }
    .bytes();
    pad(&mut out);
    out
}

/// Appends a record of an extended header.
pub(crate) fn record(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let mut length = key.len() + value.len() + 4;
    while length != key.len() + value.len() + 3 + length.to_string().len() {
        length = key.len() + value.len() + 3 + length.to_string().len();
    }
    out.extend(format!("{length} ").bytes());
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

pub(crate) fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(512), 0);
}

/// A whole archive.
pub(crate) fn archive(entries: &[E]) -> Vec<u8> {
    let mut out: Vec<u8> = entries.iter().flat_map(E::bytes).collect();
    out.resize(out.len() + 1024, 0);
    out
}
