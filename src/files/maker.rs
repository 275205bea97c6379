//! Who made a file that is being written: the end of its name says so.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::users::is_own;

/// Numbers what this process makes.
static COUNTER: AtomicU64 = AtomicU64::new(0);

/// How much of a boot's number is in a name.
const N_BOOT_DIGITS: usize = 12;

/// The host in a name, where the system tells none.
const NO_HOST: &str = "other";

/// Boot and process table of this process; `None` where the system does not tell.
static HOST: LazyLock<Option<String>> = LazyLock::new(|| {
    let boot = fs_err::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let boot: String = boot
        .chars()
        .filter(char::is_ascii_hexdigit)
        .take(N_BOOT_DIGITS)
        .collect();
    let table = fs_err::metadata("/proc/self/ns/pid").ok()?.ino();
    Some(format!("{boot}.{table}"))
});

/// The name of a maker: no two processes have one in common.
pub fn maker(process: u32, counter: u64) -> String {
    let host = HOST.as_deref().unwrap_or(NO_HOST);
    format!("{host}-{process}-{counter}")
}

pub fn next_maker() -> String {
    maker(std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// A path in `folder` that is not taken: `name`, and who made it.
pub fn unused_name(folder: &Path, name: &OsStr) -> PathBuf {
    loop {
        let mut unused = name.to_owned();
        unused.push(format!(".{}", next_maker()));
        let path = folder.join(unused);
        if fs_err::symlink_metadata(&path).is_err() {
            return path;
        }
    }
}

/// Makes something in `folder` under a name that begins with `prefix` and is not taken.
pub fn make_in<T>(
    folder: &Path,
    prefix: &OsStr,
    make: impl Fn(PathBuf) -> io::Result<T>,
) -> io::Result<T> {
    loop {
        let mut name = prefix.to_owned();
        name.push(next_maker());
        match make(folder.join(name)) {
            // Left by an earlier process with our number.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => return result,
        }
    }
}

/// The host and the process of a name that ends as [`maker`] has it.
fn parse(maker: &str) -> Option<(&str, u32)> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_boot = |boot: &str| {
        boot.len() == N_BOOT_DIGITS && boot.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let (host, numbers) = maker.split_once('-')?;
    let (process, counter) = numbers.split_once('-')?;
    let is_host = host == NO_HOST
        || host
            .split_once('.')
            .is_some_and(|(boot, table)| is_boot(boot) && is_number(table));
    let is_maker = is_host && is_number(process) && is_number(counter);
    is_maker.then_some((host, process.parse().ok()?))
}

/// Whether a name ends as [`maker`] has it.
pub fn is_maker(text: &str) -> bool {
    parse(text).is_some()
}

/// Whether the process that made something is at work, by the maker in its name; `None` for another host's.
pub fn is_at_work(maker: &str) -> Option<bool> {
    let (host, process) = parse(maker)?;
    (Some(host) == HOST.as_deref()).then(|| is_running(process))
}

/// Whether a process is at work; one that has ended and that nobody has asked about is not.
fn is_running(process: u32) -> bool {
    match fs_err::read_to_string(format!("/proc/{process}/stat")) {
        // The state is behind the program's name, which is in parentheses and may hold some.
        Ok(stat) => {
            let state = stat.rsplit(')').next().unwrap_or_default().trim_start();
            !state.starts_with(['Z', 'X'])
        }
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// Whether the process that made something is gone, by the maker in its name; `false` where nobody can know.
pub fn is_orphan(maker: &str, metadata: &Metadata) -> bool {
    // Other users' processes may be hidden from us, so only our own can be known to be gone.
    is_at_work(maker) == Some(false) && is_own(metadata)
}

#[cfg(test)]
mod tests {
    use super::super::TempFile;
    use super::*;

    #[test]
    fn a_name_left_by_an_earlier_process_with_our_number_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let next = COUNTER.load(Ordering::Relaxed);
        for counter in next..next + 100 {
            let name = maker(std::process::id(), counter);
            fs_err::write(dir.path().join(name), "").unwrap();
        }
        TempFile::create_in(dir.path()).unwrap();
    }
}
