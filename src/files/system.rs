//! What the system does with names and the standard library has no function for.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, RenameFlags, accessat, renameat_with};

/// Lets `a` and `b` change places, in one step that everybody sees whole.
///
/// # Errors
/// The system's; what [`is_unsupported`] knows says that it has no such step.
pub fn exchange(a: &Path, b: &Path) -> io::Result<()> {
    Ok(renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE)?)
}

/// Renames `from` to `to`, and replaces nothing.
///
/// # Errors
/// The system's, of kind `AlreadyExists` where something is there.
pub fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE).map_err(io::Error::from) {
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
pub fn is_unsupported(error: &io::Error) -> bool {
    // EPERM is what a container's filter answers for a call that it does not know.
    let codes = [libc::ENOSYS, libc::EINVAL, libc::EOPNOTSUPP, libc::EPERM];
    error
        .raw_os_error()
        .is_some_and(|code| codes.contains(&code))
}

/// Makes sure that this process may list and remove what is in a folder, as far as the folder decides.
///
/// # Errors
/// The system's.
pub fn check_open(folder: &Path) -> io::Result<()> {
    let all = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
    Ok(accessat(CWD, folder, all, AtFlags::EACCESS)?)
}

/// Opens a folder, and nothing else: not what a link leads to.
///
/// # Errors
/// The system's.
pub fn open_folder(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW)
        .open(path)
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
