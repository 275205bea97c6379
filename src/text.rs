//! Numbers, names and lists in messages and tables, paths in commands, and what a terminal may get.
//!
//! | text | is shown by |
//! | --- | --- |
//! | a number, how many there are, a size | [`thousands`], [`count`], [`bytes`] |
//! | many names, of which the first are shown | [`Listing`] |
//! | a name that may be a slip of a known one | [`did_you_mean`] |
//! | a name from a file or a server, and what others say | [`foreign`], [`said`] |
//! | a path in a message, and in a command | [`path()`], [`shell_word`] |
//! | a field of a table of lines | [`escaped`] |
//! | whole results and messages, at the last moment | [`printable`], [`harmless`], [`escaped_json`] |

use std::borrow::Cow;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// `1234567` as `1,234,567`.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How many there are, with their name: `1 task`, `2,048 tasks`.
pub fn count(n: usize, one: &str, many: &str) -> String {
    let name = if n == 1 { one } else { many };
    format!("{} {name}", thousands(n as u64))
}

/// A number of bytes, in the unit that suits it: `331.4 MB`.
pub fn bytes(n: u64) -> String {
    const UNITS: [(&str, f64); 3] = [("GB", 1e9), ("MB", 1e6), ("kB", 1e3)];
    let n_bytes = n as f64;
    match UNITS.iter().find(|(_, unit)| n_bytes >= *unit) {
        Some((name, unit)) => format!("{:.1} {name}", n_bytes / unit),
        None => format!("{n} bytes"),
    }
}

/// How many names a message shows before it counts the rest.
const MAX_SHOWN: usize = 10;

/// Some names and how many there are in all; shown, each by [`said`], as "`a`, `b` and 7 more".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The first ten.
    pub shown: Vec<String>,
    /// The number of all.
    pub n: usize,
}

impl<S: Into<String>> FromIterator<S> for Listing {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        Self::first(MAX_SHOWN, names)
    }
}

impl Listing {
    /// All of `names`, of which no more than the first `n_shown` are shown.
    pub fn first<S: Into<String>>(n_shown: usize, names: impl IntoIterator<Item = S>) -> Self {
        let mut names = names.into_iter();
        let shown: Vec<String> = names.by_ref().take(n_shown).map(Into::into).collect();
        let n = shown.len() + names.count();
        Self { shown, n }
    }

    /// Names that the program did not write itself, each in backticks.
    pub fn quoted<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Self {
        let quote = |name: S| format!("`{}`", foreign(name.as_ref()));
        names.into_iter().map(quote).collect()
    }

    /// What is shown on a line each, below the line that it is put behind.
    pub fn lines(&self) -> String {
        let mut text = String::new();
        for line in &self.shown {
            text.push_str(&format!("\n  {line}"));
        }
        match self.n - self.shown.len() {
            0 => {}
            rest => text.push_str(&format!("\n  and {} more", thousands(rest as u64))),
        }
        text
    }

    /// Whether there is nothing to list.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, name) in self.shown.iter().enumerate() {
            write!(f, "{}{}", if i == 0 { "" } else { ", " }, said(name))?;
        }
        match self.n - self.shown.len() {
            0 => Ok(()),
            rest => write!(f, " and {} more", thousands(rest as u64)),
        }
    }
}

/// The known name that `name` may be a slip of, whatever its case and whether it has `-` or `_`: the one with the smallest
/// distance by Damerau and Levenshtein, if no more than half of the shorter name's letters differ.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |name: &str| name.to_lowercase().replace('-', "_");
    let wanted = plain(name);
    known
        .into_iter()
        .filter(|known| name.len() <= 4 * known.len())
        .map(|known| (strsim::damerau_levenshtein(&wanted, &plain(known)), known))
        .filter(|(distance, known)| {
            let (shorter, longer) = (name.len().min(known.len()), name.len().max(known.len()));
            // Of a single letter another one is no misspelling.
            *distance <= shorter.max(3) / 2 && *distance < longer
        })
        .min()
        .map(|(_, known)| known)
}

/// The hint that names [`nearest`].
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(name, known).map(|known| format!("did you mean `{known}`?"))
}

/// One of these names, as a sentence says it: "`a`, `b` or `c`".
pub fn either<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    let mut names: Vec<_> = names
        .into_iter()
        .map(|name| format!("`{}`", name.as_ref()))
        .collect();
    match names.pop() {
        Some(last) if !names.is_empty() => format!("{} or {last}", names.join(", ")),
        only => only.unwrap_or_default(),
    }
}

