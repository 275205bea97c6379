//! Paths in which anything may be a user or a variable.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::{Names, check_names, expanded_by};

const NAMES: Names = Names {
    variable: |name| match name.as_bytes() {
        b"HOME" => Some("/home/me".into()),
        b"a" => Some("$a ${a}".into()),
        b"" => Some("nothing".into()),
        _ => None,
    },
    home_of: |user| match user.as_bytes() {
        b"" => Some("/home/me".into()),
        b"a" => Some(PathBuf::from("~a")),
        _ => None,
    },
};

proptest! {
    #![proptest_config(ProptestConfig { cases: 4 * ProptestConfig::default().cases, rng_seed: RngSeed::Fixed(11), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_path_is_expanded_once_and_never_longer_than_its_names(path in r"[~$\{\}/a_HOME.é ]{0,30}", bytes in prop::collection::vec(any::<u8>(), 0..20)) {
        for written in [Path::new(&path), Path::new(OsStr::from_bytes(&bytes))] {
            let expanded = expanded_by(written, NAMES);
            let n_dollars = written.to_string_lossy().matches('$').count();
            let most = written.as_os_str().len() + 10 + 8 * n_dollars;
            prop_assert!(expanded.as_os_str().len() <= most, "{expanded:?}");
            if !written.as_os_str().as_bytes().iter().any(|byte| b"~$".contains(byte)) {
                prop_assert_eq!(&expanded, written);
                prop_assert!(check_names(&expanded).is_ok());
            }
        }
    }
}
