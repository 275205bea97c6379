//! Users: whose something is, and what the system knows of them.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::reading;

/// In the mode of a folder that is meant for many users, such as `/tmp`: everybody removes their own files only.
pub const STICKY: u32 = 0o1000;

/// Far more than a list of users has.
const MAX_PASSWD_BYTES: u64 = 1 << 24;

/// The user that this process works as; `None` where the system does not tell.
pub fn user() -> Option<u32> {
    Some(fs_err::metadata("/proc/self").ok()?.uid())
}

/// Whether something belongs to the user that this process works as.
pub fn is_own(metadata: &Metadata) -> bool {
    user() == Some(metadata.uid())
}

/// The owner of a file or folder that is not ours.
pub fn foreign_owner(path: &Path) -> Option<u32> {
    let found = fs_err::metadata(path).ok()?.uid();
    (found != user()?).then_some(found)
}

/// The name of a user, as `/etc/passwd` has it.
pub fn user_name(user: u32) -> String {
    let number = user.to_string();
    match passwd(2, number.as_bytes(), 0) {
        Some(name) => format!("`{}`", String::from_utf8_lossy(&name)),
        None => format!("user {number}"),
    }
}

/// The home folder of a user, as `/etc/passwd` has it.
pub fn home_of(user: &OsStr) -> Option<PathBuf> {
    let home = passwd(0, user.as_bytes(), 5)?;
    Some(OsStr::from_bytes(&home).into())
}

/// The field `wanted` of the first line of `/etc/passwd` whose field `known` is `value`.
fn passwd(known: usize, value: &[u8], wanted: usize) -> Option<Vec<u8>> {
    let passwd = reading::read(Path::new("/etc/passwd"), MAX_PASSWD_BYTES).ok()?;
    passwd.split(|byte| *byte == b'\n').find_map(|line| {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
        let is_meant = *fields.get(known)? == value;
        is_meant.then(|| fields.get(wanted).map(|field| field.to_vec()))?
    })
}