/// `text` on one line: a tab, a line break and whatever else a terminal would obey, see [`is_obeyed`], are spelled `\t`,
/// `\n`, `\u{1b}`, and a backslash is doubled, so that no two texts come out the same.
pub fn escaped(text: &str) -> String {
    spelled(text, |c| is_obeyed(c) || c == '\\').into_owned()
}

/// The most characters of a foreign text that a message shows.
const MAX_FOREIGN: usize = 120;

/// A text that the program did not write itself (a name in a file, a reply of a server) as messages and tables show it:
/// on one line, with everything spelled out that a terminal would obey, see [`is_obeyed`], and cut in its middle where
/// it has more than 120 characters.
pub fn foreign(text: &str) -> String {
    spelled(&cut(text, MAX_FOREIGN), is_obeyed).into_owned()
}

/// What another library, a program or a server says, as a message repeats it: as [`foreign`] does, cut where it has more
/// than a thousand characters.
pub fn said(text: &str) -> String {
    const MAX_SAID: usize = 1000;
    spelled(&cut(text, MAX_SAID), is_obeyed).into_owned()
}

/// A path, or a place that begins with one, as a message shows it: whole, with everything spelled out that a terminal
/// would obey, see [`foreign`].
pub fn path(path: impl AsRef<Path>) -> String {
    spelled(&path.as_ref().to_string_lossy(), is_obeyed).into_owned()
}

/// `text` without its middle, and with the number of characters in that, where it has more than `n_most`.
pub fn cut(text: &str, n_most: usize) -> Cow<'_, str> {
    // No character has less than a byte.
    if text.len() <= n_most {
        return text.into();
    }
    let n_end = n_most / 2;
    let n_chars = text.chars().count();
    if n_chars <= n_most {
        return text.into();
    }
    let n_cut = n_chars - 2 * n_end;
    let start: String = text.chars().take(n_end).collect();
    let end: String = text.chars().skip(n_end + n_cut).collect();
    format!("{start}…({} characters)…{end}", thousands(n_cut as u64)).into()
}

/// `text` with the characters for which `is_spelled` holds as Rust writes them, `\n` or `\u{1b}`.
pub fn spelled(text: &str, is_spelled: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_spelled) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_spelled(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown.into()
}

/// A result as a terminal may get it: nothing in it is obeyed but tabs and line breaks.
pub fn printable(text: &str) -> Cow<'_, str> {
    spelled(text, |c| is_obeyed(c) && !matches!(c, '\n' | '\t'))
}

/// A message as a terminal may get it: nothing in it is obeyed but line breaks, and no line is longer than people read.
///
/// What comes from files and servers is shown by [`foreign`] where a message is made. This holds for the rest, too: the
/// messages of other crates, and what was forgotten.
pub fn harmless(text: &str) -> String {
    /// No path has so many characters.
    const MAX_LINE: usize = 4096;
    let lines: Vec<_> = text.split('\n').map(|line| cut(line, MAX_LINE)).collect();
    spelled(&lines.join("\n"), |c| is_obeyed(c) && c != '\n').into_owned()
}

/// JSON with escapes for what a terminal would obey and serde leaves as it is, DEL and C1 among them. It means the same:
/// such characters are in strings only.
///
/// # Errors
/// The serializer's.
pub fn escaped_json(value: &serde_json::Value) -> serde_json::Result<String> {
    let mut escaped = String::new();
    for c in serde_json::to_string_pretty(value)?.chars() {
        if is_obeyed(c) && c != '\n' {
            escaped.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            escaped.push(c);
        }
    }
    Ok(escaped)
}

