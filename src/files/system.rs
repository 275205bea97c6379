//! What the system does with names and the standard library has no function for.
#![expect(
    unsafe_code,
    reason = "system calls that read two strings; the blocks say why they are sound"
)]

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Lets `a` and `b` change places, in one step that everybody sees whole.
///
/// # Errors
/// The system's; those that [`is_unsupported`] knows say that it has no such step.
pub(super) fn exchange(a: &Path, b: &Path) -> io::Result<()> {
    rename_as(a, b, libc::RENAME_EXCHANGE)
}

/// Renames `from` to `to`, and replaces nothing.
///
/// # Errors
/// The system's, of kind `AlreadyExists` where something is there.
pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match rename_as(from, to, libc::RENAME_NOREPLACE) {
        Err(error) if is_unsupported(&error) => {
            if fs_err::symlink_metadata(to).is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            fs_err::rename(from, to)
        }
        result => result,
    }
}

/// Whether an error of renaming says that the kernel or the file system cannot do it so, and may be able to rename.
pub(super) fn is_unsupported(error: &io::Error) -> bool {
    // EPERM is what a container's filter answers for a call that it does not know.
    let codes = [libc::ENOSYS, libc::EINVAL, libc::EOPNOTSUPP, libc::EPERM];
    error
        .raw_os_error()
        .is_some_and(|code| codes.contains(&code))
}

fn rename_as(from: &Path, to: &Path, flags: libc::c_uint) -> io::Result<()> {
    let (from, to) = (c_string(from)?, c_string(to)?);
    // SAFETY: both strings end in a zero byte and outlive the call, which writes to neither.
    let result = unsafe {
        libc::renameat2(
            libc::AT_FDCWD,
            from.as_ptr(),
            libc::AT_FDCWD,
            to.as_ptr(),
            flags,
        )
    };
    outcome(result)
}

/// Makes sure that this process may list and remove what is in a folder, as far as the folder decides.
///
/// # Errors
/// The system's.
pub(super) fn check_open(folder: &Path) -> io::Result<()> {
    let folder = c_string(folder)?;
    let mode = libc::R_OK | libc::W_OK | libc::X_OK;
    // SAFETY: the string ends in a zero byte and outlives the call, which does not write to it.
    let result =
        unsafe { libc::faccessat(libc::AT_FDCWD, folder.as_ptr(), mode, libc::AT_EACCESS) };
    outcome(result)
}

/// Opens a folder, and nothing else: not what a link leads to.
///
/// # Errors
/// The system's.
pub(super) fn open_folder(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW)
        .open(path)
}

fn outcome(result: libc::c_int) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn c_string(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_taken_is_not_given_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs_err::write(path("a"), "a").unwrap();
        fs_err::write(path("b"), "b").unwrap();
        let error = rename_new(&path("a"), &path("b")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs_err::read(path("b")).unwrap(), b"b");
        rename_new(&path("a"), &path("c")).unwrap();
        assert_eq!(fs_err::read(path("c")).unwrap(), b"a");
    }
}
