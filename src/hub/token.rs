//! What the hub knows the user by; read when the hub is first asked, since most commands need no token.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::error::{Error, Message};
use crate::files::{self, Unfit};
use crate::text;

/// Far more than any token has.
const MAX_BYTES: u64 = 1 << 16;

/// Where the token is.
#[derive(Clone)]
pub enum Token {
    /// In an environment variable.
    Variable {
        /// Its name.
        name: &'static str,
        /// Its value, not yet looked at.
        value: OsString,
    },
    /// In a file, which may be absent.
    File(PathBuf),
}

/// Never the token itself.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())
    }
}

impl Token {
    /// The token; none where its file is absent, and where variable or file hold nothing.
    ///
    /// # Errors
    /// Says what is wrong with the token, and does not show it.
    pub fn read(&self) -> Result<Option<String>, Error> {
        let bytes = match self {
            Self::Variable { value, .. } => value.as_encoded_bytes().to_vec(),
            Self::File(path) => match files::read(path, MAX_BYTES) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(self.wrong(&what_is_wrong(&error))),
            },
        };
        let token = bytes.trim_ascii();
        if !token.iter().all(u8::is_ascii_graphic) {
            return Err(self.wrong("holds characters that no token has"));
        }
        let token = String::from_utf8_lossy(token).into_owned();
        Ok(Some(token).filter(|token| !token.is_empty()))
    }

    fn place(&self) -> String {
        match self {
            Self::Variable { name, .. } => format!("`{name}`"),
            Self::File(path) => text::path(path),
        }
    }

    fn wrong(&self, what: &str) -> Error {
        let hint = match self {
            Self::Variable { .. } => "set the variable to the token alone, or unset it",
            Self::File(_) => {
                "set `HF_TOKEN` to the token; `HF_HUB_DISABLE_IMPLICIT_TOKEN=1` does without one"
            }
        };
        let place = self.place();
        Message::request(format!("hub's token in {place}: {what}, expected `hf_…`"))
            .hint(hint)
            .into()
    }
}

/// What is wrong with a file of a token, without its path.
fn what_is_wrong(error: &io::Error) -> String {
    match Unfit::of(error) {
        Some(Unfit::NotRegular { found, .. }) => format!("is {found}"),
        Some(Unfit::TooLarge { bytes, .. }) => format!("has {} bytes", text::thousands(*bytes)),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_text_without_what_stands_around_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let read = |value: &str| {
            fs_err::write(&path, value).unwrap();
            let name = "HF_TOKEN";
            let value = value.into();
            let tokens = [Token::Variable { name, value }, Token::File(path.clone())];
            tokens.map(|token| token.read().map_err(|error| error.to_string()))
        };
        for (value, expected) in [
            ("hf_a", Some("hf_a")),
            (" hf_a\r\n", Some("hf_a")),
            ("\n", None),
        ] {
            assert_eq!(
                read(value),
                [(); 2].map(|()| Ok(expected.map(str::to_owned)))
            );
        }
        for value in ["ä", "hf_a\nhf_b", "hf a", "hf_\0"] {
            let [variable, file] = read(value).map(Result::unwrap_err);
            let what = "holds characters that no token has, expected `hf_…`";
            assert_eq!(variable, format!("hub's token in `HF_TOKEN`: {what}"));
            assert_eq!(file, format!("hub's token in {}: {what}", path.display()));
        }
        fs_err::remove_file(&path).unwrap();
        assert_eq!(Token::File(path).read().unwrap(), None);
    }

    #[test]
    fn what_is_no_file_of_a_token_is_named_with_the_ways_around_it() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("token");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let large = dir.path().join("large");
        fs_err::write(&large, vec![b'a'; 65_537]).unwrap();
        for (path, what) in [
            (PathBuf::from("/"), "is a folder"),
            (PathBuf::from("/dev/zero"), "is a device"),
            (pipe, "is a named pipe"),
            (large, "has 65,537 bytes"),
        ] {
            let error = Token::File(path.clone()).read().unwrap_err();
            let expected = format!("hub's token in {}: {what}, expected `hf_…`", path.display());
            assert_eq!(error.to_string(), expected);
            let hint = error.hint().unwrap();
            assert!(
                hint.contains("`HF_TOKEN`") && hint.contains("`HF_HUB_DISABLE_IMPLICIT_TOKEN=1`")
            );
        }
    }
}
