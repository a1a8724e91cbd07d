//! Where foreign files lie: a folder, or a tar file that is read without being unpacked.
//!
//! Only files below the source are ever opened, whatever a table names: tables come from others.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use crate::ImportError;

/// Folders inside folders, at most: a link may lead back up.
const DEPTH_MAX: usize = 8;

enum Place {
    File(PathBuf),
    Tar { offset: u64, len: u64 },
}

/// The files of a source, by their path inside it with `/` between folders.
pub(crate) struct Source {
    path: PathBuf,
    /// Named directly (a .csv or a manifest.json), so that no other table is looked for.
    pub table: Option<String>,
    files: BTreeMap<String, Place>,
    /// By file name in lower case; `None` if several files are called so.
    names: BTreeMap<String, Option<String>>,
}

impl Source {
    pub fn open(path: &Path) -> Result<Self, ImportError> {
        let meta = fs::metadata(path).map_err(ImportError::io("opening the source", path))?;
        let unsupported = |got| ImportError::Unsupported { got, path: path.to_path_buf() };
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let (mut table, mut files) = (None, BTreeMap::new());
        if meta.is_dir() {
            walk(path, "", 0, &mut files)?;
        } else if ends(&name, ".csv") || ends(&name, ".json") {
            let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
            walk(folder.unwrap_or(Path::new(".")), "", 0, &mut files)?;
            table = Some(name);
        } else if ends(&name, ".tar") {
            list_tar(path, &mut files)?;
        } else if [".gz", ".tgz", ".zip", ".xz", ".zst", ".bz2"].iter().any(|e| ends(&name, e)) {
            return Err(unsupported("a compressed archive (unpack it first)"));
        } else {
            return Err(unsupported("another file"));
        }
        let mut names = BTreeMap::new();
        for key in files.keys() {
            names
                .entry(base(key).to_lowercase())
                .and_modify(|n| *n = None)
                .or_insert_with(|| Some(key.clone()));
        }
        Ok(Self { path: path.to_path_buf(), table, files, names })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its own name, without the way to it.
    pub fn name(&self) -> String {
        let full = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        full.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
    }

    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    pub fn contains(&self, key: &str) -> bool {
        self.files.contains_key(key)
    }

    /// The whole file, if it is not longer than `limit` bytes.
    pub fn read(&self, key: &str, limit: u64) -> io::Result<Vec<u8>> {
        let too_long = || io::Error::other(format!("it is longer than {limit} bytes"));
        let mut bytes = Vec::new();
        match self.files.get(key) {
            None => return Err(io::ErrorKind::NotFound.into()),
            Some(Place::File(path)) => {
                File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
                if bytes.len() as u64 > limit {
                    return Err(too_long());
                }
            }
            Some(&Place::Tar { offset, len }) => {
                if len > limit {
                    return Err(too_long());
                }
                let mut file = File::open(&self.path)?;
                file.seek(SeekFrom::Start(offset))?;
                file.take(len).read_to_end(&mut bytes)?;
                if bytes.len() as u64 != len {
                    return Err(io::Error::other("the tar file ends inside it"));
                }
            }
        }
        Ok(bytes)
    }

    /// The picture that a table in `folder` names. It is looked for beside the table and in
    /// `folders` below it. Of a path from another machine only the end can be right: the beginning
    /// is taken off, part by part. So it is with every path if `loose`, where file names are
    /// unique (they tell the time).
    pub fn picture(
        &self,
        folder: &str,
        folders: &[&str],
        named: &str,
        loose: bool,
    ) -> Option<&str> {
        let slashes = named.replace('\\', "/");
        let windows = slashes.as_bytes().get(1) == Some(&b':');
        let absolute = windows || slashes.starts_with('/');
        let parts: Vec<&str> = slashes
            .split('/')
            .filter(|p| !p.is_empty() && *p != "." && !p.ends_with(':'))
            .collect();
        let tails = if loose || absolute { parts.len() } else { parts.len().min(1) };
        for tail in (0..tails).filter_map(|skip| parts.get(skip..)) {
            for below in std::iter::once("").chain(folders.iter().copied()) {
                let Some(key) = join(folder, below, tail) else { continue };
                if let Some((key, _)) = self.files.get_key_value(&key) {
                    return Some(key);
                }
            }
        }
        let name = parts.last().filter(|_| loose)?;
        self.names.get(&name.to_lowercase())?.as_deref()
    }
}

fn ends(name: &str, with: &str) -> bool {
    name.to_lowercase().ends_with(with)
}

/// The file name of a key.
pub(crate) fn base(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

/// The folder of a key, without a slash at its end.
pub(crate) fn parent(key: &str) -> &str {
    key.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// `None` if it leads out of the source.
fn join(folder: &str, below: &str, tail: &[&str]) -> Option<String> {
    let mut all: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(below.split('/')).chain(tail.iter().copied()) {
        match part {
            "" => {}
            ".." => drop(all.pop()?),
            part => all.push(part),
        }
    }
    Some(all.join("/"))
}

fn walk(
    folder: &Path,
    prefix: &str,
    depth: usize,
    files: &mut BTreeMap<String, Place>,
) -> Result<(), ImportError> {
    let entries = fs::read_dir(folder).map_err(ImportError::io("reading the folder", folder))?;
    for entry in entries {
        let entry = entry.map_err(ImportError::io("reading the folder", folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // A link that leads nowhere is as good as no file.
        let Ok(meta) = fs::metadata(entry.path()) else { continue };
        if name.starts_with('.') {
            continue;
        }
        let key = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        if meta.is_file() {
            files.insert(key, Place::File(entry.path()));
        } else if meta.is_dir() && depth < DEPTH_MAX {
            walk(&entry.path(), &key, depth + 1, files)?;
        }
    }
    Ok(())
}

fn list_tar(path: &Path, files: &mut BTreeMap<String, Place>) -> Result<(), ImportError> {
    let failed = || ImportError::io("reading the tar file", path);
    let file = File::open(path).map_err(failed())?;
    let mut archive = tar::Archive::new(file);
    for entry in archive.entries_with_seek().map_err(failed())? {
        let entry = entry.map_err(failed())?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = entry.path().map_err(failed())?.to_string_lossy().replace('\\', "/");
        let parts: Vec<&str> = name.split('/').filter(|p| !p.is_empty() && *p != ".").collect();
        if parts.is_empty() || parts.iter().any(|p| p.starts_with('.')) {
            continue;
        }
        let place = Place::Tar { offset: entry.raw_file_position(), len: entry.size() };
        files.insert(parts.join("/"), place);
    }
    Ok(())
}
