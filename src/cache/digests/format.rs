//! The memo of digests as a file.

use super::{Digest, Entries, Entry, Stamp};

/// First words of the memo file; the number is the version of its format.
const HEADER: &str = "newt-pipe digests 2";

/// The memo as a file: a header line with the digest of the rest, then a line for each file,
/// `<digest> <bytes> <mtime, s> <mtime, ns> <ctime, s> <ctime, ns> <inode> <path>`, by path. In a path,
/// `\\` stands for a backslash and `\n` for a newline.
pub fn format(entries: &Entries) -> Vec<u8> {
    let mut lines = Vec::with_capacity(entries.len() * 200);
    for (name, Entry { stamp, digest }) in entries {
        let Stamp {
            bytes,
            mtime,
            ctime,
            inode,
        } = stamp;
        let stamp = format!(
            "{digest} {bytes} {} {} {} {} {inode} ",
            mtime.0, mtime.1, ctime.0, ctime.1
        );
        lines.extend(stamp.into_bytes());
        for &byte in name {
            match byte {
                b'\n' => lines.extend(b"\\n"),
                b'\\' => lines.extend(b"\\\\"),
                _ => lines.push(byte),
            }
        }
        lines.push(b'\n');
    }
    let mut file = format!("{HEADER} {}\n", Digest::of(&lines)).into_bytes();
    file.extend(lines);
    file
}

/// The entries in a file's bytes, or what is wrong with it.
pub fn parse(file: &[u8]) -> Result<Entries, String> {
    let (digest, lines) = file
        .strip_prefix(HEADER.as_bytes())
        .and_then(|rest| rest.strip_prefix(b" "))
        .and_then(|rest| rest.split_at_checked(64))
        .and_then(|(digest, rest)| Some((digest, rest.strip_prefix(b"\n")?)))
        .ok_or_else(|| format!("does not begin with `{HEADER}` and a digest"))?;
    let found = Digest::of(lines).to_string();
    if digest != found.as_bytes() {
        return Err("its lines do not have the digest in its first line".to_owned());
    }
    lines
        .split_inclusive(|&byte| byte == b'\n')
        .enumerate()
        .map(|(i, line)| parse_line(line).ok_or_else(|| format!("line {} is no entry", i + 2)))
        .collect()
}

fn parse_line(line: &[u8]) -> Option<(Vec<u8>, Entry)> {
    let line = line.strip_suffix(b"\n")?;
    let mut fields = line.splitn(8, |&byte| byte == b' ');
    let mut field = || std::str::from_utf8(fields.next()?).ok();
    let digest = field()?.parse().ok()?;
    let stamp = Stamp {
        bytes: field()?.parse().ok()?,
        mtime: (field()?.parse().ok()?, field()?.parse().ok()?),
        ctime: (field()?.parse().ok()?, field()?.parse().ok()?),
        inode: field()?.parse().ok()?,
    };
    let escaped = fields.next()?;
    let mut name = Vec::with_capacity(escaped.len());
    let mut escaped = escaped.iter();
    while let Some(&byte) = escaped.next() {
        name.push(match byte {
            b'\\' => match escaped.next()? {
                b'n' => b'\n',
                b'\\' => b'\\',
                _ => return None,
            },
            _ => byte,
        });
    }
    Some((name, Entry { stamp, digest }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All of NeWT's images, under a long path.
    fn newt_sized() -> Entries {
        (0..36_000_u64)
            .map(|n| {
                let name = format!(
                    "/data/shared/benchmarks/newt/newt2021_images/{n:08}-0000-4000-8000-000000000000.jpg"
                );
                let stamp = Stamp {
                    bytes: 50_000 + n,
                    mtime: (1_700_000_000 - i64::try_from(n).unwrap(), 123_456_789),
                    ctime: (1_700_000_001, 987_654_321),
                    inode: 1 << 40 | n,
                };
                let digest = Digest::of(&n.to_le_bytes());
                (name.into_bytes(), Entry { stamp, digest })
            })
            .collect()
    }

    #[test]
    fn memo_of_all_of_newt_round_trips() {
        let entries = newt_sized();
        assert!(parse(&format(&entries)).unwrap() == entries);
    }
}