/// Whether a terminal does something else with a character than to show it: a control character, or one that turns the
/// direction of writing or breaks the line.
pub fn is_obeyed(c: char) -> bool {
    let turns = matches!(c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' | '\u{feff}');
    c.is_control() || turns
}

/// A path as a shell takes it: in quotes where it must be, and with octal escapes, which `$'…'` holds, for bytes that a
/// terminal would not show.
pub fn shell_word(path: &Path) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@".contains(c);
    let is_odd = |chunk: &std::str::Utf8Chunk<'_>| {
        !chunk.invalid().is_empty() || chunk.valid().contains(is_obeyed)
    };
    let bytes = path.as_os_str().as_bytes();
    if bytes.utf8_chunks().any(|chunk| is_odd(&chunk)) {
        let escaped: String = bytes
            .iter()
            .map(|&byte| match byte {
                b'\'' | b'\\' => format!("\\{}", char::from(byte)),
                b' '..=b'~' => char::from(byte).to_string(),
                _ => format!("\\{byte:03o}"),
            })
            .collect();
        return format!("$'{escaped}'");
    }
    let text = path.to_string_lossy();
    if !text.is_empty() && text.chars().all(is_plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn foreign_text_is_one_short_line_that_no_terminal_obeys() {
        for (text, shown) in [
            ("Müller's C:\\x", "Müller's C:\\x"),
            ("a\x1b[2Jb\r\n\u{9b}31m", "a\\u{1b}[2Jb\\r\\n\\u{9b}31m"),
            ("gpj.\u{202e}exe", "gpj.\\u{202e}exe"),
        ] {
            assert_eq!(foreign(text), shown);
        }
        let longest = "x".repeat(MAX_FOREIGN);
        assert_eq!(foreign(&longest), longest);
        let long = format!("{}{}", "a".repeat(1_000_000), "z".repeat(1_000_000));
        let (start, end) = ("a".repeat(60), "z".repeat(60));
        assert_eq!(
            foreign(&long),
            format!("{start}…(1,999,880 characters)…{end}")
        );
        assert_eq!(path("a\x1b/b"), "a\\u{1b}/b");
        let words = said(&"word\n".repeat(1000));
        assert!(
            words.chars().count() < 1300 && !words.contains('\n'),
            "{words}"
        );
    }

    #[test]
    fn messages_are_harmless_whatever_they_hold() {
        let long = "x".repeat(2_000_000);
        assert_eq!(
            harmless("a\x1b[2J\r\u{9b}1m\u{7f}\tb\n  c \u{202e}d"),
            "a\\u{1b}[2J\\r\\u{9b}1m\\u{7f}\\tb\n  c \\u{202e}d"
        );
        let shown = harmless(&format!("one\n{long}\nthree"));
        assert!(shown.len() < 5000, "{}", shown.len());
        assert!(shown.starts_with("one\nxxx") && shown.ends_with("xxx\nthree"));
    }

    #[test]
    fn json_that_a_terminal_obeys_is_escaped_and_means_the_same() {
        let value = serde_json::json!({ "a\u{7f}": "\u{9b}2J \u{202e} ü \x1b \\ \n \u{feff}" });
        let text = escaped_json(&value).unwrap();
        assert!(!text.contains(|c| is_obeyed(c) && c != '\n'), "{text:?}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).unwrap(),
            value
        );
    }

    #[test]
    fn listing_shows_ten_and_counts_the_rest() {
        let listing = |n: usize| {
            (0..n)
                .map(|i| i.to_string())
                .collect::<Listing>()
                .to_string()
        };
        assert_eq!(listing(0), "");
        assert_eq!(listing(2), "0, 1");
        assert_eq!(listing(10), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9");
        assert_eq!(listing(13), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 3 more");
    }

    #[test]
    fn an_escaped_text_is_one_line_and_one_field() {
        assert_eq!(escaped("plain ü"), "plain ü");
        assert_eq!(escaped("a\tb\r\n\\n\u{1b}"), r"a\tb\r\n\\n\u{1b}");
        assert_eq!(escaped("a\u{202e}b\u{2028}"), r"a\u{202e}b\u{2028}");
    }

    #[test]
    fn thousands_are_set_apart() {
        let shown = [0, 12, 123, 1234, 123_456, 55_296_136].map(thousands);
        assert_eq!(shown, ["0", "12", "123", "1,234", "123,456", "55,296,136"]);
    }

    #[test]
    fn bytes_have_a_unit_that_suits_them() {
        let shown = [0, 999, 1000, 331_400_000, 7_528_000_000].map(bytes);
        assert_eq!(
            shown,
            ["0 bytes", "999 bytes", "1.0 kB", "331.4 MB", "7.5 GB"]
        );
    }

    #[test]
    fn one_of_a_kind_is_singular() {
        let shown = [0, 1, 2, 2048].map(|n| count(n, "task", "tasks"));
        assert_eq!(shown, ["0 tasks", "1 task", "2 tasks", "2,048 tasks"]);
    }

    #[test]
    fn odd_paths_are_quoted_in_commands() {
        assert_eq!(shell_word(Path::new("/opt/env-1")), "/opt/env-1");
        assert_eq!(shell_word(Path::new("/my env/it's")), r"'/my env/it'\''s'");
        assert_eq!(shell_word(Path::new("it's; $HOME")), r"'it'\''s; $HOME'");
        assert_eq!(shell_word(Path::new("")), "''");
        assert_eq!(
            shell_word(Path::new("a\x1b\n\\'ü")),
            r"$'a\033\012\\\'\303\274'"
        );
        assert_eq!(
            shell_word(Path::new(OsStr::from_bytes(b"\xff"))),
            r"$'\377'"
        );
    }
}
